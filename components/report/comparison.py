"""Compare runs by the summaries of their reports: settings, curves, scores."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from albert_core.artifacts.manifest import Manifest, Metrics
from albert_core.artifacts.step import run_step
from albert_core.errors import InputError
from albert_core.files.atomic import sha256_of_file, write_json
from albert_core.settings.json_values import read_json_object
from albert_core.settings.old_names import rename_settings
from albert_core.storage import local_path
from components.pretraining_metrics import DETECTION_METRICS, SHOWN_ACCURACIES
from components.report.page import flatten
from components.report.significance import unpaired_interval
from components.report.step import PAGE_NAME, SUMMARY_NAME
from components.report.summary import published_evaluation

COMPARISON_NAME = "comparison.json"
MAX_RUNS = 8

RunValues = Mapping[str, Any]
"""A `RunSummary` as plain values, of this or an earlier version."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ComparedScore:
    """A task's score in one run.

    Attributes:
        score: The score; None in a run without the task.
        interval: Its 95 % interval, or None.
        gain: Difference from the first run's score; None for the first run itself, and if either
            score is missing.
        gain_interval: 95 % interval of the difference, computed from the intervals of both scores;
            or None.
    """

    score: float | None
    interval: tuple[float, float] | None = None
    gain: float | None = None
    gain_interval: tuple[float, float] | None = None

    @property
    def sign(self) -> int:
        """1 or -1 if the interval of the difference lies above or below 0; else 0."""
        if self.gain_interval is None:
            return 0
        return int(self.gain_interval[0] > 0) - int(self.gain_interval[1] < 0)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ComparedTask:
    """A task's scores in all runs, in their order."""

    name: str
    metric: str
    scores: Sequence[ComparedScore]


@dataclasses.dataclass(frozen=True, kw_only=True)
class DifferentSetting:
    """A setting of a step that is not the same in all runs.

    Attributes:
        step: The step's name.
        name: The setting's dotted name.
        values: Its value in each run, in their order; None for a run without it.
    """

    step: str
    name: str
    values: Sequence[Any]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Comparison:
    """Several runs side by side; the others are compared with the first.

    Attributes:
        names: Names of the runs.
        verdicts: Answer of each run's own report; empty for reports of earlier versions.
        pretraining: Rows of a name and a value for each run, about the published weights.
        tasks: The scores of each task of any run.
        settings: The settings that differ.
        seconds: Time of all steps of each run.
    """

    names: Sequence[str]
    verdicts: Sequence[str]
    pretraining: Sequence[tuple[str, Sequence[float | None]]]
    tasks: Sequence[ComparedTask]
    settings: Sequence[DifferentSetting]
    seconds: Sequence[float]


def write_comparison(runs: Sequence[str], *, output: str | Path) -> Manifest:
    """Publish a page that compares runs, and the same as comparison.json, to `output`.

    If `output` holds the comparison of these reports already, nothing is done.

    Args:
        runs: Folders of runs or of their reports, on this machine; two to eight.
        output: Folder to make, local, gs:// or s3://.

    Raises:
        InputError: A run has no report or a damaged one, or there are too few or too many, or
            `output` holds something else.
        StepFailedError: Another process has taken over this work.
        ServiceError: The storage of `output` failed.
    """
    if not 2 <= len(runs) <= MAX_RUNS:
        raise InputError(
            f"report: got {len(runs)} runs to compare, expected 2 to {MAX_RUNS}; more do not fit "
            "into one chart"
        )
    paths = [find_summary(run) for run in runs]
    names = name_runs(runs)

    def body(results: Path, _: Path) -> Metrics:
        """Write page and data; return the number of runs."""
        from components.report.comparison_page import render_comparison

        values = [read_json_object(path) for path in paths]
        comparison = compare(names, values)
        write_json(results / COMPARISON_NAME, dataclasses.asdict(comparison))
        (results / PAGE_NAME).write_text(render_comparison(comparison, values), encoding="utf-8")
        return {"num_runs": len(runs)}

    return run_step(
        "report",
        config={"runs": names},
        inputs={
            f"{number} {name}": sha256_of_file(path)
            for number, (name, path) in enumerate(zip(names, paths, strict=True))
        },
        output=output,
        body=body,
    )


def find_summary(run: str) -> Path:
    """Return the path of a run's summary: in the folder itself, else in its `report/`.

    Else it is that of the newest report, by modification time, among the run's artifacts.

    Args:
        run: The run's folder, or that of a report.

    Raises:
        InputError: There is no report, or `run` is in a bucket.
    """
    folder = local_path(run, "run")
    for path in (folder / SUMMARY_NAME, folder / "report" / SUMMARY_NAME):
        if path.is_file():
            return path
    reports = folder.glob(f"artifacts/*/report/summary/{SUMMARY_NAME}")
    newest = max(reports, key=lambda path: path.stat().st_mtime, default=None)
    if newest is None:
        raise InputError(
            f"{run}: no report there; expected the folder of a finished run or the output of "
            "`albert report`"
        )
    return newest


