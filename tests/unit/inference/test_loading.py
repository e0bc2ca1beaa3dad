"""One function loads models of every format, and they predict the same."""

import dataclasses
import doctest
import itertools
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import SENTENCES

import albert_core
from albert_core.checkpoints import save_folder
from albert_core.checkpoints.side_files import read_pooling
from albert_core.errors import InputError
from albert_core.exports.description import describe_export
from albert_core.exports.formats import FORMATS, ExportFormat
from albert_core.inference import loading
from albert_core.inference.loaded_model import LoadedModel
from albert_core.model import AlbertForQuestionAnswering
from albert_core.tasks import Example, Question
from albert_core.tokenization import SentencePieceTokenizer
from tests.helpers.checkpoint_samples import edit_json, edit_weights, of_model
from tests.helpers.served_models import (
    MODEL_CONFIG,
    SETTINGS,
    TASKS_BY_NAME,
    Export,
    SaveModel,
)

# Keras, writing an archive, calls numpy in a way that it announces to change.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

# One of each kind, some of them cut or in several windows.
EXAMPLES: dict[str, Sequence[Any]] = {
    "topic": SENTENCES[:3],
    "sea": [(SENTENCES[0], SENTENCES[1]), ("Bread.", "Dogs.")],
    "averaged": SENTENCES[:3],
    "apart": [(SENTENCES[0], SENTENCES[1]), ("Bread.", "Dogs.")],
    "held": [("Bread.", ["dogs", "apples"]), ("Dogs.", ["a", "b", "c"])],
    "whale": [("Who?", SENTENCES[2]), ("Where?", "on the door")],
    "no-whale": [("Who?", SENTENCES[2]), ("Where?", "on the door")],
    "pretrained": ["The [MASK] sold [MASK].", "[MASK]"],
    "tags": [SENTENCES[0], ("Bread.", "Dogs.")],
    "choices": [("Bread.", ["dogs", "apples"])],
}
# Every format, and for every kind a format of weights and one with a graph. That each format
# computes what each kind of model does is tested where formats are.
FORMATS_BY_KIND: dict[str, tuple[ExportFormat, ...]] = {
    "topic": tuple(name for name, spec in FORMATS.items() if not spec.bounds.is_quantized),
    "sea": ("huggingface", "litert"),
    "averaged": ("keras_archive", "litert"),
    "apart": ("keras", "onnx"),
    "held": ("tf1", "litert"),
    "whale": ("huggingface", "saved_model"),
    "no-whale": ("tf1", "keras_archive"),
    "pretrained": ("huggingface", "onnx"),
    "tags": ("huggingface", "tf1", "keras", "litert"),
    "choices": ("huggingface", "keras", "onnx"),
}
TOLERANCE = 1e-4
HARMS = ("empty", "cut", "altered")
ENDS = ("index", "data-00000-of-00001")  # of the files with a SavedModel's weights


def assert_same(first: Any, second: Any) -> None:
    """Compare predictions: numbers within the tolerance of exports, everything else exactly."""
    if dataclasses.is_dataclass(first):
        assert type(first) is type(second)
        first, second = (vars(prediction) for prediction in (first, second))
    if isinstance(first, float):
        assert first == pytest.approx(second, abs=TOLERANCE)
    elif isinstance(first, dict):
        assert first.keys() == second.keys()
        for name, value in first.items():
            assert_same(value, second[name])
    elif isinstance(first, list | tuple):
        assert len(first) == len(second)
        for one, other in zip(first, second, strict=True):
            assert_same(one, other)
    else:
        assert first == second


@pytest.mark.parametrize("kind", EXAMPLES)
def test_models_of_a_kind_predict_the_same_in_other_formats(
    save_model: SaveModel, export: Export, tmp_path: Path, kind: str
) -> None:
    model = albert_core.load(save_model(kind, tmp_path))
    expected = model.predict(EXAMPLES[kind])
    for to in FORMATS_BY_KIND[kind]:
        loaded = albert_core.load(export(kind, to))
        assert (loaded.config, loaded.task, loaded.format) == (model.config, model.task, to)
        assert loaded.tokenizer.content_hash() == model.tokenizer.content_hash()
        assert (loaded.settings, loaded.signature) == (model.settings, model.signature)
        assert_same(loaded.predict(EXAMPLES[kind]), expected)


