"""What proves that an exported model is its model: sentences, comparison, bounds."""

import dataclasses
import math

import numpy as np
import pytest

from albert_core.checkpoints import Checkpoint
from albert_core.checkpoints.checkpoint import reference_function
from albert_core.errors import InputError, StepFailedError
from albert_core.exports.comparison import largest_differences
from albert_core.exports.formats import Bounds
from albert_core.exports.parity import Parity, ScoreComparison, make_reference, prove
from albert_core.exports.sentences import read_sentences, sentence_batches
from albert_core.model import (
    AlbertForMultipleChoice,
    AlbertForQuestionAnswering,
    AlbertForQuestionAnsweringWithBeam,
)
from tests.helpers.checkpoint_samples import classifier, of_model, pretrained
from tests.helpers.export_samples import SINGLE

SENTENCES = read_sentences()[:40]
BOUNDS = Bounds(difference=1e-4, score_change=0.001, overhead_bytes=1000)

MODELS = {
    "pretrained": lambda: pretrained(SINGLE),
    "classifier": lambda: classifier(3, SINGLE, task={"texts": ["sentence"]}),
    "pairs": lambda: classifier(3, SINGLE),
    "choices": lambda: of_model(AlbertForMultipleChoice(SINGLE), is_multiple_choice=True),
    "spans": lambda: of_model(AlbertForQuestionAnswering(SINGLE)),
    "spans or none": lambda: of_model(AlbertForQuestionAnsweringWithBeam(SINGLE)),
}


def test_the_sentences_are_of_mixed_length():
    sentences = read_sentences()
    words = [len(sentence.split()) for sentence in sentences]
    assert len(sentences) == len(set(sentences)) == 200
    assert min(words) == 1
    assert 110 <= max(words) <= 125
    text = " ".join(sentences)
    assert all(character in text for character in '"é5½°')


def test_sentences_of_a_file_are_its_lines(tmp_path):
    (tmp_path / "own.txt").write_text("\ufeffOne.\r\n\n  Two. \n", encoding="utf-8")
    assert read_sentences(tmp_path / "own.txt") == ["One.", "Two."]


@pytest.mark.parametrize(
    ("data", "reason"), [(b"\xff\xfe\x00", "not UTF-8"), (b" \n\n", "no text in it")]
)
def test_a_file_without_sentences_is_refused(data, reason, tmp_path):
    (tmp_path / "own.txt").write_bytes(data)
    with pytest.raises(InputError, match=reason):
        read_sentences(tmp_path / "own.txt")


@pytest.mark.parametrize("kind", MODELS)
def test_what_a_model_reads_fits_its_heads_and_is_the_same_every_time(kind, tokenizer):
    checkpoint = dataclasses.replace(MODELS[kind](), tokenizer=tokenizer)
    batches = sentence_batches(checkpoint, SENTENCES)
    assert sum(len(batch["input_ids"]) for batch in batches) == len(SENTENCES)
    for batch, again in zip(batches, sentence_batches(checkpoint, SENTENCES), strict=True):
        assert tuple(batch) == checkpoint.input_names
        assert all(np.array_equal(batch[name], again[name]) for name in batch)
        assert batch["input_ids"].ndim == (3 if kind == "choices" else 2)
        assert batch["input_mask"].any(axis=-1).all()
        assert batch["segment_ids"].any() == (kind != "classifier")
    if kind == "pretrained":
        masked = np.take_along_axis(batch["input_ids"], batch["masked_lm_positions"], axis=1)
        assert (masked == tokenizer.special_ids.mask).all()


def test_batches_mix_lengths(tokenizer):
    config = dataclasses.replace(SINGLE, max_position_embeddings=400)
    checkpoint = classifier(2, config, tokenizer=tokenizer)
    lengths = [batch["input_mask"].sum(axis=1) for batch in sentence_batches(checkpoint, SENTENCES)]
    assert all(own.min() < own.max() for own in lengths)


def test_without_a_vocabulary_the_pieces_are_random():
    reference = make_reference(classifier(2, SINGLE), SENTENCES)
    assert reference.num_sentences == 0
    assert len(reference.batches) == 1


@pytest.mark.parametrize("kind", MODELS)
def test_a_model_is_as_itself(kind, tokenizer, tmp_path):
    checkpoint = dataclasses.replace(MODELS[kind](), tokenizer=tokenizer)
    reference = make_reference(checkpoint, SENTENCES[:8], sentence_source="corpus")
    for is_quantized in (False, True):
        bounds = dataclasses.replace(BOUNDS, is_quantized=is_quantized)
        parity = prove(
            reference,
            tmp_path,
            name="keras",
            open_format=lambda _: reference_function(checkpoint),
            bounds=bounds,
        )
        assert parity.largest_difference == 0
        assert (parity.num_sentences, parity.sentence_source) == (8, "corpus")


def search(starts: list[int], probabilities: list[float]) -> dict[str, np.ndarray]:
    log_probs = np.log(np.array([probabilities], np.float32))
    return {
        "start_top_index": np.array([starts]),
        "start_top_log_probs": log_probs,
        "end_top_index": np.array([[start + k for start in starts for k in (1, 2)]]),
        "end_top_log_probs": np.log(np.tile(np.float32([0.6, 0.3]), len(starts)))[None],
        "cls_logits": np.zeros(1, np.float32),
    }


