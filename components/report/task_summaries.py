"""Summaries of a run's tasks from the outputs of fine-tuning and evaluation."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from albert_core.artifacts.manifest import Manifest, OutputFolder
from albert_core.finetuning.example_rows import read_example_rows
from albert_core.finetuning.probe_results import read_probe
from albert_core.inference.baselines import MAJORITY, WITHOUT_MODEL
from albert_core.inference.task_settings import read_declared_task
from albert_core.places.scores import unequal_settings
from albert_core.tasks import Task
from albert_core.training.history import read_history
from albert_core.training.log import read_log
from components.evaluate.classification import read_classification
from components.evaluate.step import read_baselines
from components.report.analysis import (
    calibration,
    class_qualities,
    confident_mistakes,
    roc_curve,
)
from components.report.curves import thin_rows
from components.report.significance import (
    Difference,
    ExampleRow,
    Interval,
    SeedScores,
    paired_interval,
    unpaired_interval,
    widen_by_seeds,
)
from components.report.summary import TaskAnalysis, TaskSummary

RANDOM_WEIGHTS = "random_weights"

# What a manifest of evaluation holds beside the task's metrics.
_NO_METRICS = ("low", "high", "without_model_score")

_GRIDS = {"learning_rate": "grid_learning_rates", "batch_size": "grid_batch_sizes"}

_COMPUTE = ("training_precision", "training_jit_compile")
_XLA_WORDS = {True: "with XLA", False: "without XLA"}


@dataclasses.dataclass(frozen=True, kw_only=True)
class _TaskRun:
    """The outputs of a task's fine-tuning and evaluation: folders and manifests."""

    model: Path
    tuned: Manifest
    evaluation: Path
    evaluated: Manifest

    @property
    def interval(self) -> Interval:
        """The 95 % interval of the score."""
        return self.evaluated.metrics["low"], self.evaluated.metrics["high"]

    @property
    def metric(self) -> str:
        """The task's own metric, which is always the first of its evaluation."""
        return next(iter(self.evaluated.metrics))

    @property
    def score(self) -> float:
        """The score of the model that was kept: with several seeds, the best one's."""
        return self.evaluated.metrics[self.metric]

    @property
    def seeds(self) -> SeedScores:
        """The scores of all its seeds; for a single training, its score."""
        tuned = self.tuned.metrics
        num = tuned.get("num_seeds", 1)
        if num == 1:
            return SeedScores(mean=self.score)
        mean, std = (tuned[f"{self.metric}_{name}"] for name in ("mean", "std"))
        return SeedScores(mean=mean, std=std, num=num)


def summarise_tasks(
    models: Sequence[OutputFolder],
    evaluations: Sequence[OutputFolder],
    model_paths: Mapping[str, str],
) -> list[TaskSummary]:
    """Return a summary for each task that has a run from pretrained weights, in their order.

    The task's run from random weights, if there is one with the same settings, becomes its
    baseline. If two runs of a task are both pretrained or both from random weights, the last one
    counts.

    Args:
        models: Outputs of `finetune`.
        evaluations: Outputs of `evaluate`, one for each model, in the same order.
        model_paths: Where the commands of the page find a task's model; `models/TASK` of others.
    """
    runs: dict[str, dict[str, _TaskRun]] = {}
    for (model, tuned), (evaluation, evaluated) in zip(models, evaluations, strict=True):
        task_runs = runs.setdefault(tuned.config["task"], {})
        task_runs[tuned.config["initialization"]] = _TaskRun(
            model=model, tuned=tuned, evaluation=evaluation, evaluated=evaluated
        )
    return [
        _summarise(name, task_runs["pretrained"], task_runs.get("random"), model_paths)
        for name, task_runs in runs.items()
        if "pretrained" in task_runs
    ]


