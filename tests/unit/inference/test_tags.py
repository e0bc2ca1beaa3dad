"""Words of texts get the tags of training, with places in the text, wherever one asks."""

import json
from pathlib import Path

import numpy as np
import pydantic
import pytest
from conftest import SENTENCES

from albert_core.errors import InputError
from albert_core.finetuning.evaluators import evaluate_outputs
from albert_core.finetuning.prediction import predict_outputs
from albert_core.inference import InvalidExample, LoadedModel, PredictedTags, load
from albert_core.inference.file_prediction import predict_file
from albert_core.inference.words import split_words
from albert_core.tasks import TaggedSentence
from albert_core.tasks.entities import find_entities
from pipeline.serving.answers import make_answer_function
from pipeline.serving.config import ServingConfig
from pipeline.serving.errors import from_validation_error
from pipeline.serving.schemas import example_type, response_type
from tests.helpers.served_models import SaveModel

TEXT = "  The harbour master (Ann Lee) left for the U.K.: 12,400 crates!"


@pytest.fixture(scope="module")
def model(save_model: SaveModel, tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    return load(save_model("roles", tmp_path_factory.mktemp("roles")))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Ann Lee (of Rome).", ["Ann", "Lee", "(", "of", "Rome", ")", "."]),
        (
            "the U.K., don't  go\tto x-y...",
            ["the", "U.K", ".", ",", "don't", "go", "to", "x-y", ".", ".", "."],
        ),
        ("東京 is 大きい", ["東", "京", "is", "大", "き", "い"]),
        ("$5 'twas — ok", ["$", "5", "'", "twas", "—", "ok"]),
        (" \n ", []),
    ],
)
def test_words_are_split_at_spaces_and_signs(text: str, words: list[str]) -> None:
    assert [text[begin:end] for begin, end in split_words(text)] == words


def test_places_are_those_in_the_text(model: LoadedModel) -> None:
    (prediction,) = model.predict([TEXT])
    assert isinstance(prediction, PredictedTags)
    assert [word.word for word in prediction.words][:8] == [
        "The",
        "harbour",
        "master",
        "(",
        "Ann",
        "Lee",
        ")",
        "left",
    ]
    for one in prediction.words:
        assert TEXT[one.start : one.end] == one.word
        assert one.label in model.signature.labels
        assert 1 / 5 <= one.probability <= 1
    tags = [word.label for word in prediction.words]
    for found, expected in zip(prediction.entities, find_entities(tags), strict=True):
        parts = prediction.words[expected.first : expected.last + 1]
        assert (found.label, found.start, found.end) == (
            expected.type,
            parts[0].start,
            parts[-1].end,
        )
        assert found.text == TEXT[found.start : found.end]
        assert found.probability == pytest.approx(np.mean([one.probability for one in parts]))
    assert not prediction.is_truncated


def test_a_list_of_words_is_tagged_as_in_evaluation(model: LoadedModel, tmp_path: Path) -> None:
    words = " ".join(SENTENCES).split()  # of several windows
    sentence = TaggedSentence(id="0", words=tuple(words))
    one, *others = model.predict([words, {"text": words}, sentence])
    for other in others:
        assert [word.word for word in other.words] == words
        assert labels_of(other) == labels_of(one)
    assert " ".join(words)[one.words[9].start : one.words[9].end] == words[9]
    preprocessor = model.preprocessor()
    (tmp_path / "dev.conll").write_text("".join(f"{word} O\n" for word in words))
    data = preprocessor.read(tmp_path, "dev")
    outputs = predict_outputs(model.run, data.features, preprocessor.inputs, max_length=20)
    evaluator = evaluate_outputs(preprocessor, data, outputs)
    assert len(data.windows) > 3
    assert labels_of(one) == [model.signature.labels[number] for number in evaluator.predicted[0]]


def labels_of(prediction: PredictedTags) -> list[str]:
    return [word.label for word in prediction.words]


def test_what_is_no_text_is_refused(model: LoadedModel) -> None:
    for wrong in (7, [], ["a", 7], {"text": "a", "text_b": "b"}, ["a", " "]):
        with pytest.raises(InputError, match=r"examples\[0\]"):
            model.predict([wrong])
    blank, good = model.predictor().predict(["  ", "a"])
    assert isinstance(blank, InvalidExample)
    assert len(good.words) == 1
    (long,) = model.predict(["crumbs" * 40])
    assert long.is_truncated


def test_files_hold_texts_or_words(model: LoadedModel, tmp_path: Path) -> None:
    rows = [{"text": "Ann left."}, {"text": ["Ann", "left."]}]
    (tmp_path / "in.jsonl").write_text("\n".join(map(json.dumps, rows)))
    predict_file(model, str(tmp_path / "in.jsonl"), str(tmp_path / "out.jsonl"))
    found = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [[word["word"] for word in row["words"]] for row in found] == [
        ["Ann", "left", "."],
        ["Ann", "left."],
    ]
    assert found[0]["words"][1].keys() == {"word", "label", "start", "end", "probability"}
    (tmp_path / "blank.conll").write_text("Ann\n\u00a0\n\nleft.\n")
    predict_file(model, str(tmp_path / "blank.conll"), str(tmp_path / "out.jsonl"))
    first, second = map(json.loads, (tmp_path / "out.jsonl").read_text().splitlines())
    assert first == {"error": "text: got a blank word, expected words"}
    assert [word["word"] for word in second["words"]] == ["left."]
    (tmp_path / "in.conll").write_text("-DOCSTART- O\n\nAnn B-THING\nleft. O\n\nShe\n")
    assert predict_file(model, str(tmp_path / "in.conll"), str(tmp_path / "out.jsonl")) == (2, 0)
    first, second = map(json.loads, (tmp_path / "out.jsonl").read_text().splitlines())
    for row, words in ((first, ["Ann", "left."]), (second, ["She"])):
        assert [word["word"] for word in row["words"]] == words
    for name in ("out.tsv", "out.parquet"):
        assert predict_file(model, str(tmp_path / "in.jsonl"), str(tmp_path / name)) == (2, 0)


def test_answers_of_the_server_say_the_same(model: LoadedModel) -> None:
    example = example_type(model, ServingConfig())
    asked = [example(text=TEXT).model_dump(), example(text=["Ann", "left."]).model_dump()]
    answers = make_answer_function(model.predictor())(asked)
    response_type(model)(predictions=answers)
    for answer, expected in zip(answers, model.predict(asked), strict=True):
        for one, other in zip(answer.words, expected.words, strict=True):
            assert (one.word, one.label, one.start, one.end) == (
                other.word,
                other.label,
                other.start,
                other.end,
            )
            assert one.probability == round(other.probability, 6)
        assert len(answer.entities) == len(expected.entities)
    for wrong, what, expected in (
        (" ", "text", "a text that is not empty"),
        (["a", " "], "text[1]", "a text that is not empty"),
        ([], "text", "1 or more items"),
        (
            ["a" * 3000] * 2,
            "text",
            "words of at most 5000 characters with a space between any two",
        ),
        (7, "text", "a string"),
    ):
        with pytest.raises(pydantic.ValidationError) as raised:
            example(text=wrong)
        (error,) = raised.value.errors()
        refusal = from_validation_error({**error, "loc": ("body", *error["loc"])})
        assert (refusal.what, refusal.expected) == (what, expected)
