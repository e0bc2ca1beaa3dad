"""Models in other formats: proven the same, held back below a threshold, never half."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from albert_core.artifacts.manifest import find_manifest, read_manifest
from albert_core.artifacts.step import run_step
from albert_core.checkpoints import Checkpoint, read_checkpoint, save_folder
from albert_core.errors import InputError, StepFailedError
from albert_core.exports.formats import FORMATS, ExportFormat
from albert_core.exports.sentences import read_sentences
from albert_core.model import (
    AlbertForMultipleChoice,
    AlbertForQuestionAnswering,
    AlbertForQuestionAnsweringWithBeam,
)
from components.export.config import ExportConfig
from components.export.single_model import export_model
from components.export.step import export_models
from components.finetune.step import finetune
from pipeline.cli.main import main
from tests.helpers.checkpoint_samples import (
    KERNEL,
    classifier,
    names_in,
    of_model,
    pooled,
    pretrained,
)
from tests.helpers.export_samples import SINGLE, UNEVEN
from tests.helpers.tiny_tasks import (
    NUM_DEV,
    TINY_TASKS,
    tiny_finetuning,
    write_tiny_model,
    write_tiny_tasks,
)

WEIGHTS: tuple[ExportFormat, ...] = ("huggingface", "tf1", "keras")
TOPICS = {"name": "topics", "texts": ["text"], "labels": ["a", "b", "c"]}
CHOICES = {"name": "race", "kind": "multiple_choice"}


def saved(checkpoint: Checkpoint, folder: Path) -> Path:
    save_folder(checkpoint, folder)
    if checkpoint.task:
        (folder / "task.json").write_text(json.dumps(checkpoint.task))
    return folder


@pytest.mark.parametrize(
    ("checkpoint", "architecture"),
    [
        (lambda: pretrained(UNEVEN), "AlbertForPreTraining"),
        (lambda: classifier(3, SINGLE), "AlbertForSequenceClassification"),
        (
            lambda: of_model(AlbertForMultipleChoice(SINGLE), task=CHOICES),
            "AlbertForMultipleChoice",
        ),
        (lambda: of_model(AlbertForQuestionAnswering(SINGLE)), "AlbertForQuestionAnswering"),
    ],
)
def test_every_model_is_the_same_in_every_format(
    checkpoint, architecture, few, tokenizer, tmp_path
):
    own = checkpoint()
    model = saved(Checkpoint(**{**vars(own), "tokenizer": tokenizer}), tmp_path / "model")
    manifest = export_model(model=model, formats=WEIGHTS, output=tmp_path / "out", sentences=few)
    assert names_in(tmp_path / "out") == {*WEIGHTS, "manifest.json"}
    assert manifest.metrics == dict.fromkeys(WEIGHTS, 0.0)
    for name in WEIGHTS:
        found = read_checkpoint(tmp_path / "out" / name)
        assert found.heads == own.heads
        assert found.task == own.task
        assert found.tokenizer.content_hash() == tokenizer.content_hash()
    config = json.loads((tmp_path / "out/huggingface/config.json").read_text())
    assert config["architectures"] == [architecture]


def test_a_head_that_transformers_does_not_have_is_refused(tmp_path):
    model = saved(of_model(AlbertForQuestionAnsweringWithBeam(SINGLE)), tmp_path / "model")
    assert export_model(model=model, formats=("tf1",), output=tmp_path / "tf1").metrics
    with pytest.raises(InputError, match="transformers has no ALBERT with the heads span_beam"):
        export_model(model=model, formats=("tf1", "huggingface"), output=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_model_that_changed_is_not_published(tmp_path, monkeypatch):
    model = saved(classifier(2, SINGLE), tmp_path / "model")
    monkeypatch.setattr("albert_core.checkpoints.conversion.LARGEST_DIFFERENCE", -1.0)
    with pytest.raises(StepFailedError, match="outputs changed"):
        export_model(model=model, formats=("keras",), output=tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.fixture
def few(tmp_path) -> Path:
    """A file of sentences that is read faster than the one of the package."""
    path = tmp_path / "few.txt"
    path.write_text("\n".join(read_sentences()[:20]), encoding="utf-8")
    return path


def test_a_head_that_a_format_lacks_is_refused_before_anything_is_written(few, tmp_path):
    model = saved(pooled("siamese", SINGLE), tmp_path / "model")
    settings = {"model": model, "output": tmp_path / "out", "sentences": few}
    with pytest.raises(InputError, match=r"\(pooling siamese\), expected pooler, since tf1 has no"):
        export_model(formats=("keras", "tf1"), **settings)
    assert not (tmp_path / "out").exists()
    assert export_model(formats=("keras",), **settings).metrics


def altered(checkpoint: Checkpoint, folder: Path) -> None:
    """Write a model with one weight that is another's."""
    weights = {name: array.copy() for name, array in checkpoint.weights.items()}
    weights[KERNEL][0, 0] += 0.5
    FORMATS["keras"].write(dataclasses.replace(checkpoint, weights=weights), folder)


