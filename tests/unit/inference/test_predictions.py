"""What a loaded model predicts is what evaluation computes, for every kind of model."""

import dataclasses
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import SENTENCES
from scipy.special import softmax

from albert_core.checkpoints import build_model, read_checkpoint, save_folder
from albert_core.checkpoints.checkpoint import reference_function
from albert_core.errors import InputError
from albert_core.exports.formats import ExportFormat, write_format
from albert_core.files.atomic import write_json
from albert_core.finetuning.evaluators import evaluate_outputs
from albert_core.finetuning.features import Features, make_features
from albert_core.finetuning.prediction import ExampleOutputs, predict_outputs
from albert_core.finetuning.question_features import make_question_features
from albert_core.finetuning.task_preprocessor import TaskData, TaskPreprocessor, make_preprocessor
from albert_core.inference import InvalidExample, load
from albert_core.model import AlbertForQuestionAnswering
from albert_core.model_function import ModelFunction, ModelInputs, ModelOutputs
from albert_core.tasks import Example, Question
from albert_core.tokenization import SentencePieceTokenizer
from albert_core.tokenization.masked import encode_masked
from tests.helpers.checkpoint_samples import classifier, edit_json, encoder_of, of_model
from tests.helpers.eager import functions_run_eagerly
from tests.helpers.served_models import (
    MODEL_CONFIG,
    QUESTIONS,
    SETTINGS,
    TASKS_BY_NAME,
    save_pretrained_model,
    save_task_model,
)

# Of each model a few examples are predicted; other tests of this folder predict with traced ones.
pytestmark = pytest.mark.usefixtures("eager")

LONG = " ".join(SENTENCES)


def predicted(
    folder: Path, examples: Sequence[Any], batch_sizes: list[int] | None = None
) -> list[Any]:
    """Return what a folder's model predicts, and note the sizes of its batches."""
    on_batch = (batch_sizes if batch_sizes is not None else []).append
    return load(folder).predictor(batch_size=4, on_batch=on_batch).predict(examples)


def preprocessor_for(folder: Path, name: str) -> TaskPreprocessor:
    """Return the task's side of evaluation."""
    return make_preprocessor(TASKS_BY_NAME[name], SETTINGS, read_checkpoint(folder).tokenizer)


def outputs_of_evaluation(
    run: ModelFunction, preprocessor: TaskPreprocessor, features: Features
) -> ExampleOutputs:
    return predict_outputs(
        run, features, preprocessor.inputs, max_length=preprocessor.config.sequence_length
    )


def logits_of_evaluation(folder: Path, name: str, examples: Sequence[Example]) -> np.ndarray:
    """Return the logits that evaluation would score."""
    preprocessor = preprocessor_for(folder, name)
    features = make_features(
        examples,
        preprocessor.tokenizer,
        SETTINGS.sequence_length,
        max_choice_length=8,
        are_apart=name == "apart",
    )
    run = reference_function(read_checkpoint(folder))
    return np.stack(outputs_of_evaluation(run, preprocessor, features)["logits"])


def test_labels_are_those_of_evaluation(tokenizer: SentencePieceTokenizer, tmp_path: Path) -> None:
    folder, sizes = save_task_model(tmp_path, TASKS_BY_NAME["topic"], tokenizer), []
    found = predicted(folder, [{"text": text} for text in (*SENTENCES, "Bread.")], sizes)
    examples = [Example(id="", texts=(text,), target=None) for text in (*SENTENCES, "Bread.")]
    shares = softmax(logits_of_evaluation(folder, "topic", examples), axis=1)
    labels = TASKS_BY_NAME["topic"].labels
    assert [one.label for one in found] == [labels[best] for best in shares.argmax(axis=1)]
    found_shares = [list(one.probabilities.values()) for one in found]
    np.testing.assert_allclose(found_shares, shares, atol=2e-6)
    assert [one.is_truncated for one in found] == [True] * len(SENTENCES) + [False]
    assert sizes == [4, 4, 1]