def _summarise(
    name: str, run: _TaskRun, random: _TaskRun | None, model_paths: Mapping[str, str]
) -> TaskSummary:
    """Return the summary of a task, whose score is the first metric of its evaluation.

    A run from random weights with other settings than the task's own is no control: it is left out,
    and the settings are named.
    """
    task = read_declared_task(run.model)
    unequal = unequal_settings(run.tuned, random.tuned) if random else []
    random = None if unequal else random
    other_compute = _describe_other_compute(name, run.tuned, random.tuned) if random else ""
    metrics, metric = run.evaluated.metrics, run.metric
    rows = read_example_rows(run.evaluation)
    tuned = run.tuned.metrics
    return TaskSummary(
        name=name,
        kind=task.kind,
        metric=metric,
        score=run.score,
        random_weights_score=random.score if random else None,
        random_weights_unequal_settings=unequal,
        random_weights_other_compute=other_compute,
        majority_score=tuned["majority_score"],
        without_model_score=metrics.get("without_model_score"),
        differences=_differences(task, run, random, rows),
        metrics={key: value for key, value in metrics.items() if key not in _NO_METRICS},
        interval=run.interval,
        num_seeds=tuned.get("num_seeds", 1),
        mean_score=tuned.get(f"{metric}_mean"),
        score_std=tuned.get(f"{metric}_std"),
        random_weights_mean=random.tuned.metrics.get(f"{metric}_mean") if random else None,
        random_weights_std=random.tuned.metrics.get(f"{metric}_std") if random else None,
        chosen_settings=_chosen_settings(run, random),
        paper_scores=task.paper_scores,
        num_train=tuned["num_train"],
        num_dev=tuned["num_dev"],
        data_files=tuned.get("data_files", ""),
        history=read_history(run.model),
        random_weights_history=read_history(random.model) if random else [],
        training_log=thin_rows(read_log(run.model), ("loss",)),
        random_weights_log=thin_rows(read_log(random.model), ("loss",)) if random else [],
        analysis=_analyse(task, run.evaluation, rows),
        probe=read_probe(run.model),
        model_path=model_paths.get(name, f"models/{name}"),
    )


def _describe_other_compute(name: str, tuned: Manifest, control: Manifest) -> str:
    """Return a sentence on a control that computed otherwise than the model; empty where alike.

    Compared are precision and compilation by XLA of both trainings, and nothing else; where the
    settings leave them open, each of the two machines chose. What an earlier version did not record
    in one of the manifests is taken for alike.

    Args:
        name: Name of the task.
        tuned: Manifest of its fine-tuning from pretrained weights.
        control: Manifest of its fine-tuning from random weights.
    """
    recorded = [manifest.metrics for manifest in (tuned, control)]
    known = [key for key in _COMPUTE if all(key in metrics for metrics in recorded)]
    if all(recorded[0][key] == recorded[1][key] for key in known):
        return ""
    model, random = (
        " ".join(str(_XLA_WORDS.get(metrics[key], metrics[key])) for key in known)
        for metrics in recorded
    )
    return (
        f"{name} was fine-tuned in {model}, from random weights in {random}: some of the "
        "difference may be due to that; finetuning.precision and finetuning.jit_compile set both."
    )


def _chosen_settings(run: _TaskRun, random: _TaskRun | None) -> dict[str, list[Any]]:
    """Return what a grid chose: the model's value and that from random weights, by name.

    Empty without a grid, or where it was not tried because the training set is large. The value
    from random weights is missing if there is no such run.
    """
    settings = run.tuned.config.get("finetuning", {})
    largest = settings.get("grid_max_examples")
    if largest is not None and run.tuned.metrics["num_train"] > largest:
        return {}
    runs = [run, random] if random else [run]
    return {
        name: [run.tuned.metrics.get(name) for run in runs]
        for name, grid in _GRIDS.items()
        if settings.get(grid)
    }


