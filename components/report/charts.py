"""The charts of a run: curves of pretraining and of tasks, calibration and ROC."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from albert_core.pretraining.objectives import has_detection
from components.pretraining_metrics import detection_baseline
from components.report.analysis import Calibration, RocCurve
from components.report.drawing import FIRST, SECOND, THIRD, Line, draw_chart, draw_square
from components.report.reference_run import reference_history
from components.report.summary import TaskSummary

History = Sequence[Mapping[str, Any]]

_REFERENCE_RUN = "reference run"

METRIC_LABELS = {
    "f1": "F1",
    "micro_f1": "micro F1",
    "macro_f1": "macro F1",
    "matthews_correlation": "Matthews correlation",
    "pearson": "Pearson correlation",
    "spearman": "Spearman correlation",
}


def loss_chart(history: History, log: History = (), name: str = "loss") -> str:
    """Draw the training loss and the held-out loss against the global step.

    Args:
        history: `RunSummary.pretraining_history`.
        log: `RunSummary.pretraining_log`, the whole curve of the training loss; without it the
            means between evaluations are drawn.
        name: Begins every id in the SVG; unique on the page.

    Returns:
        An `<svg>` element, or an empty string if there is nothing to draw.
    """
    lines = (
        _training_line(history, log, "loss"),
        Line(label="held-out", points=points(history, "loss")),
    )
    return draw_chart(name, lines, y_label="loss")


def masked_lm_chart(
    history: History, most_frequent_fraction: float, log: History = (), name: str = "mlm"
) -> str:
    """Draw masked-LM accuracy in training and held-out beside the reference run's.

    The reference is a stored run that went well (`reference_history`). The accuracy of tokens
    shown as [MASK] has a line of its own, where it was measured. The small generator of
    replaced-token detection is not compared with the reference run.

    Args:
        history: `RunSummary.pretraining_history`.
        most_frequent_fraction: Accuracy of always guessing the most frequent token, a dashed line;
            without one if it is not finite.
        log: `RunSummary.pretraining_log`, the whole curve of the training accuracy.
        name: Begins every id in the SVG; unique on the page.

    Returns:
        An `<svg>` element, or an empty string if there is nothing to draw.
    """
    reference = Line(label="most frequent token", points=[(0, 100 * most_frequent_fraction)])
    mask_line = Line(
        label="held-out, [MASK]",
        points=points(history, "masked_lm_mask_token_accuracy", scale=100),
        color=THIRD,
        marker="^",
    )
    lines = [*_beside_reference_run(history, log, "masked_lm_accuracy"), mask_line]
    if history and has_detection(history[-1]):
        lines = [line for line in lines if line.label != _REFERENCE_RUN]
    return draw_chart(name, lines, y_label="accuracy (%)", reference=reference)


def replaced_token_chart(history: History, log: History = (), name: str = "rtd") -> str:
    """Draw accuracy, precision and recall of replaced-token detection.

    The dashed line is the accuracy of taking no token for replaced, at the last evaluation.

    Args:
        history: `RunSummary.pretraining_history`.
        log: `RunSummary.pretraining_log`, the whole curve of the training accuracy.
        name: Begins every id in the SVG; unique on the page.

    Returns:
        An `<svg>` element, or an empty string if there is nothing to draw.
    """
    if not history or not has_detection(history[-1]):
        return ""
    key = "replaced_token"
    lines = [
        Line(label="train", points=points(log, f"{key}_accuracy", 100), is_faint=True),
        Line(label="held-out", points=points(history, f"{key}_accuracy", 100)),
        *(
            Line(label=what, points=points(history, f"{key}_{what}", 100), color=color, marker="^")
            for what, color in (("precision", SECOND), ("recall", THIRD))
        ),
    ]
    baseline = 100 * detection_baseline(history[-1])
    reference = Line(label="none replaced", points=[(0, baseline)])
    return draw_chart(name, lines, y_label="(%)", reference=reference)


def sentence_order_chart(history: History, log: History = (), name: str = "sop") -> str:
    """Draw sentence-order accuracy in training and held-out beside the reference run's.

    The reference is a stored run that went well (`reference_history`). The dashed line is chance.

    Args:
        history: `RunSummary.pretraining_history`.
        log: `RunSummary.pretraining_log`, the whole curve of the training accuracy.
        name: Begins every id in the SVG; unique on the page.

    Returns:
        An `<svg>` element, or an empty string if there is nothing to draw.
    """
    reference = Line(label="chance", points=[(0, 50.0)])
    lines = _beside_reference_run(history, log, "sentence_order_accuracy")
    return draw_chart(name, lines, y_label="accuracy (%)", reference=reference)


def _training_line(history: History, log: History, key: str, scale: float = 1.0) -> Line:
    """Return the line of a column in training: pale and whole from the log, else by evaluations."""
    if whole := points(log, key, scale):
        return Line(label="train", points=whole, color=SECOND, is_faint=True)
    means = points(history, f"train_{key}", scale)
    return Line(label="train", points=means, color=SECOND, marker="s")


def _beside_reference_run(history: History, log: History, key: str) -> tuple[Line, ...]:
    """Return the lines of a column and of the reference run, stretched over as many steps.

    All in percent. No lines if the column has no held-out value.
    """
    held_out = points(history, key, scale=100)
    if not held_out:
        return ()
    reference = points(reference_history(int(held_out[-1][0])), key, scale=100)
    training = [Line(label="train", points=points(log, key, 100), color=FIRST, is_faint=True)]
    return (
        *training,
        Line(label="held-out", points=held_out),
        Line(label=_REFERENCE_RUN, points=reference, color=SECOND, marker=""),
    )


def task_chart(task: TaskSummary, name: str) -> str:
    """Draw a task's own metric while fine-tuning, pretrained against random weights.

    The dashed line is the score of always predicting the most frequent label, or the mean.

    Args:
        task: The task; `random_weights_history` may be empty.
        name: Begins every id in the SVG; unique on the page.

    Returns:
        An `<svg>` element, or an empty string if there is nothing to draw.
    """
    random = points(task.random_weights_history, task.metric, scale=100)
    lines = (
        Line(label="random weights", points=random, color=SECOND, marker="s"),
        Line(label="pretrained", points=points(task.history, task.metric, scale=100)),
    )
    reference = Line(label="majority", points=[(0, 100 * task.majority_score)])
    return draw_chart(
        name, lines, y_label=f"{metric_label(task.metric)} × 100", reference=reference
    )


def task_loss_chart(task: TaskSummary, name: str) -> str:
    """Draw the training loss of fine-tuning, pretrained against random weights.

    Args:
        task: The task; without logs, as in earlier versions, there is nothing to draw.
        name: Begins every id in the SVG; unique on the page.

    Returns:
        An `<svg>` element, or an empty string if there is nothing to draw.
    """
    random = points(task.random_weights_log, "loss")
    lines = (
        Line(label="random weights", points=random, color=SECOND, marker="", is_faint=True),
        Line(label="pretrained", points=points(task.training_log, "loss"), marker=""),
    )
    return draw_chart(name, lines, y_label="training loss")


def calibration_chart(calibration: Calibration, name: str) -> str:
    """Draw how often predictions were right, by their probability; on the diagonal they are true.

    Args:
        calibration: The calibration, with one bin or more.
        name: Begins every id in the SVG; unique on the page.

    Returns:
        An `<svg>` element.
    """
    bins = [(100 * bin_.mean_probability, 100 * bin_.fraction) for bin_ in calibration.bins]
    return draw_square(
        name,
        [Line(label="model", points=bins)],
        x_label=f"probability of {calibration.of} (%)",
        y_label="how often right (%)",
        diagonal="calibrated",
    )


def roc_chart(roc: RocCurve, name: str) -> str:
    """Draw the ROC curve of two classes.

    Args:
        roc: The curve.
        name: Begins every id in the SVG; unique on the page.

    Returns:
        An `<svg>` element.
    """
    rates = zip(roc.false_positive_rates, roc.true_positive_rates, strict=True)
    return draw_square(
        name,
        [Line(label="model", points=[(100 * x, 100 * y) for x, y in rates], marker="")],
        x_label="false positive rate (%)",
        y_label="true positive rate (%)",
        diagonal="chance",
    )


def metric_label(metric: str) -> str:
    """Return a metric's name as people write it: that in METRIC_LABELS, or with spaces for _."""
    return METRIC_LABELS.get(metric, metric.replace("_", " "))


def points(history: History, key: str, scale: float = 1.0) -> list[tuple[float, float]]:
    """Return (global step, value × scale) of the rows where the column is a finite number."""
    points = []
    for row in history:
        value = row.get(key)
        if value is not None and math.isfinite(value):
            points.append((float(row["global_step"]), scale * value))
    return points
