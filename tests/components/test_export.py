"""Models in other formats: proven the same, held back below a threshold, never half."""

import json
from pathlib import Path
from typing import Any

import pytest
from checkpoint_samples import CONFIG, classifier, names_in, of_model, pretrained

from albert_core.checkpoints import Checkpoint, read_checkpoint, save_folder
from albert_core.errors import InputError, StepFailedError
from albert_core.model import (
    AlbertForMultipleChoice,
    AlbertForQuestionAnswering,
    AlbertForQuestionAnsweringWithBeam,
)
from albert_core.runs.manifest import find_manifest
from albert_core.runs.step import run_step
from components.export.config import ExportConfig, ExportFormat
from components.export.step import export_model, export_models
from pipeline.cli import main

WEIGHTS: tuple[ExportFormat, ...] = ("huggingface", "tf1", "keras")
CHOICES = {"name": "race", "kind": "multiple_choice"}


def saved(checkpoint: Checkpoint, folder: Path) -> Path:
    save_folder(checkpoint, folder)
    if checkpoint.task:
        (folder / "task.json").write_text(json.dumps(checkpoint.task))
    return folder


@pytest.mark.parametrize(
    ("checkpoint", "architecture"),
    [
        (lambda: pretrained(), "AlbertForPreTraining"),
        (lambda: classifier(3), "AlbertForSequenceClassification"),
        (
            lambda: of_model(AlbertForMultipleChoice(CONFIG), task=CHOICES),
            "AlbertForMultipleChoice",
        ),
        (lambda: of_model(AlbertForQuestionAnswering(CONFIG)), "AlbertForQuestionAnswering"),
    ],
)
def test_every_model_is_the_same_in_every_format(checkpoint, architecture, tokenizer, tmp_path):
    own = checkpoint()
    model = saved(Checkpoint(**{**vars(own), "tokenizer": tokenizer}), tmp_path / "model")
    manifest = export_model(model=model, formats=WEIGHTS, output=tmp_path / "out")
    assert names_in(tmp_path / "out") == {*WEIGHTS, "manifest.json"}
    assert manifest.figures == dict.fromkeys(WEIGHTS, 0.0)
    for name in WEIGHTS:
        found = read_checkpoint(tmp_path / "out" / name)
        assert found.heads == own.heads
        assert found.task == own.task
        assert found.tokenizer.content_hash() == tokenizer.content_hash()
    config = json.loads((tmp_path / "out/huggingface/config.json").read_text())
    assert config["architectures"] == [architecture]


def test_a_head_that_transformers_does_not_have_is_refused(tmp_path):
    model = saved(of_model(AlbertForQuestionAnsweringWithBeam(CONFIG)), tmp_path / "model")
    assert export_model(model=model, formats=("tf1",), output=tmp_path / "tf1").figures
    with pytest.raises(InputError, match="transformers has no ALBERT with the heads span_beam"):
        export_model(model=model, formats=("tf1", "huggingface"), output=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_model_that_changed_is_not_published(tmp_path, monkeypatch):
    model = saved(classifier(2), tmp_path / "model")
    monkeypatch.setattr("albert_core.checkpoints.conversion.LARGEST_DIFFERENCE", -1.0)
    with pytest.raises(StepFailedError, match="outputs changed"):
        export_model(model=model, formats=("keras",), output=tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.fixture
def finetuned(tmp_path):
    """Make a model of a task and its evaluation, as the steps would leave them."""

    def make(task: str, score: float, initialization: str = "pretrained") -> tuple[Path, Path]:
        folder = tmp_path / f"{task} {initialization}"
        model = saved(classifier(2, task={"name": task}), folder / "model")

        def body(results: Path, _: Path) -> dict[str, Any]:
            (results / "metrics.json").write_text(json.dumps({"accuracy": score}))
            return {"accuracy": score, "low": 0.0, "high": 1.0}

        run_step(
            "evaluate",
            config={"task": task, "initialization": initialization},
            inputs={"model": folder.name, "data": "d"},
            output=folder / "scores",
            body=body,
        )
        return model, folder / "scores"

    return make


def test_a_run_exports_the_models_that_reach_their_thresholds(finetuned, tmp_path):
    runs = [finetuned("good", 0.8), finetuned("good", 0.5, "random"), finetuned("bad", 0.79)]
    models, evaluations = zip(*[*runs, finetuned("free", 0.1)], strict=True)
    manifest = export_models(
        models=models,
        evaluations=evaluations,
        config=ExportConfig(formats=("keras",), thresholds={"good": 0.8, "bad": 0.8}),
        output=tmp_path / "out",
    )
    assert names_in(tmp_path / "out") == {"good", "free", "export.json", "manifest.json"}
    assert read_checkpoint(tmp_path / "out/good/keras").task == {"name": "good"}
    assert manifest.figures == {"num_exported": 2, "num_held_back": 1, "largest_difference": 0.0}
    rows = {
        row["task"]: row for row in json.loads((tmp_path / "out/export.json").read_text())["models"]
    }
    assert rows["bad"]["differences"] == {}
    assert (rows["bad"]["score"], rows["bad"]["threshold"]) == (0.79, 0.8)
    assert rows["good"]["differences"] == {"keras": 0.0}


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"thresholds": {"cola": 0.5}}, "got some without export.formats"),
        ({"formats": ("keras",), "thresholds": {"cola": 50}}, "export.thresholds.cola: got 50"),
        ({"formats": ("keras", "keras")}, "expected each of them once"),
    ],
)
def test_settings_that_do_nothing_or_mean_something_else_are_refused(settings, reason):
    with pytest.raises(InputError, match=reason):
        ExportConfig(**settings)


def test_the_command_publishes_a_folder_for_each_format(capsys, tmp_path):
    model = saved(classifier(2), tmp_path / "model")
    command = ["export", str(model), "--to", "huggingface,tf1", "--output", str(tmp_path / "out")]
    assert main(command) == 0
    assert "huggingface 0.0, tf1 0.0" in capsys.readouterr().out
    assert find_manifest(tmp_path / "out").config["formats"] == ["huggingface", "tf1"]
    assert main([*command[:3], "pytorch", *command[4:]]) == 2
    assert "pytorch" in capsys.readouterr().err
    assert main(["export", str(tmp_path / "nowhere"), *command[2:]]) == 2
    assert "no folder" in capsys.readouterr().err