@pytest.mark.parametrize("kind", ["topic", "pretrained"])
def test_vectors_are_the_same_in_every_format_that_has_them(
    save_model: SaveModel, export: Export, tmp_path: Path, kind: str
) -> None:
    model = albert_core.load(save_model(kind, tmp_path))
    texts = ["Bread.", ("Dogs.", "Two sleeping dogs."), SENTENCES[0]]
    for to in FORMATS_BY_KIND[kind]:
        loaded = dataclasses.replace(albert_core.load(export(kind, to)), settings=model.settings)
        if kind == "topic" and to in ("onnx", "litert"):
            with pytest.raises(InputError, match="no output sequence_output, only logits"):
                loaded.encode(texts)
            continue
        for pooling in ("mean", "cls", "pooler"):
            expected = model.encode(texts, pooling=pooling)
            np.testing.assert_allclose(
                loaded.encode(texts, pooling=pooling), expected, atol=TOLERANCE
            )


def test_vectors_are_means_first_tokens_or_the_poolers_of_the_encoder(
    save_model: SaveModel, tmp_path: Path
) -> None:
    model = albert_core.load(save_model("topic", tmp_path))
    texts = ["Bread.", "Two dogs."]
    tokenizer, vectors = model.tokenizer, {}
    encoder = model.open_encoder()
    for text in texts:
        special = tokenizer.special_ids
        ids = np.array([[special.cls, *tokenizer.encode(text), special.sep]], np.int32)
        outputs = encoder(
            {"input_ids": ids, "input_mask": np.ones_like(ids), "segment_ids": np.zeros_like(ids)}
        )
        tokens = outputs["sequence_output"][0]
        for name, vector in (
            ("mean", tokens.mean(axis=0)),
            ("cls", tokens[0]),
            ("pooler", outputs["pooled_output"][0]),
        ):
            vectors.setdefault(name, []).append(vector)
    for pooling, expected in vectors.items():
        found = model.encode(texts, pooling=pooling, batch_size=1)
        assert found.shape == (2, MODEL_CONFIG.hidden_size)
        np.testing.assert_allclose(found, expected, atol=2e-6)
    assert model.encode([]).shape == (0, MODEL_CONFIG.hidden_size)
    with pytest.raises(InputError, match="pooling: got median, expected one of mean, cls, pooler"):
        model.encode(texts, pooling="median")


def test_a_pooler_that_is_not_there_is_not_pooled(
    tokenizer: SentencePieceTokenizer, tmp_path: Path
) -> None:
    checkpoint = of_model(AlbertForQuestionAnswering(MODEL_CONFIG), tokenizer=tokenizer)
    weights = {n: a for n, a in checkpoint.weights.items() if not n.startswith("bert/pooler/")}
    save_folder(dataclasses.replace(checkpoint, weights=weights), tmp_path)
    model = albert_core.load(tmp_path)
    assert model.encode(["Bread."]).any()
    with pytest.raises(InputError, match="has no pooler"):
        model.encode(["Bread."], pooling="pooler")


@pytest.mark.parametrize(
    ("kind", "ways"),
    [
        ("topic", ["a", ("a",), {"text": "a"}, Example(id="7", texts=("a",), target=1.0)]),
        ("sea", [("a", "b"), {"text": "a", "text_b": "b"}]),
        ("held", [("a", ["b", "c"]), {"text": "a", "choices": ("b", "c")}]),
        (
            "race",
            [("a", "b _", ["c", "d"]), {"text": "a", "question": "b _", "choices": ["c", "d"]}],
        ),
        ("whale", [("a", "the"), Question(id="", question="a", context="the")]),
        ("pretrained", ["[MASK] a", {"text": "[MASK] a"}]),
    ],
)
def test_examples_may_be_written_in_several_ways(
    save_model: SaveModel, tmp_path: Path, kind: str, ways: list[Any]
) -> None:
    first, *others = albert_core.load(save_model(kind, tmp_path)).predict(ways)
    for other in others:
        assert_same(other, first)


def test_examples_of_another_kind_are_refused(save_model: SaveModel, tmp_path: Path) -> None:
    model = albert_core.load(save_model("sea", tmp_path / "sea"))
    for wrong in ("a", ("a", "b", "c"), ("a", 1), {"text": "a"}, {"question": "a"}, 1):
        with pytest.raises(InputError, match=r"examples\[1\]: got .*text_b \(text\)"):
            model.predict([("a", "b"), wrong])
    with pytest.raises(InputError, match="got one for regression, expected a pretrained one"):
        model.fill_mask(["[MASK]"])
    pretrained = albert_core.load(save_model("pretrained", tmp_path / "pretrained"))
    with pytest.raises(InputError, match=r"examples\[1\].text: got no mask"):
        pretrained.fill_mask(["[MASK]", "a"])


