"""The page about Python is true: its examples run, one after the other."""

import contextlib
import dataclasses
import io
import re
from pathlib import Path

import numpy as np
import pytest

import albert_core
from albert_core.inference import (
    AnswerSpan,
    PredictedAnswer,
    PredictedChoice,
    PredictedLabel,
    PredictedTags,
)
from albert_core.tasks import TASKS
from albert_core.tokenization import SentencePieceTokenizer
from tests.helpers.documented import ROOT
from tests.helpers.served_models import save_pretrained_model, save_task_model
from tests.helpers.tiny_tasks import TINY_TASKS

_BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
_TASKS = ("cola", "sts-b", "squad2", "race")


@pytest.fixture(scope="module")
def folder(tokenizer: SentencePieceTokenizer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what the examples name."""
    folder = tmp_path_factory.mktemp("python")
    for name in _TASKS:
        save_task_model(folder / "runs" / "mine" / "models" / name, TASKS[name], tokenizer)
    tagging = dataclasses.replace(TINY_TASKS["roles"], name="ner")
    save_task_model(folder / "runs" / "mine" / "models" / "ner", tagging, tokenizer)
    save_pretrained_model(folder / "runs" / "mine" / "pretrained", tokenizer)
    (folder / "texts.txt").write_text("The ship sails again.\nA tram.\n", encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def variables(folder: Path) -> dict:
    """What the examples leave, and what they print as `printed`."""
    text = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")
    code = "\n".join(_BLOCK.findall(text))
    variables: dict = {}
    with contextlib.chdir(folder), contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(compile(code, "docs/python.md", "exec"), variables)
    return {**variables, "printed": printed.getvalue()}


def test_the_examples_do_what_the_page_says(variables: dict, folder: Path) -> None:
    assert isinstance(variables["prediction"], PredictedLabel)
    assert variables["prediction"].label in TASKS["cola"].labels
    assert isinstance(variables["pair"].score, float)
    assert isinstance(variables["found"], PredictedAnswer)
    assert isinstance(variables["found"].candidates[0], AnswerSpan)
    assert isinstance(variables["tags"], PredictedTags)
    assert isinstance(variables["choice"], PredictedChoice)
    assert len(variables["text"].masks[0]) == 3
    assert variables["vectors"].shape == (2, variables["pretrained"].config.hidden_size)
    assert (variables["num_rows"], variables["num_without_prediction"]) == (2, 0)
    first, *_ = (folder / "labels.csv").read_text(encoding="utf-8").splitlines()
    assert first.startswith("id,label,probability,probability_0,probability_1,is_truncated")
    listed = "runs/mine: holds the models runs/mine/models/cola, runs/mine/models/ner"
    assert listed in variables["printed"]


def test_the_folder_for_transformers_is_the_same_model(variables: dict) -> None:
    texts = ["The ship sails.", "A tram rings."]
    np.testing.assert_allclose(
        variables["again"].encode(texts), variables["pretrained"].encode(texts), atol=1e-6
    )


def test_a_model_of_an_export_without_a_checkpoint_is_refused_as_a_source(
    variables: dict, folder: Path
) -> None:
    model = dataclasses.replace(variables["model"], read_source=None, format="onnx")
    with pytest.raises(
        albert_core.InputError, match=r"got an export \(onnx\), expected the checkpoint"
    ):
        model.to_huggingface(folder / "never")
    with pytest.raises(albert_core.InputError, match="exists; choose a new or empty folder"):
        variables["model"].to_huggingface(folder / "runs")
