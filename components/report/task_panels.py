"""What the page shows of one task below its scores."""

import dataclasses
from collections.abc import Iterator, Sequence

from markupsafe import Markup

from components.report.analysis import MAX_CLASSES, ClassQuality
from components.report.charts import calibration_chart, roc_chart, task_chart, task_loss_chart
from components.report.summary import TaskAnalysis, TaskSummary

MAX_MATRIX_CLASSES = 12
_NUM_CONFUSIONS = 20


@dataclasses.dataclass(frozen=True, kw_only=True)
class Chart:
    """A chart of the page: its title (text, escaped by the template) and its SVG element."""

    title: str
    svg: Markup


@dataclasses.dataclass(frozen=True, kw_only=True)
class MatrixCell:
    """A cell of the confusion matrix.

    Attributes:
        count: Number of examples.
        percent: Their fraction of the true class, from 0 to 100.
        is_right: Whether it is on the diagonal.
    """

    count: int
    percent: float
    is_right: bool


@dataclasses.dataclass(frozen=True, kw_only=True)
class Confusion:
    """A class that is often taken for another one: how often, of how many."""

    label: str
    taken_for: str
    count: int
    num_examples: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class TaskPanel:
    """A task's part of the page.

    Attributes:
        number: Its number on the page, from 0, for ids.
        task: The task.
        sentence: The verdict on it; may be empty.
        charts: Its charts that have something to draw.
        matrix: Rows of the confusion matrix; empty where there are too many classes for a table.
        confusions: The most frequent confusions, where there are too many classes.
        classes: Classes to list, at most `MAX_CLASSES`, the largest ones.
        num_left_out_classes: How many more classes there are.
    """

    number: int
    task: TaskSummary
    sentence: str
    charts: Sequence[Chart]
    matrix: Sequence[Sequence[MatrixCell]]
    confusions: Sequence[Confusion]
    classes: Sequence[ClassQuality]
    num_left_out_classes: int


def make_panel(task: TaskSummary, number: int, sentence: str) -> TaskPanel:
    """Return a task's part of the page.

    With at most MAX_MATRIX_CLASSES labels it has the confusion matrix, with more the most frequent
    confusions. Precision, recall and F1 are shown for the MAX_CLASSES classes with the most
    examples.

    Args:
        task: The task.
        number: Its number on the page, for ids.
        sentence: The verdict on it.
    """
    analysis = task.analysis
    is_small = len(analysis.labels) <= MAX_MATRIX_CLASSES
    largest = sorted(analysis.classes, key=lambda class_: -class_.num_examples)[:MAX_CLASSES]
    return TaskPanel(
        number=number,
        task=task,
        sentence=sentence,
        charts=nonempty_charts(*_charts(task, number)),
        matrix=list(_matrix_rows(analysis)) if is_small else (),
        confusions=() if is_small else _confusions(analysis),
        classes=[class_ for class_ in analysis.classes if class_ in largest],
        num_left_out_classes=len(analysis.classes) - len(largest),
    )


def nonempty_charts(*charts: tuple[str, str]) -> list[Chart]:
    """Return charts of (title, SVG); leaves out those with an empty SVG. The SVG is not escaped."""
    return [Chart(title=title, svg=Markup(svg)) for title, svg in charts if svg]


def _charts(task: TaskSummary, number: int) -> Iterator[tuple[str, str]]:
    """Yield titles and SVG of a task's charts; the SVG is empty where there is nothing to draw."""
    yield "Dev score while fine-tuning", task_chart(task, f"task{number}")
    yield "Training loss of fine-tuning", task_loss_chart(task, f"task{number}loss")
    analysis = task.analysis
    if analysis.calibration:
        chart = calibration_chart(analysis.calibration, f"task{number}calibration")
        yield f"Calibration (mean error {100 * analysis.calibration.error:.1f} points)", chart
    if analysis.roc:
        title = f"ROC of {analysis.roc.label} (area {analysis.roc.area:.3f})"
        yield title, roc_chart(analysis.roc, f"task{number}roc")


def _matrix_rows(analysis: TaskAnalysis) -> Iterator[list[MatrixCell]]:
    """Yield the cells of each row of the confusion matrix: counts and percentages of the row.

    The percentages of a row without examples are 0.
    """
    for true_class, counts in enumerate(analysis.confusion_matrix):
        total = max(1, sum(counts))
        yield [
            MatrixCell(count=count, percent=100 * count / total, is_right=number == true_class)
            for number, count in enumerate(counts)
        ]


def _confusions(analysis: TaskAnalysis) -> list[Confusion]:
    """Return the most frequent confusions, at most `_NUM_CONFUSIONS`, the most frequent first.

    A confusion is one class taken for another; the same two classes the other way round are another
    confusion. Those that never happened are left out. Equally frequent ones are sorted by the
    number of the true class, then by that of the predicted one.
    """
    confusions = [
        Confusion(
            label=analysis.labels[true_class],
            taken_for=analysis.labels[number],
            count=count,
            num_examples=sum(counts),
        )
        for true_class, counts in enumerate(analysis.confusion_matrix)
        for number, count in enumerate(counts)
        if number != true_class and count
    ]
    return sorted(confusions, key=lambda confusion: -confusion.count)[:_NUM_CONFUSIONS]