def test_heads_that_are_not_the_tasks_are_refused(save_model: SaveModel, tmp_path: Path) -> None:
    folder = save_model("topic", tmp_path)
    edit_json(folder / "task.json", labels=["sea", "farm"])
    with pytest.raises(InputError, match="do not fit the model"):
        albert_core.load(folder)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_no_numbers_are_refused(
    save_model: SaveModel, tmp_path: Path, value: float
) -> None:
    folder = save_model("topic", tmp_path)
    edit_weights(
        folder / "model.safetensors",
        lambda arrays: arrays.update(output_bias=np.full_like(arrays["output_bias"], value)),
    )
    with pytest.raises(InputError, match="output_bias holds NaN or infinite values, expected num"):
        albert_core.load(folder)


@pytest.mark.parametrize(
    ("to", "file", "harm"),
    [
        *itertools.product(["keras_archive"], ["model.keras"], HARMS),
        *itertools.product(["saved_model"], [f"variables/variables.{end}" for end in ENDS], HARMS),
        # Not `altered`: TensorFlow has no checksum of the graph.
        *itertools.product(["saved_model"], ["saved_model.pb"], ["empty", "cut"]),
    ],
)
def test_a_damaged_export_is_refused(
    export: Export, tmp_path: Path, to: ExportFormat, file: str, harm: str
) -> None:
    folder = shutil.copytree(export("topic", to), tmp_path / to)
    content = (folder / file).read_bytes()
    middle = len(content) // 2
    altered = bytes([content[middle] ^ 0xFF])
    harmed = {
        "empty": b"",
        "cut": content[:middle],
        "altered": content[:middle] + altered + content[middle + 1 :],
    }
    (folder / file).write_bytes(harmed[harm])
    with pytest.raises(InputError, match=r"cannot (open|load) it \(.*\); copy or export it again"):
        albert_core.load(folder)


def test_a_precision_that_there_is_not_is_refused(save_model: SaveModel, tmp_path: Path) -> None:
    folder = save_model("topic", tmp_path)
    with pytest.raises(InputError, match="precision: got 'float16', expected one of auto, float32"):
        albert_core.load(folder, precision="float16")  # type: ignore[arg-type]


def test_how_many_answers_are_searched_is_a_setting_of_the_model(
    save_model: SaveModel, tmp_path: Path
) -> None:
    folder = save_model("no-whale", tmp_path)
    questions = dataclasses.asdict(SETTINGS.questions) | {"start_n_top": 1, "end_n_top": 1}
    edit_json(folder / "finetuning.json", questions=questions)
    examples = [("Who?", text) for text in SENTENCES]
    predictions = albert_core.load(folder).predict(examples)
    # None where the one pair of ends that was searched is no span of the context.
    assert {len(prediction.candidates) for prediction in predictions} <= {0, 1}
    assert any(prediction.candidates for prediction in predictions)


def test_the_example_of_the_docstring_runs(
    save_model: SaveModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (example,) = doctest.DocTestFinder(recurse=False).find(
        albert_core.load, globs={}, module=loading
    )
    (path,) = {line.split('"')[1] for line in example.docstring.splitlines() if "load(" in line}
    save_model("topic", tmp_path / path)
    monkeypatch.chdir(tmp_path)
    runner = doctest.DocTestRunner()
    runner.run(example)
    assert runner.tries == 5
    assert not runner.failures


def test_what_is_loaded_knows_its_task_and_settings(save_model: SaveModel, tmp_path: Path) -> None:
    model = albert_core.load(save_model("topic", tmp_path))
    assert isinstance(model, LoadedModel)
    assert (model.task, model.settings) == (TASKS_BY_NAME["topic"], SETTINGS)
    assert (model.name, model.format, model.config) == ("topic", "keras", MODEL_CONFIG)


def test_an_export_says_what_its_head_reads(export: Export, tmp_path: Path) -> None:
    folder = shutil.copytree(export("apart", "onnx"), tmp_path / "apart")
    described = describe_export(folder)
    assert described is not None
    assert described.pooling == albert_core.load(folder).settings.pooling == "siamese"
    edit_json(folder / "head.json", pooling="median")
    with pytest.raises(InputError, match="got pooling 'median', expected one of pooler, mean, la"):
        albert_core.load(folder)
    # As in earlier versions, which had no other and did not name it.
    (folder / "head.json").unlink()
    assert read_pooling(folder) == "pooler"