def _differences(
    task: Task, run: _TaskRun, random: _TaskRun | None, rows: Sequence[ExampleRow]
) -> list[Difference]:
    """Return the score against random weights, against no model and against the majority.

    In this order; the first two only where they are known. Each is paired if both predictions of
    the examples are known.
    """
    baselines = read_baselines(run.evaluation)
    differences = []
    if random:
        differences.append(
            _difference(
                RANDOM_WEIGHTS,
                "random weights with the same head and training",
                run,
                random.score,
                paired=_random_interval(task, run, random, rows),
                other=random.interval,
                other_seeds=random.seeds,
            )
        )
    differences += [
        _difference(
            name,
            baselines[name]["method"],
            run,
            baselines[name]["score"],
            paired=paired_interval(task, rows, [row[name] for row in rows]),
            other=(baselines[name]["low"], baselines[name]["high"]),
        )
        for name in (WITHOUT_MODEL, MAJORITY)
        if name in baselines
    ]
    if MAJORITY not in baselines:
        differences.append(_difference(MAJORITY, _guess(task), run, _majority(run)))
    return differences


def _majority(run: _TaskRun) -> float:
    return run.tuned.metrics["majority_score"]


def _guess(task: Task) -> str:
    """Return in words what `majority_score` is the score of."""
    if task.kind == "question_answering":
        return "no answer" if task.has_unanswerable else "some words of the context"
    if task.kind == "token_classification":
        return "most frequent tag"
    if task.kind == "multi_label":
        return "labels of more than half of the training set"
    return "mean of the training set" if task.kind == "regression" else "most frequent label"


def _difference(
    baseline: str,
    method: str,
    run: _TaskRun,
    score: float,
    *,
    paired: Interval | None = None,
    other: Interval | None = None,
    other_seeds: SeedScores | None = None,
) -> Difference:
    """Return a difference with its paired interval, or else one of the two scores' intervals.

    With several seeds it is the gain of the means, and the interval holds for other seeds, too.

    Args:
        baseline: What the score is compared with.
        method: The baseline in words.
        run: The model's run.
        score: The baseline's score; with several seeds, the best one's.
        paired: The paired interval of both best ones, if the predictions of both are known.
        other: The interval of the baseline's score, if it is known.
        other_seeds: The scores of the baseline's seeds, if it is trained.
    """
    seeds = (run.seeds, other_seeds or SeedScores(mean=score))
    best_gain, gain = run.score - score, seeds[0].mean - seeds[1].mean
    interval = paired
    if interval is None and other is not None:
        interval = unpaired_interval(best_gain, run.interval, other)
    if interval is not None:
        interval = widen_by_seeds(interval, around=best_gain, centre=gain, seeds=seeds)
    if other is not None:
        other = widen_by_seeds(other, around=score, centre=seeds[1].mean, seeds=seeds[1:])
    low, high = interval or (None, None)
    return Difference(
        baseline=baseline,
        method=method,
        score=seeds[1].mean,
        gain=gain,
        low=low,
        high=high,
        is_paired=paired is not None,
        interval=other,
        num_seeds=seeds[0].num,
    )


def _random_interval(
    task: Task, run: _TaskRun, random: _TaskRun, rows: Sequence[ExampleRow]
) -> Interval | None:
    """Return the paired interval against random weights; None unless the examples are the same.

    They are if both evaluations name the same data and have as many rows; None, too, without rows.
    """
    others = read_example_rows(random.evaluation)
    # The fingerprint of the task's files: ids alone may be the same in another dev set.
    if run.evaluated.inputs["data"] != random.evaluated.inputs["data"] or len(rows) != len(others):
        return None
    key = "score" if task.kind == "question_answering" else "prediction"
    return paired_interval(task, rows, [row[key] for row in others])


def _analyse(task: Task, evaluation: Path, rows: Sequence[ExampleRow]) -> TaskAnalysis:
    """Return what the model gets right and wrong, as far as the evaluation's files tell.

    That is the confusion matrix, the quality of each class, calibration, the ROC curve (of a
    classification with two classes) and the most confident mistakes.
    """
    described: Mapping[str, Any] = read_classification(str(evaluation)) or {}
    mistakes, num_mistakes = confident_mistakes(rows, task.labels)
    return TaskAnalysis(
        labels=described.get("labels", ()),
        confusion_matrix=described.get("confusion_matrix", ()),
        classes=class_qualities(described),
        calibration=calibration(rows, task.labels),
        roc=roc_curve(rows, task.labels) if task.kind == "classification" else None,
        mistakes=mistakes,
        num_mistakes=num_mistakes if rows else None,
    )
