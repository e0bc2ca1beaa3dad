"""Sentences with tags as sequences: a token for each word, long sentences in windows."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from conftest import SENTENCES

from albert_core.finetuning.config import FinetuningConfig
from albert_core.finetuning.evaluators import evaluate_outputs
from albert_core.finetuning.example_rows import example_rows
from albert_core.finetuning.task_preprocessor import make_preprocessor
from albert_core.finetuning.token_evaluator import word_probabilities
from albert_core.finetuning.token_features import NO_TAG, make_token_features
from albert_core.inference.baselines import score_baselines
from albert_core.tasks import Source, TaggedSentence, Task
from albert_core.tokenization import SentencePieceTokenizer
from components.report.analysis import calibration, confident_mistakes
from components.report.significance import paired_interval

NER = Task(
    name="ner",
    kind="token_classification",
    train=(Source(file="train.conll"),),
    dev=(Source(file="dev.conll"),),
    test=(Source(file="test.conll", is_labelled=False),),
    labels=("O", "B-A", "I-A"),
    metrics=("f1", "accuracy"),
)
WORDS = " ".join(SENTENCES).split()


def tagged(words: list[str]) -> TaggedSentence:
    return TaggedSentence(id="0", words=tuple(words), tags=tuple(n % 3 for n in range(len(words))))


@pytest.mark.parametrize("length", [200, 64, 16, 9])
def test_every_word_has_its_tag_once_at_its_first_token(
    length: int, tokenizer: SentencePieceTokenizer
) -> None:
    sentences = [tagged(WORDS), tagged(WORDS[:2]), tagged(["\u200b", "a"])]
    encoded = make_token_features(sentences, tokenizer, length)
    features, special = encoded.features, tokenizer.special_ids
    assert features.lengths.max() <= length
    seen: dict[int, list[int]] = {number: [] for number in range(3)}
    for number, window in enumerate(encoded.windows):
        begin, end = features.begins[number : number + 2]
        ids, tags = features.ids[begin:end], features.targets["tags"][begin:end]
        assert (ids[0], ids[-1]) == (special.cls, special.sep)
        words = range(window.first_word, window.first_word + len(window.positions))
        seen[window.sentence] += words
        sentence = sentences[window.sentence]
        assert tags[window.positions].tolist() == [sentence.tags[word] for word in words]
        assert np.count_nonzero(tags != NO_TAG) == len(words)
        for word, position in zip(words, window.positions, strict=True):
            expected = tokenizer.encode(sentence.words[word]) or [special.unknown]
            expected = expected[: length - 2]
            assert ids[position : position + len(expected)].tolist() == expected
    assert [seen[number] for number in range(3)] == [
        list(range(len(one.words))) for one in sentences
    ]
    if length == 200:
        assert len(encoded.windows) > 3  # the first sentence alone has more
    if length >= 64:
        assert not encoded.cut_sentences


def test_a_word_has_text_on_both_sides_wherever_there_is_any(
    tokenizer: SentencePieceTokenizer,
) -> None:
    encoded = make_token_features([tagged(WORDS)], tokenizer, 66)
    for number, window in enumerate(encoded.windows):
        last = encoded.features.lengths[number] - 2
        if number > 0:
            assert window.positions[0] > 3
        if number < len(encoded.windows) - 1:
            assert window.positions[-1] < last - 3


def test_a_word_longer_than_a_sequence_is_cut_and_counted(
    tokenizer: SentencePieceTokenizer,
) -> None:
    word = "crumbs" * 30
    num_tokens = len(tokenizer.encode(word))
    sentences = [tagged(["the"]), tagged(["the", word, word, "end"])]
    encoded = make_token_features(sentences, tokenizer, 12)
    assert encoded.features.num_left_out == 2 * (num_tokens - 10)
    assert encoded.cut_sentences == {1}
    assert sum(len(window.positions) for window in encoded.windows) == 5


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "ner"
    folder.mkdir()
    (folder / "train.conll").write_text("Ann B-A\nLee I-A\nleft O\n\nAnn B-A\nsaw O\nAnn O\n")
    (folder / "dev.conll").write_text("Lee B-A\nsaw O\nAnn B-A\n\nshe O\n")
    (folder / "test.conll").write_text("Ann\n")
    return folder


def test_outputs_are_scored_and_written_by_word(
    data: Path, tokenizer: SentencePieceTokenizer, tmp_path: Path
) -> None:
    preprocessor = make_preprocessor(NER, FinetuningConfig(sequence_length=9), tokenizer)
    train, dev = preprocessor.read(data, "train"), preprocessor.read(data, "dev")
    inputs, targets = preprocessor.batch(train.features, np.array([1]), 12)
    assert inputs["input_ids"].shape == targets.shape == (1, 12)
    assert targets[targets != NO_TAG].tolist() == [1, 0, 0]
    predicted = [[1, 0, 2], [0]]  # I-A begins an entity, too: for seqeval all is right
    logits = []
    for number, window in enumerate(dev.windows):
        rows = np.zeros((int(dev.features.lengths[number]) + 3, 3), np.float32)
        words = range(window.first_word, window.first_word + len(window.positions))
        for word, position in zip(words, window.positions, strict=True):
            rows[position, predicted[window.sentence][word]] = 2.0
        logits.append(rows)
    evaluator = evaluate_outputs(preprocessor, dev, {"logits": logits})
    assert evaluator.metrics() == {"f1": 1.0, "accuracy": 0.75}
    low, high = evaluator.interval()
    assert 0.0 <= low <= high == 1.0
    evaluator.write(tmp_path, "dev")
    lines = (tmp_path / "predictions_dev.conll").read_text().split("\n")
    share = np.exp(2) / (np.exp(2) + 2)
    assert lines[2] == f"Ann\tB-A\tI-A\t{share:.6g}"
    assert (lines[3], lines[4].split("\t")[:3]) == ("", ["she", "O", "O"])
    described = json.loads((tmp_path / "classification.json").read_text())
    assert [(row["label"], row["f1"], row["num_examples"]) for row in described["classes"]] == [
        ("A", 1.0, 2)
    ]

    rows = list(example_rows(evaluator))
    assert [row["prediction"] for row in rows] == predicted
    (mistake,), count = confident_mistakes(rows, NER.labels)
    assert (mistake.expected.text, mistake.predicted.text, count) == ("Ann B-A", "Ann I-A", 1)
    assert mistake.confidence == pytest.approx(share, abs=1e-6)
    assert calibration(rows, NER.labels).of == "each word's tag"
    simple, majority = score_baselines(preprocessor, data, dev)
    assert simple.predictions == [[2, 0, 1], [0]]
    assert (majority.predictions, majority.score) == ([[0, 0, 0], [0]], 0.0)
    assert paired_interval(NER, rows, simple.predictions) == (0.0, 0.0)
    low, high = paired_interval(NER, rows, majority.predictions)
    assert 0.0 <= low <= high == 1.0


def test_a_file_without_tags_is_only_predicted(
    data: Path, tokenizer: SentencePieceTokenizer, tmp_path: Path
) -> None:
    preprocessor = make_preprocessor(NER, FinetuningConfig(sequence_length=9), tokenizer)
    test = preprocessor.read(data, "test")
    assert not test.features.targets
    evaluator = evaluate_outputs(preprocessor, test, {"logits": [np.zeros((9, 3))]})
    assert not evaluator.is_scored
    evaluator.write(tmp_path, "test")
    assert (tmp_path / "predictions_test.conll").read_text() == "Ann\tO\t0.333333\n\n"


def test_words_with_tabs_keep_to_their_column(
    data: Path, tokenizer: SentencePieceTokenizer, tmp_path: Path
) -> None:
    preprocessor = make_preprocessor(NER, FinetuningConfig(sequence_length=9), tokenizer)
    test = preprocessor.read(data, "test")
    sentence = dataclasses.replace(test.examples[0], words=("A\tn\nn",))
    test = dataclasses.replace(test, examples=[sentence])
    evaluate_outputs(preprocessor, test, {"logits": [np.zeros((9, 3))]}).write(tmp_path, "test")
    assert (tmp_path / "predictions_test.conll").read_text() == "A n n\tO\t0.333333\n\n"


def test_without_sentences_there_are_no_probabilities() -> None:
    assert word_probabilities([], [], []) == []
