"""The scores that the original published for its models, to put a run's beside them.

Source: the tables of the README of google-research/albert. Scores of GLUE are those of single
models on the dev sets; for SQuAD F1 and exact match on the dev sets; for RACE on the test set. All
in percent.
"""

import dataclasses
from collections.abc import Mapping, Sequence

from components.report.summary import TaskSummary

SOURCE = "README of google-research/albert"

# Tasks in the order of the columns, with the metrics in which the scores were published.
_BY_SIZE_TASKS: Mapping[str, tuple[str, ...]] = {
    "squad1": ("f1", "exact"),
    "squad2": ("f1", "exact"),
    "mnli": ("accuracy",),
    "sst-2": ("accuracy",),
    "race": ("accuracy",),
}
_GLUE_TASKS: Mapping[str, tuple[str, ...]] = {
    "mnli": ("accuracy",),
    "qnli": ("accuracy",),
    "qqp": ("accuracy",),
    "rte": ("accuracy",),
    "sst-2": ("accuracy",),
    "mrpc": ("accuracy",),
    "cola": ("matthews_correlation",),
    "sts-b": ("pearson",),
}

_BY_SIZE = """
base v2     90.2/83.2  82.1/79.3  84.6  92.9  66.8
large v2    91.8/85.2  84.9/81.8  86.5  94.9  75.2
xlarge v2   92.9/86.4  87.9/84.1  87.9  95.4  80.7
xxlarge v2  94.6/89.1  89.8/86.9  90.6  96.8  86.8
base v1     89.3/82.3  80.0/77.1  81.6  90.3  64.0
large v1    90.6/83.9  82.3/79.4  83.5  91.7  68.5
xlarge v1   92.5/86.1  86.1/83.1  86.4  92.4  74.8
xxlarge v1  94.8/89.3  90.2/87.4  90.8  96.9  86.5
"""
_GLUE = """
BERT-large           86.6  92.3  91.3  70.4  93.2  88.0  60.6  90.0
XLNet-large          89.8  93.9  91.8  83.8  95.6  89.2  63.6  91.8
RoBERTa-large        90.2  94.7  92.2  86.6  96.4  90.9  68.0  92.4
xxlarge, 1M steps    90.4  95.2  92.0  88.1  96.8  90.2  68.7  92.7
xxlarge, 1.5M steps  90.8  95.3  92.2  89.2  96.9  90.9  71.4  93.0
"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class PublishedTable:
    """Published scores of some tasks, with a run's in its first row.

    Attributes:
        title: What is compared.
        tasks: Names of the tasks: the columns.
        rows: Name and cells of each model. The run's are the first: empty cells are tasks that it
            did not run.
        same_size: Name of the row with a model of the size of the run's; empty for none.
        has_dev_race: Whether the run's score of RACE is on the dev set, for want of a test set.
    """

    title: str
    tasks: Sequence[str]
    rows: Sequence[tuple[str, Sequence[str]]]
    same_size: str = ""
    has_dev_race: bool = False


def published_tables(tasks: Sequence[TaskSummary], *, size: str) -> list[PublishedTable]:
    """Return the published tables with a task of the run's in them, the run's scores as first row.

    Args:
        tasks: The run's.
        size: Name of the size of its model, such as `base v2`, or several with ` or ` between them,
            as `size_name` returns it; empty if it is none of these.
    """
    tables = (
        ("ALBERT by size", _BY_SIZE_TASKS, _BY_SIZE),
        ("GLUE, dev sets", _GLUE_TASKS, _GLUE),
    )
    by_name = {task.name: task for task in tasks}
    return [
        _make_table(title, metrics, text, by_name, size)
        for title, metrics, text in tables
        if not metrics.keys().isdisjoint(by_name)
    ]


def _make_table(
    title: str,
    metrics: Mapping[str, tuple[str, ...]],
    text: str,
    tasks: Mapping[str, TaskSummary],
    size: str,
) -> PublishedTable:
    """Return a table of published scores, with the run's as first row.

    It names the published row of the run's size, and tells a RACE score that is of the dev set.

    Args:
        title: What is compared.
        metrics: The metrics of each of the table's tasks, in the order of the columns.
        text: The published rows: name, two spaces, cells with spaces between them.
        tasks: The run's tasks by name.
        size: Name of the size of its model.
    """
    rows = [parse_row(line) for line in text.strip().splitlines()]
    run_cells = [_cell(tasks.get(name), names) for name, names in metrics.items()]
    sizes = size.split(" or ")
    race = tasks.get("race")
    return PublishedTable(
        title=title,
        tasks=list(metrics),
        rows=[(f"this run ({size})" if size else "this run", run_cells), *rows],
        same_size=next((name for name, _ in rows if name in sizes), ""),
        has_dev_race="race" in metrics and race is not None and "test_accuracy" not in race.metrics,
    )


def parse_row(line: str) -> tuple[str, list[str]]:
    """Return name and cells of a row of the published tables.

    Two spaces end the name; cells have white space between them.
    """
    name, _, cells = line.partition("  ")
    return name, cells.split()


def _cell(task: TaskSummary | None, metrics: Sequence[str]) -> str:
    """Return a run's score of a task as it is published, in points; empty without the task.

    Scores of several metrics have slashes between them. For RACE it is the score on the test set,
    if the run had one.
    """
    if task is None:
        return ""
    if task.name == "race" and "test_accuracy" in task.metrics:
        metrics = ["test_accuracy"]
    return "/".join(f"{100 * task.metrics[name]:.1f}" for name in metrics)