@pytest.mark.parametrize("name", ["sea", "apart"])
def test_scores_of_pairs_are_those_of_evaluation(
    tokenizer: SentencePieceTokenizer, tmp_path: Path, name: str
) -> None:
    folder = save_task_model(tmp_path, TASKS_BY_NAME[name], tokenizer)
    pairs = [(SENTENCES[0], SENTENCES[1]), ("Bread.", "Dogs."), ("Bread.", "")]
    found = predicted(folder, [{"text": one, "text_b": other} for one, other in pairs])
    examples = [Example(id="", texts=pair, target=None) for pair in pairs]
    logits = logits_of_evaluation(folder, name, examples)
    np.testing.assert_allclose([one.score for one in found], logits[:, 0], atol=2e-6)
    assert [one.is_truncated for one in found] == [True, False, False]


def test_choices_are_those_of_evaluation_however_many(
    tokenizer: SentencePieceTokenizer, tmp_path: Path
) -> None:
    folder = save_task_model(tmp_path, TASKS_BY_NAME["held"], tokenizer)
    sets = [("Bread.", "dogs", "apples"), ("Dogs.", "a", "b", "c"), ("Two.", "c", LONG)]
    found = predicted(folder, [{"text": one, "choices": list(others)} for one, *others in sets])
    for texts, one in zip(sets, found, strict=True):
        example = Example(id="", texts=texts, target=None)
        shares = softmax(logits_of_evaluation(folder, "held", [example])[0])
        np.testing.assert_allclose(one.probabilities, shares, atol=2e-6)
        assert one.choice == shares.argmax()
    assert [one.is_truncated for one in found] == [False, False, True]


def test_questions_of_race_have_their_choices_filled_in(
    tokenizer: SentencePieceTokenizer, tmp_path: Path
) -> None:
    folder = save_task_model(tmp_path, TASKS_BY_NAME["race"], tokenizer)
    asked = {"text": "Bread.", "question": "Who _ ?", "choices": ["sold", "ate"]}
    example = Example(id="", texts=("Bread.", "Who sold ?", "Who ate ?"), target=None)
    (found,) = predicted(folder, [asked])
    shares = softmax(logits_of_evaluation(folder, "race", [example])[0])
    np.testing.assert_allclose(found.probabilities, shares, atol=2e-6)


@pytest.mark.parametrize("name", ["whale", "no-whale"])
def test_answers_are_those_of_evaluation(
    tokenizer: SentencePieceTokenizer, tmp_path: Path, name: str
) -> None:
    folder, task = save_task_model(tmp_path, TASKS_BY_NAME[name], tokenizer), TASKS_BY_NAME[name]
    asked = [("Who?", SENTENCES[2]), ("Where?", "on the door"), (SENTENCES[0], SENTENCES[1])]
    items = [{"question": one, "context": other} for one, other in asked]
    questions = [
        Question(id=str(number), question=one, context=other)
        for number, (one, other) in enumerate(asked)
    ]
    preprocessor = preprocessor_for(folder, name)
    made = make_question_features(
        questions,
        tokenizer,
        sequence_length=20,
        doc_stride=QUESTIONS.doc_stride,
        max_query_length=QUESTIONS.max_query_length,
        with_answers=False,
    )
    data = TaskData(examples=questions, features=made.features, windows=made.windows)
    run = reference_function(read_checkpoint(folder))
    outputs = outputs_of_evaluation(run, preprocessor, data.features)
    answers = evaluate_outputs(preprocessor, data, outputs, threshold=0.0).answers
    found = predicted(folder, items)
    for number, one in enumerate(found):
        best = answers.n_best()[str(number)]
        texts = [candidate.text for candidate in one.candidates] or [""]
        assert texts == [own["text"] for own in best]
        for span in one.candidates:
            assert asked[number][1][span.start :].startswith(span.text)
        np.testing.assert_allclose(one.probability, best[0]["probability"], atol=2e-5)
        if task.has_unanswerable:
            np.testing.assert_allclose(one.null_odds, answers.null_odds[str(number)], atol=2e-5)
        is_answered = not task.has_unanswerable or one.null_odds < 0.0
        assert one.answer == (best[0]["text"] if is_answered else "")
    assert [one.is_truncated for one in found] == [False, False, True]


