"""`scores.json` of a run: the score of each task beside what it is to be compared with."""

import csv
import dataclasses
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from albert_core.artifacts.manifest import Manifest
from albert_core.errors import InputError
from albert_core.places.outputs import MODELS_PLACE, RunOutputs, StepOutput
from albert_core.storage import exists, join, read_bytes, write_bytes

SCORES_NAME, SCORES_TABLE_NAME = "scores.json", "scores.csv"

_NOT_OF_TRAINING = ("seed", "num_probe_examples")


@dataclasses.dataclass(frozen=True, kw_only=True)
class TaskScore:
    """The score of a task's model on its dev set; whatever is not known is None.

    Attributes:
        task: Name of the task.
        metric: Name of the task's metric, in which all scores here are given.
        score: The score, as a fraction; not in percent.
        low: Lower bound of its bootstrap interval (95 %).
        high: Upper bound.
        random_weights: Score of the same fine-tuning from random weights.
        without_model: Score of the best method that needs no neural model.
        majority: Score of always answering the most frequent label, or the mean.
        model: Path of the model in the run's folder.
        num_seeds: Number of trainings with different seeds; model and score are those of the best
            one.
        mean: Mean score of these trainings.
        std: Sample standard deviation of these scores; None for a single training.
        random_weights_mean: Mean score of the trainings from random weights.
        random_weights_std: Sample standard deviation of these scores; None for a single training.
        probe: Score of the frozen probe of the pretrained model, on its best layer.
        probe_random_weights: Score of the frozen probe of random weights.
    """

    task: str
    metric: str | None
    score: float | None
    low: float | None
    high: float | None
    random_weights: float | None
    without_model: float | None
    majority: float | None
    model: str
    # Files of earlier versions do not have what follows.
    num_seeds: int = 1
    mean: float | None = None
    std: float | None = None
    random_weights_mean: float | None = None
    random_weights_std: float | None = None
    probe: float | None = None
    probe_random_weights: float | None = None


def task_scores(outputs: RunOutputs) -> list[TaskScore]:
    """Return the score of each model of a run, in the order of the tasks' names.

    Scores of a model that is not evaluated yet are None. Only manifests are read.
    """
    return [_task_score(outputs, task, model) for task, model in outputs.models.items()]


def _task_score(outputs: RunOutputs, task: str, model: StepOutput) -> TaskScore:
    """Return a model's score on its task, its bounds and seeds, and what it is compared with.

    The baselines are random weights, no model, and the majority. None for each that is not known,
    and for random weights that were trained with other settings.

    The metric is the first in the evaluation's manifest. Scores of an evaluation of another model
    do not count.
    """
    scores = _scores_of(outputs.evaluations.get(task), model)
    metric = next(iter(scores), None)  # the task's own metric is always the first
    random = outputs.random_models.get(task)
    if random and unequal_settings(model.manifest, random.manifest):
        random = None
    random_scores = _scores_of(outputs.random_evaluations.get(task), random) if random else {}
    return TaskScore(
        task=task,
        metric=metric,
        score=scores.get(metric) if metric else None,
        low=scores.get("low"),
        high=scores.get("high"),
        random_weights=random_scores.get(metric) if metric else None,
        without_model=scores.get("without_model_score"),
        majority=model.manifest.metrics.get("majority_score"),
        model=f"{MODELS_PLACE}/{task}",
        num_seeds=model.manifest.metrics.get("num_seeds", 1),
        **_over_seeds("", model, scores, metric),
        **_over_seeds("random_weights_", random, random_scores, metric),
        probe=model.manifest.metrics.get("probe_score"),
        probe_random_weights=model.manifest.metrics.get("probe_random_weights_score"),
    )


def _over_seeds(
    prefix: str, model: StepOutput | None, scores: Mapping[str, Any], metric: str | None
) -> dict[str, float | None]:
    """Return mean and std of a metric over a model's seeds, named with a prefix.

    Args:
        prefix: What the names begin with.
        model: The output of the fine-tuning; None gives None for both.
        scores: Its evaluation, whose score is the mean of a single training.
        metric: The metric; None if it was not evaluated.
    """
    tuned = model.manifest.metrics if model and metric else {}
    mean = tuned.get(f"{metric}_mean", scores.get(metric) if metric else None)
    return {f"{prefix}mean": mean, f"{prefix}std": tuned.get(f"{metric}_std")}


def unequal_settings(model: Manifest, control: Manifest) -> list[str]:
    """Return the names of the settings in which a control's fine-tuning differs from the model's.

    Both must be tuned alike, or their difference says nothing of pretraining. The first seed and
    the number of probe examples may differ, not the number of seeds. Data are a setting here, named
    `data`.

    Args:
        model: The manifest of a fine-tuning.
        control: The manifest of the fine-tuning on the same task from random weights.
    """
    first, second = (manifest.config.get("finetuning", {}) for manifest in (model, control))
    names = [
        name
        for name in sorted(first.keys() | second.keys())
        if name not in _NOT_OF_TRAINING and first.get(name) != second.get(name)
    ]
    return names + ["data"] * (model.inputs.get("data") != control.inputs.get("data"))


def _scores_of(evaluation: StepOutput | None, model: StepOutput) -> dict[str, Any]:
    """Return the metrics of an evaluation; empty if it is of another model, or is None."""
    if evaluation is None:
        return {}
    is_of_model = evaluation.manifest.inputs.get("model") == model.manifest.content_hash
    return dict(evaluation.manifest.metrics) if is_of_model else {}


def write_scores(scores: Sequence[TaskScore], folder: str | Path) -> None:
    """Write scores.json, then scores.csv with the same content, into a local or cloud folder.

    A file that holds the same bytes already is not written again.

    Raises:
        InputError: The bucket or the local folder cannot be written, or a file there not be read.
        ServiceError: The storage failed.
    """
    rows = [dataclasses.asdict(score) for score in scores]
    text = json.dumps({"tasks": rows}, indent=2, ensure_ascii=False) + "\n"
    table = io.StringIO()
    names = [field.name for field in dataclasses.fields(TaskScore)]
    writer = csv.DictWriter(table, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    for name, content in ((SCORES_NAME, text), (SCORES_TABLE_NAME, table.getvalue())):
        data = content.encode()
        path = join(str(folder), name)
        try:
            if not exists(path) or read_bytes(path) != data:
                write_bytes(path, data)
        except OSError as error:
            raise InputError(
                f"{path}: got {error.strerror or error}, expected a file for the scores in a "
                "folder that can be written; move away what is there, or free the folder"
            ) from error