def test_equally_likely_answers_may_come_in_any_order():
    ours, theirs = search([3, 7], [0.4, 0.4]), search([7, 3], [0.4, 0.4])
    assert set(largest_differences(ours, theirs).values()) == {0.0}


def test_another_answer_is_as_different_as_it_is_likelier():
    ours, theirs = search([3, 7], [0.5, 0.4]), search([3, 8], [0.5, 0.1])
    found = largest_differences(ours, theirs, as_probabilities=True)
    assert found["start_top_log_probs"] == pytest.approx(0.3, abs=1e-6)
    assert found["end_top_log_probs"] == 0.0


def test_quantized_models_are_compared_by_probabilities():
    ours = {"logits": np.array([[9.0, 0.0]]), "pooled_output": np.zeros((1, 2))}
    theirs = {"logits": np.array([[8.0, 0.0]]), "pooled_output": np.ones((1, 2))}
    assert largest_differences(ours, theirs) == {"logits": 1.0, "pooled_output": 1.0}
    (found,) = largest_differences(ours, theirs, as_probabilities=True).values()
    assert found == pytest.approx(0.0002, abs=1e-4)


def test_what_is_no_number_is_a_difference():
    ours, theirs = {"logits": np.zeros((1, 2))}, {"logits": np.array([[0.0, np.nan]])}
    assert math.isnan(largest_differences(ours, theirs)["logits"])


def test_labels_that_do_not_exclude_each_other_have_probabilities_of_their_own():
    """A shift of all logits changes no class of several, but each label by itself."""
    ours, theirs = {"logits": np.zeros((1, 2))}, {"logits": np.full((1, 2), np.log(3.0))}
    found = largest_differences(ours, theirs, as_probabilities=True, is_multi_label=True)
    assert found["logits"] == pytest.approx(0.25)
    assert largest_differences(ours, theirs, as_probabilities=True)["logits"] == 0.0
    assert of_parity(differences={"logits": math.nan}).failures


@pytest.mark.parametrize(
    ("theirs", "reason"),
    [
        ({"other": np.zeros((1, 2))}, "no output logits, only other"),
        ({"logits": np.zeros(2)}, r"logits is of shape \(2,\), expected \(1, 2\)"),
    ],
)
def test_other_outputs_are_none_of_the_model(theirs, reason):
    with pytest.raises(StepFailedError, match=reason):
        largest_differences({"logits": np.zeros((1, 2))}, theirs)


def of_parity(**changes: object) -> Parity:
    own = Parity(
        format="onnx",
        num_sentences=200,
        num_sequences=200,
        longest_sequence=90,
        differences={"logits": 5e-5},
        file_bytes=111_000,
        parameter_bytes=100_000,
        scores=ScoreComparison(metric="accuracy", before=0.8, after=0.8, num_examples=2000),
        bounds=BOUNDS,
    )
    return dataclasses.replace(own, **changes)


def scored(after: float, num_examples: int = 2000) -> ScoreComparison:
    return ScoreComparison(metric="accuracy", before=0.8, after=after, num_examples=num_examples)


ROUNDED = dataclasses.replace(BOUNDS, is_quantized=True, score_change=0.02)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"scores": None},
        {"scores": scored(0.79, num_examples=100)},  # one example
        {"scores": scored(0.781), "bounds": ROUNDED},
        {"scores": scored(0.9), "bounds": ROUNDED},
    ],
)
def test_what_keeps_its_bounds_passes(changes):
    parity = of_parity(**changes)
    assert not parity.failures
    assert parity.to_values()["passed"]


@pytest.mark.parametrize(
    ("changes", "failure"),
    [
        ({"differences": {"a": 0.0, "logits": 0.1}}, "logits differ by 0.1, allowed 0.0001"),
        (
            {"differences": {"logits": 0.1}, "bounds": ROUNDED},
            "probabilities of logits differ by 0.1, allowed 0.0001",
        ),
        (
            {"file_bytes": 230_000},
            "files hold 230,000 bytes, 2.30 times the parameters' 100,000, allowed 1.1 times and "
            "1,000",
        ),
        (
            {"scores": scored(0.81)},
            "accuracy is 0.8100, before 0.8000, allowed a change of 0.001",
        ),
        (
            {"scores": scored(0.77), "bounds": ROUNDED},
            "accuracy is 0.7700, before 0.8000, allowed a change of 0.02",
        ),
    ],
)
def test_a_broken_bound_is_named_with_its_value(changes, failure):
    parity = of_parity(**changes)
    assert parity.failures == [failure]
    assert not parity.to_values()["passed"]


def test_all_of_a_checkpoint_counts_as_parameters():
    checkpoint: Checkpoint = classifier(2, SINGLE)
    num_parameters = sum(array.size for array in checkpoint.weights.values())
    assert make_reference(checkpoint, SENTENCES).parameter_bytes == 4 * num_parameters