def test_contexts_without_pieces_are_refused_each_by_itself(
    tokenizer: SentencePieceTokenizer, tmp_path: Path
) -> None:
    folder = save_task_model(tmp_path, TASKS_BY_NAME["whale"], tokenizer)
    strange = {"question": "Where?", "context": "⅓⅔⅛⅜ ⅝⅞"}
    found = predicted(folder, [strange, {**strange, "context": "on the door"}])
    assert isinstance(found[0], InvalidExample)
    assert found[1].answer
    assert isinstance(predicted(folder, [strange])[0], InvalidExample)


def test_a_question_as_long_as_all_that_is_read_leaves_room_for_the_context(
    tokenizer: SentencePieceTokenizer, tmp_path: Path
) -> None:
    folder = save_task_model(tmp_path, TASKS_BY_NAME["whale"], tokenizer)
    edit_json(folder / "finetuning.json", questions={"max_query_length": 64})
    (found,) = predicted(folder, [{"question": LONG, "context": "on the door"}])
    assert found.is_truncated


def test_masks_are_filled_with_the_likeliest_tokens(
    tokenizer: SentencePieceTokenizer, tmp_path: Path
) -> None:
    folder = save_pretrained_model(tmp_path, tokenizer)
    texts = ("The [MASK] sold [MASK].", "[MASK]")
    found = load(folder).fill_mask(texts, top_k=2)
    model = build_model(read_checkpoint(folder))
    for text, one in zip(texts, found, strict=True):
        special = tokenizer.special_ids
        ids = np.array([[special.cls, *encode_masked(tokenizer, text), special.sep]])
        places = np.flatnonzero(ids[0] == special.mask)[None]
        inputs = {"input_ids": ids, "masked_lm_positions": places}
        logits = np.asarray(model(inputs, training=False)["masked_lm_logits"])[0]
        for row, tokens in zip(softmax(logits, axis=-1), one.masks, strict=True):
            best = np.argsort(-row)[:2]
            assert [token.token for token in tokens] == [tokenizer.pieces[k] for k in best]
            np.testing.assert_allclose([t.probability for t in tokens], row[best], atol=2e-6)
    first, second = (tokens[0].text for tokens in found[0].masks)
    assert found[0].filled == f"The {first} sold {second}."


def test_too_many_masks_or_tokens_are_refused(
    tokenizer: SentencePieceTokenizer, tmp_path: Path
) -> None:
    folder = save_pretrained_model(tmp_path, tokenizer)
    items = [{"text": text} for text in ("[MASK]" * 17, f"[MASK] {LONG}", "a [MASK]")]
    masked, long, found = predicted(folder, items)
    assert masked.got == "17 masks"
    assert long.expected == "at most 22 of the vocabulary"
    assert len(found.masks) == 1


def test_a_mask_gets_one_token_or_more(tokenizer: SentencePieceTokenizer, tmp_path: Path) -> None:
    model = load(save_pretrained_model(tmp_path, tokenizer))
    for count in (0, -1):
        with pytest.raises(InputError, match=f"top_k: got {count}, expected 1 or more"):
            model.fill_mask(["The [MASK]."], top_k=count)


def test_a_context_that_no_answer_fits_into_has_none(
    tokenizer: SentencePieceTokenizer, tmp_path: Path
) -> None:
    """The likeliest start lies behind the likeliest end, and no other is looked at."""
    model = load(save_task_model(tmp_path, TASKS_BY_NAME["whale"], tokenizer))

    def run(inputs: ModelInputs) -> ModelOutputs:
        logits = np.broadcast_to(np.arange(inputs["input_ids"].shape[1]), inputs["input_ids"].shape)
        logits = logits * inputs["input_mask"]
        return {"start_logits": logits, "end_logits": -logits}

    questions = dataclasses.replace(model.settings.questions, n_best_size=1)
    settings = dataclasses.replace(model.settings, questions=questions)
    mute = dataclasses.replace(model, run=run, settings=settings)
    (found,) = mute.predict([("Who?", "on the door")])
    assert (found.answer, found.start, found.probability) == ("", None, 0.0)
    assert not found.candidates