def truncated(checkpoint: Checkpoint, folder: Path) -> None:
    """Write a model whose file ends early, as on a full disk."""
    FORMATS["keras"].write(checkpoint, folder)
    data = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(data[: len(data) // 2])


def lost(checkpoint: Checkpoint, folder: Path) -> None:
    """Write nothing."""


def twice(checkpoint: Checkpoint, folder: Path) -> None:
    """Write a model and a second copy of every weight."""
    FORMATS["keras"].write(checkpoint, folder)
    (folder / "copy.bin").write_bytes(b"\0" * 200_000)


@pytest.mark.parametrize(
    ("write", "reason"),
    [
        (altered, r"not the same model: logits differ by \S+, allowed 0.0001"),
        (truncated, "does not run: weights .*model.safetensors"),
        (lost, "does not run: .*not a folder this program knows"),
        (twice, "files hold .* times the parameters' .*, allowed 1.1 times"),
    ],
)
def test_a_wrong_export_is_found_out_and_nothing_is_published(
    write, reason, few, tokenizer, tmp_path, monkeypatch
):
    model = saved(classifier(2, SINGLE, tokenizer=tokenizer), tmp_path / "model")
    damaging = dataclasses.replace(FORMATS["keras"], write=write)
    monkeypatch.setitem(FORMATS, "onnx", damaging)
    settings = {"model": model, "output": tmp_path / "out", "sentences": few}
    with pytest.raises(StepFailedError, match=f"export onnx of .*model: .*{reason}"):
        export_model(formats=("keras", "onnx"), **settings)
    assert not (tmp_path / "out").exists()


# Of Keras's own conversion of a variable of TensorFlow to an array.
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
@pytest.mark.parametrize("name", ["saved_model", "onnx", "onnx_int8", "litert", "keras_archive"])
def test_a_format_with_a_graph_is_proven_in_its_own_runtime(name, few, tokenizer, tmp_path):
    checkpoint = classifier(3, SINGLE, task=TOPICS, tokenizer=tokenizer)
    model = saved(checkpoint, tmp_path / "model")
    export_model(model=model, formats=(name,), output=tmp_path / "out", sentences=few)
    folder = tmp_path / "out" / name
    assert {"albert_config.json", "spiece.model", "task.json", "parity.json"} <= names_in(folder)
    parity = json.loads((folder / "parity.json").read_text())
    assert parity["passed"]
    assert parity["num_sentences"] == 20
    assert parity["differences"]["logits"] <= parity["bounds"]["difference"]


def test_a_format_that_nothing_here_runs_is_refused(tmp_path, monkeypatch):
    absent = dataclasses.replace(FORMATS["onnx"], packages=("onnx", "no_such_runtime"))
    monkeypatch.setitem(FORMATS, "onnx", absent)
    with pytest.raises(InputError, match="format onnx: needs no_such_runtime, which is not"):
        export_model(model=tmp_path, formats=("onnx",), output=tmp_path / "out")


@pytest.fixture(scope="module")
def topic(tmp_path_factory) -> tuple[Path, Path]:
    """A model fine-tuned on a task, and the folder of the tasks."""
    folder = tmp_path_factory.mktemp("topic")
    data = write_tiny_tasks(folder / "tasks")
    finetune(
        task=TINY_TASKS["topic"],
        data=data / "topic",
        pretrained=write_tiny_model(folder / "tiny"),
        initialization="pretrained",
        # Of those that are exported one is of the original, which has no other head.
        config=tiny_finetuning(
            learning_rate=0.01, num_train_steps=60, pooling="pooler", num_probe_examples=0
        ),
        output=folder / "topic",
    )
    return folder / "topic", data


@pytest.mark.usefixtures("eager")
def test_the_score_is_taken_before_and_after(topic, few, capsys, tmp_path):
    model, data = topic
    options = ["--data_dir", str(data), "--sentences", str(few), "--output", str(tmp_path / "out")]
    assert main(["export", str(model), "--to", "keras,tf1", *options]) == 0
    dev = read_manifest(model, step="finetune").metrics["accuracy"]
    assert dev > 0.5
    for name in ("keras", "tf1"):
        scores = json.loads((tmp_path / "out" / name / "parity.json").read_text())["scores"]
        assert scores["before"] == scores["after"] == pytest.approx(dev, abs=1e-4)
        assert (scores["metric"], scores["num_examples"]) == ("accuracy", NUM_DEV)
    (row,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith(" tf1")]
    assert row.split()[-3:] == [f"{100 * dev:.1f}", f"{100 * dev:.1f}", "accuracy"]


def contrary(checkpoint: Checkpoint, folder: Path) -> None:
    """Write a model that says the opposite of what it has learned."""
    weights = {**checkpoint.weights, "output_weights": -checkpoint.weights["output_weights"]}
    FORMATS["keras"].write(dataclasses.replace(checkpoint, weights=weights), folder)


@pytest.mark.usefixtures("eager")
def test_a_rounded_model_may_lose_so_much_of_its_score_and_no_more(
    topic, few, tmp_path, monkeypatch
):
    model, data = topic
    bounds = dataclasses.replace(FORMATS["onnx_int8"].bounds, difference=1.0)
    rounded = dataclasses.replace(FORMATS["keras"], write=contrary, bounds=bounds)
    monkeypatch.setitem(FORMATS, "onnx_int8", rounded)
    settings = {"model": model, "formats": ("onnx_int8",), "data_dir": data, "sentences": few}
    with pytest.raises(
        StepFailedError, match=r"accuracy is 0\.\d+, before 0\.\d+, allowed .* 0.02"
    ):
        export_model(**settings, output=tmp_path / "out")
    assert export_model(**settings, output=tmp_path / "out", max_score_loss=1.0).metrics


def test_a_loss_of_scores_that_are_not_measured_is_refused(tmp_path):
    settings = {"formats": ("onnx_int8",), "output": tmp_path / "out", "max_score_loss": 0.1}
    with pytest.raises(InputError, match=r"max_score_loss: got 0\.1 without data_dir"):
        export_model(model=tmp_path / "model", **settings)


def test_data_that_cannot_be_scored_is_refused(topic, tmp_path):
    model, _ = topic
    settings = {"formats": ("keras",), "output": tmp_path / "out", "data_dir": tmp_path}
    with pytest.raises(InputError, match=r"task topic: no dev.jsonl in .*expected the task's dev"):
        export_model(model=model, **settings)
    with pytest.raises(InputError, match="is no output of `albert finetune`"):
        export_model(model=saved(classifier(2, SINGLE), tmp_path / "model"), **settings)


def test_another_folder_and_other_sentences_are_looked_at(tokenizer, tmp_path):
    model = saved(classifier(2, SINGLE, tokenizer=tokenizer), tmp_path / "model")
    settings = {"model": model, "formats": ("keras",), "output": tmp_path / "out"}
    (tmp_path / "own.txt").write_text("One.\nTwo and three.\n", encoding="utf-8")
    export_model(**settings, sentences=tmp_path / "own.txt")
    parity = json.loads((tmp_path / "out/keras/parity.json").read_text())
    assert parity["num_sentences"] == parity["num_sequences"] == 2
    with pytest.raises(InputError, match="belongs to another configuration"):
        export_model(**settings)
    with pytest.raises(InputError, match="nowhere"):
        export_model(**settings, sentences=tmp_path / "nowhere.txt")


@pytest.fixture
def finetuned(tmp_path):
    """Make a model of a task and its evaluation, as the steps would leave them."""

    def make(task: str, score: float, initialization: str = "pretrained") -> tuple[Path, Path]:
        folder = tmp_path / f"{task} {initialization}"
        model = saved(classifier(2, SINGLE, task={"name": task}), folder / "model")

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


@pytest.mark.parametrize(
    "thresholds", [{"good": 0.8, "bad": 0.8}, {"*": 0.8, "free": 0.1}], ids=str
)
def test_a_run_exports_the_models_that_reach_their_thresholds(finetuned, tmp_path, thresholds):
    runs = [finetuned("good", 0.8), finetuned("good", 0.5, "random"), finetuned("bad", 0.79)]
    models, evaluations = zip(*[*runs, finetuned("free", 0.1)], strict=True)
    manifest = export_models(
        models=models,
        evaluations=evaluations,
        config=ExportConfig(formats=("keras",), thresholds=thresholds),
        output=tmp_path / "out",
    )
    assert names_in(tmp_path / "out") == {"good", "free", "export.json", "manifest.json"}
    assert read_checkpoint(tmp_path / "out/good/keras").task == {"name": "good"}
    assert manifest.metrics == {"num_exported": 2, "num_held_back": 1, "largest_difference": 0.0}
    rows = {
        row["task"]: row for row in json.loads((tmp_path / "out/export.json").read_text())["models"]
    }
    assert rows["bad"]["differences"] == {}
    assert (rows["bad"]["score"], rows["bad"]["threshold"]) == (0.79, 0.8)
    assert rows["good"]["differences"] == {"keras": 0.0}


def test_two_models_of_one_task_are_refused(finetuned, tmp_path):
    models, evaluations = zip(*[finetuned("good", 0.8)] * 2, strict=True)
    with pytest.raises(InputError, match=r"export: got .* and .*, both of task good, expected one"):
        export_models(
            models=models,
            evaluations=evaluations,
            config=ExportConfig(formats=("keras",)),
            output=tmp_path / "out",
        )


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"thresholds": {"cola": 0.5}}, "thresholds: got settings without export.formats"),
        ({"formats": ("keras",), "thresholds": {"cola": 50}}, "export.thresholds.cola: got 50"),
        ({"formats": ("keras", "keras")}, "expected each of them once"),
        ({"formats": ("onnx",), "max_score_loss": 0.1}, "without a format of rounded weights"),
        ({"formats": ("onnx_int8",), "max_score_loss": 2.0}, "max_score_loss: got 2.0, expected"),
    ],
)
def test_settings_that_do_nothing_or_mean_something_else_are_refused(settings, reason):
    with pytest.raises(InputError, match=reason):
        ExportConfig(**settings)


def test_the_command_publishes_a_folder_for_each_format(capsys, tmp_path):
    model = saved(classifier(2, SINGLE), tmp_path / "model")
    command = ["export", str(model), "--to", "huggingface,tf1", "--output", str(tmp_path / "out")]
    assert main(command) == 0
    assert "huggingface 0.0, tf1 0.0" in capsys.readouterr().out
    assert find_manifest(tmp_path / "out").config["formats"] == ["huggingface", "tf1"]
    assert main([*command[:3], "pytorch", *command[4:]]) == 2
    assert "pytorch" in capsys.readouterr().err
    assert main(["export", str(tmp_path / "nowhere"), *command[2:]]) == 2
    assert "no folder" in capsys.readouterr().err
