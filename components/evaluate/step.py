"""Score a fine-tuned model on its task's dev set and write predictions."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from albert_core.errors import InputError
from albert_core.runs.files import write_json
from albert_core.runs.manifest import Figures, Manifest, read_manifest
from albert_core.runs.progress import ReportProgress, quiet
from albert_core.runs.step import run_step
from albert_core.settings import parse_settings
from albert_core.tasks import Task, task_fingerprint


def evaluate(
    *,
    model: str | Path,
    data: str | Path,
    output: str | Path,
    work_root: str | Path | None = None,
    progress: ReportProgress = quiet,
) -> Manifest:
    """Publish metrics.json and predictions_dev.tsv, and predictions_test.tsv where a test set is.

    A predictions file has a header, a row an example, and the columns `index`, `prediction` (a
    label or a score) and one of each label's probability.

    Args:
        model: A folder that `albert finetune` wrote; it knows its task.
        data: Folder of the task's files.
        output: Folder to make.
        work_root: Folder of the work folders; beside `output` when not given.
        progress: Told what it is doing.

    Raises:
        InputError: An input is missing or unusable.
    """
    tuned = read_manifest(model, step="finetune")
    task = _task_of(Path(model))

    def body(results: Path, _: Path) -> Figures:
        from albert_core.finetuning.program import evaluate_model

        progress(0, 0, "predicting")
        metrics, dev, test = evaluate_model(
            folder=Path(model),
            task=task,
            data=Path(data),
            sequence_length=tuned.config["finetuning"]["sequence_length"],
        )
        write_json(results / "metrics.json", metrics)
        _write_predictions(results / "predictions_dev.tsv", task, dev)
        if test is not None:
            _write_predictions(results / "predictions_test.tsv", task, test)
        return {name: round(value, 4) for name, value in metrics.items()}

    return run_step(
        "evaluate",
        config={"task": task.name, "initialization": tuned.config["initialization"]},
        inputs={"model": tuned.content_hash, "data": task_fingerprint(task, Path(data))},
        output=output,
        work_root=work_root,
        body=body,
    )


def _task_of(model: Path) -> Task:
    path = model / "task.json"
    if not path.is_file():
        raise InputError(f"{model}: no task.json there; expected the output of `albert finetune`")
    return parse_settings(Task, json.loads(path.read_text(encoding="utf-8")), source=str(path))


def _write_predictions(path: Path, task: Task, outputs: np.ndarray) -> None:
    header = ["index", "prediction", *task.labels]
    rows = [_regression_row(output) for output in outputs]
    if not task.is_regression:
        rows = [_classification_row(task, logits) for logits in outputs]
    lines = ["\t".join(header)]
    lines += ["\t".join([str(index), *row]) for index, row in enumerate(rows)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _regression_row(output: np.ndarray) -> Sequence[str]:
    return [f"{output[0]:.6g}"]


def _classification_row(task: Task, logits: np.ndarray) -> Sequence[str]:
    odds = np.exp(logits - logits.max())
    return [task.labels[logits.argmax()], *(f"{share:.6g}" for share in odds / odds.sum())]