def test_what_follows_a_mask_begins_a_word_only_after_a_space(
    tokenizer: SentencePieceTokenizer,
) -> None:
    mask, stop = tokenizer.special_ids.mask, tokenizer.token_ids(["."])
    assert encode_masked(tokenizer, "the [MASK].") == [*tokenizer.encode("the"), mask, *stop]
    assert encode_masked(tokenizer, "[MASK] the") == [mask, *tokenizer.encode("the")]
    assert encode_masked(tokenizer, "[MASK][MASK]") == [mask, mask]
    assert encode_masked(tokenizer, "the bread") == tokenizer.encode("the bread")


def test_the_threshold_for_no_answer_is_that_of_the_fine_tuning(
    tokenizer: SentencePieceTokenizer, tmp_path: Path
) -> None:
    folder = save_task_model(tmp_path, TASKS_BY_NAME["no-whale"], tokenizer)
    trials = [{"name": "a"}, {"name": "b", "null_threshold": -1e9}]
    write_json(folder / "trials.json", {"chosen": "b", "trials": trials})
    (found,) = predicted(folder, [{"question": "Where?", "context": "on the door"}])
    assert (found.answer, found.null_threshold) == ("", -1e9)
    assert load(folder).settings == SETTINGS


@pytest.mark.parametrize("to", ["onnx", "saved_model"])
def test_exports_are_run_by_their_own_runtimes(
    tokenizer: SentencePieceTokenizer, tmp_path: Path, to: ExportFormat
) -> None:
    folder = save_task_model(tmp_path / "model", TASKS_BY_NAME["topic"], tokenizer)
    with functions_run_eagerly(False):
        write_format(read_checkpoint(folder), tmp_path / "export", to=to)
    model = load(tmp_path / "export")
    assert (model.name, model.format, model.settings) == ("topic", to, SETTINGS)
    items = [{"text": text} for text in (SENTENCES[0], "Bread.")]
    expected = predicted(folder, items)
    for one, other in zip(predicted(tmp_path / "export", items), expected, strict=True):
        assert one.probabilities == pytest.approx(other.probabilities, abs=1e-4)
        assert one.is_truncated == other.is_truncated


def test_models_without_a_declared_task_go_by_their_heads(
    tokenizer: SentencePieceTokenizer, tmp_path: Path
) -> None:
    models = {
        "labels": classifier(3, MODEL_CONFIG, tokenizer=tokenizer),
        "score": classifier(1, MODEL_CONFIG, tokenizer=tokenizer),
        "answers": of_model(AlbertForQuestionAnswering(MODEL_CONFIG), tokenizer=tokenizer),
    }
    kinds = {}
    for name, checkpoint in models.items():
        save_folder(checkpoint, tmp_path / name)
        kinds[name] = load(tmp_path / name)
    assert [model.signature.kind for model in kinds.values()] == [
        "classification",
        "regression",
        "question_answering",
    ]
    assert kinds["labels"].signature.labels == ("0", "1", "2")
    assert kinds["labels"].signature.num_texts is None
    items = [{"text": "Bread.", "text_b": None}, {"text": "a", "text_b": "b"}]
    assert [one.label in "012" for one in predicted(tmp_path / "labels", items)] == [True, True]


def test_models_that_cannot_predict_are_refused(
    tokenizer: SentencePieceTokenizer, tmp_path: Path
) -> None:
    whole = classifier(2, MODEL_CONFIG, tokenizer=tokenizer)
    bare = dataclasses.replace(whole, weights=encoder_of(whole))
    save_folder(bare, tmp_path / "bare")
    with pytest.raises(InputError, match="encoder alone"):
        load(tmp_path / "bare").predict(["Bread."])
    save_folder(dataclasses.replace(whole, tokenizer=None), tmp_path / "mute")
    with pytest.raises(InputError, match="no vocabulary"):
        load(tmp_path / "mute").predict(["Bread."])
    with pytest.raises(
        InputError, match=r"holds the models \S+/bare, \S+/mute; give the path of one"
    ):
        load(tmp_path)
    shutil.rmtree(tmp_path / "bare")
    (tmp_path / "mute" / "task.json").write_text(json.dumps({"name": "x"}))
    save_folder(whole, tmp_path / "mute")
    with pytest.raises(InputError, match="task"):
        load(tmp_path / "mute")