def name_runs(runs: Sequence[str]) -> list[str]:
    """Return short names of runs: their folders' names, or where two of these are equal the paths.

    For a link, the name is that of the folder it leads to. If two names are equal, the paths of all
    runs are returned as they were given; a path that is given twice is followed by its place among
    the runs, from 1.
    """
    names = [Path(run).resolve().name for run in runs]
    if len(set(names)) < len(names):
        names = list(runs)
    return [
        name if names.count(name) == 1 else f"{name} ({number + 1})"
        for number, name in enumerate(names)
    ]


def compare(names: Sequence[str], runs: Sequence[RunValues]) -> Comparison:
    """Return several runs side by side; the first is the one that the others are compared with.

    Args:
        names: Their names.
        runs: Their summaries, in the same order; one at least.
    """
    return Comparison(
        names=names,
        verdicts=[(run.get("verdict") or {}).get("answer", "") for run in runs],
        pretraining=_compare_pretraining(runs),
        tasks=list(_compare_tasks(runs)),
        settings=list(_different_settings(runs)),
        seconds=[sum(step["seconds"] for step in run["steps"]) for run in runs],
    )


def _compare_pretraining(
    runs: Sequence[RunValues],
) -> list[tuple[str, list[float | None]]]:
    """Return rows about the evaluation of the published weights: a name, and a value for each run.

    The rows are accuracies, loss and step; a value that a run lacks is None. Accuracies of masked
    LM by the token that is shown, and accuracies of replaced token detection, have a row only if
    some run has them.
    """
    published = [published_evaluation(run["pretraining_history"]) for run in runs]
    names = (
        "masked_lm_accuracy",
        *SHOWN_ACCURACIES,
        *DETECTION_METRICS,
        "sentence_order_accuracy",
        "loss",
        "global_step",
    )
    return [
        (name, [row.get(name) for row in published])
        for name in names
        # Runs of earlier versions have no accuracies by what is shown, and few a detection.
        if name not in (*SHOWN_ACCURACIES, *DETECTION_METRICS)
        or any(name in row for row in published)
    ]


def _compare_tasks(runs: Sequence[RunValues]) -> Iterator[ComparedTask]:
    """Yield the scores of each task that any run has, in the order in which the tasks first occur.

    The metric of a task is taken from the first run that has the task. The scores of all later runs
    are compared with that of the first of `runs`; there is no comparison if that run lacks the
    task.
    """
    by_name = [{task["name"]: task for task in run["tasks"]} for run in runs]
    for name in dict.fromkeys(name for tasks in by_name for name in tasks):
        task_values = [tasks.get(name) for tasks in by_name]
        metric = next(task["metric"] for task in task_values if task)
        first = task_values[0]
        yield ComparedTask(
            name=name,
            metric=metric,
            scores=[
                _compare_score(task, first if number else None, metric)
                for number, task in enumerate(task_values)
            ],
        )


def _compare_score(
    task: Mapping[str, Any] | None, first: Mapping[str, Any] | None, metric: str
) -> ComparedScore:
    """Return a task's score, and its gain over that of the first run if both have the metric.

    A run that lacks the task, or has it with another metric, has a score of None.

    Args:
        task: The task in one run; None if the run lacks it.
        first: The task in the first run; None for the first run itself, or if the first run lacks
            the task.
        metric: The metric that is compared.
    """
    if task is None or task["metric"] != metric:
        return ComparedScore(score=None)
    interval = _interval(task)
    if first is None or first["metric"] != metric:
        return ComparedScore(score=task["score"], interval=interval)
    gain = task["score"] - first["score"]
    return ComparedScore(
        score=task["score"],
        interval=interval,
        gain=gain,
        gain_interval=unpaired_interval(gain, interval, _interval(first)),
    )


def _interval(task: Mapping[str, Any]) -> tuple[float, float] | None:
    """Return the interval of a task's score in a summary; None if it has none."""
    interval = task.get("interval")
    return (interval[0], interval[1]) if interval else None


def _different_settings(runs: Sequence[RunValues]) -> Iterator[DifferentSetting]:
    """Yield the settings of the steps that are not the same in all runs, in the first run's order.

    A step that one of the runs does not have is left out, as that is no choice of another setting.
    The value is None for a run that does not have the setting; a setting that is None in one run
    and missing in the others does not differ. Old names of settings count as today's.
    """
    by_step = [
        {step["name"]: dict(flatten(rename_settings(step["config"]))) for step in run["steps"]}
        for run in runs
    ]
    for step in by_step[0]:
        configs = [steps[step] for steps in by_step if step in steps]
        if len(configs) < len(runs):
            continue
        for name in dict.fromkeys(name for config in configs for name in config):
            values = [config.get(name) for config in configs]
            if any(value != values[0] for value in values[1:]):
                yield DifferentSetting(step=step, name=name, values=values)
