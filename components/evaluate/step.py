"""Score a fine-tuned model on its task's dev set and write predictions."""

import json
from pathlib import Path
from typing import Any

from albert_core.artifacts.inputs import input_folder
from albert_core.artifacts.manifest import Manifest, Metrics, read_manifest
from albert_core.artifacts.step import run_step
from albert_core.files import write_json
from albert_core.inference.task_settings import read_declared_task
from albert_core.progress import ReportProgress, quiet
from albert_core.storage import exists, join, read_bytes
from albert_core.tasks import task_fingerprint
from albert_core.tasks.metrics import CLASSIFICATION_NAME

METRICS_NAME = "metrics.json"


def evaluate(
    *,
    model: str | Path,
    data: str | Path,
    output: str | Path,
    work_root: str | Path | None = None,
    progress: ReportProgress = quiet,
) -> Manifest:
    """Score a model, and publish metrics.json and its predictions on dev and test files.

    For a classification also its confusion matrix. Test files may be missing. If `output` already
    holds this work, nothing is run.

    Args:
        model: A folder that `albert finetune` wrote, local or gs://; it knows its task.
        data: Folder of the task's files, local or gs://.
        output: Folder to make, local or gs://.
        work_root: Folder of the work folders; beside `output` when not given.
        progress: Told what it is doing.

    Returns:
        The manifest of `output`, with the metrics rounded to 4 decimals; metrics.json has them
        whole.

    Raises:
        InputError: An input is missing or unusable, or `output` holds something else.
    """
    model, data = input_folder(model), input_folder(data)
    tuned = read_manifest(model, step="finetune")
    task = read_declared_task(model)

    def write_scores(results: Path, _: Path) -> Metrics:
        """Write metrics and predictions into `results`; called by `run_step`."""
        from albert_core.inference import load
        from albert_core.inference.evaluation import evaluate_splits

        scores = evaluate_splits(load(model), data=data, results=results, progress=progress)
        write_json(results / METRICS_NAME, scores)
        return {name: round(value, 4) for name, value in scores.items()}

    return run_step(
        "evaluate",
        config={"task": task.name, "initialization": tuned.config["initialization"]},
        inputs={"model": tuned.content_hash, "data": task_fingerprint(task, data)},
        output=output,
        work_root=work_root,
        body=write_scores,
    )


def read_classification(evaluation: str) -> dict[str, Any] | None:
    """Return confusion matrix and ROC curve of an evaluation, local or gs://.

    None if there are none, as for a task that is no classification.

    Returns:
        What `describe_classification` returned.
    """
    path = join(evaluation, CLASSIFICATION_NAME)
    return json.loads(read_bytes(path)) if exists(path) else None
