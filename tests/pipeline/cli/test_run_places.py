"""Commands that take a model take a run's folder: the model that is meant reaches their steps."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from albert_core.files.atomic import write_json
from albert_core.places.links import update_places
from albert_core.tasks import Task
from pipeline.cli.main import main
from tests.helpers.run_folders import FIRST, FakeRun

TASK = Task(name="cola", texts=("sentence",), labels=("0", "1"), metrics=("accuracy",))
MODEL, PRETRAINED = "models/cola", "pretrained"
LOAD = "albert_core.inference.loading._load_checkpoint"
CONVERT = "albert_core.checkpoints.convert"
EXPORT = "components.export.single_model.export_model"


class CalledError(Exception):
    """Ends a command where its step would begin."""


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A finished run of one task, in the current folder."""
    run = FakeRun(tmp_path / "runs" / "x")
    run.write_start(FIRST)
    model, _ = run.write_task(FIRST, 0, "cola")
    write_json(model / "task.json", dataclasses.asdict(TASK))
    update_places(run.folder)
    (tmp_path / "texts.txt").write_text("a\n")
    (tmp_path / "data" / "CoLA").mkdir(parents=True)
    for name in ("train.tsv", "dev.tsv"):
        (tmp_path / "data" / "CoLA" / name).touch()
    monkeypatch.chdir(tmp_path)
    return run.folder


@pytest.mark.parametrize(
    ("line", "function", "argument", "place"),
    [
        (
            "finetune --task cola --data_dir data --pretrained_dir runs/x --output out",
            "components.finetune.step.finetune",
            "pretrained",
            PRETRAINED,
        ),
        (
            "evaluate --data_dir data --finetuned_dirs runs/x --output out",
            "components.evaluate.step.evaluate",
            "model",
            MODEL,
        ),
        (
            "export runs/x --to onnx --output o",
            EXPORT,
            "model",
            MODEL,
        ),
        ("card runs/x --output o", "components.export.lineage.find_lineage", 0, MODEL),
        ("convert runs/x out --to tf1", CONVERT, 0, MODEL),
        (
            "convert runs/x/pretrained out --to tf1",
            CONVERT,
            0,
            PRETRAINED,
        ),
        ("predict runs/x texts.txt", LOAD, 0, MODEL),
        (
            "embed runs/x texts.txt --output o.npy",
            LOAD,
            0,
            PRETRAINED,
        ),
        ("serve runs/x --port 0", LOAD, 0, MODEL),
    ],
)
def test_a_run_stands_for_its_model(
    run: Path,
    monkeypatch: pytest.MonkeyPatch,
    line: str,
    function: str,
    argument: Any,
    place: str,
) -> None:
    def stop(*arguments: Any, **named: Any) -> None:
        raise CalledError(named[argument] if isinstance(argument, str) else arguments[argument])

    monkeypatch.setattr(function, stop)
    with pytest.raises(CalledError) as called:
        main(line.split())
    # Where a model is loaded, links were followed already.
    assert Path(str(called.value)).resolve() == Path(f"runs/x/{place}").resolve()


@pytest.mark.parametrize(
    ("line", "purpose"),
    [
        ("predict runs/x texts.txt", "batches"),
        ("embed runs/x texts.txt --output o.npy", "single_texts"),
    ],
)
def test_only_predictions_of_files_may_be_in_bfloat16_on_a_cpu(
    run: Path, monkeypatch: pytest.MonkeyPatch, line: str, purpose: str
) -> None:
    """Vectors are compared with those of `load(...).encode`."""

    def stop(*arguments: Any) -> None:
        raise CalledError(*arguments[2:4])

    monkeypatch.setattr(LOAD, stop)
    with pytest.raises(CalledError) as called:
        main(line.split())
    assert called.value.args == ("auto", purpose)


def test_all_models_of_a_run_are_evaluated(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from components.evaluate import step

    fake = FakeRun(run.parent / "y")
    for number, name in enumerate(("cola", "rte")):
        model, _ = fake.write_task(FIRST, number, name)
        declared = dataclasses.asdict(dataclasses.replace(TASK, name="cola"))
        write_json(model / "task.json", declared)
    update_places(fake.folder)
    calls: list[tuple[str, str]] = []

    @dataclasses.dataclass
    class Manifest:
        metrics: dict[str, float]

    def evaluate(*, model: str, output: str, **_: Any) -> Manifest:
        calls.append((model, output))
        return Manifest({"accuracy": 0.5, "low": 0.4, "high": 0.6})

    monkeypatch.setattr(step, "evaluate", evaluate)
    line = "evaluate --data_dir data --finetuned_dirs runs/y --output out"
    assert main(line.split()) == 0
    assert calls == [(f"runs/y/models/{name}", f"out/{name}") for name in ("cola", "rte")]
