"""Render a comparison of runs as one HTML page that needs nothing else."""

from collections.abc import Mapping, Sequence
from typing import Any

from components.report.charts import metric_label, points
from components.report.comparison import Comparison, RunValues
from components.report.drawing import FIRST, FOURTH, SECOND, THIRD, Line, draw_chart
from components.report.page import make_environment
from components.report.task_panels import Chart, nonempty_charts

_COLORS = (FIRST, SECOND, THIRD, FOURTH)
_MARKERS = ("o", "s", "^", "D")
_TEMPLATE = "comparison.html.j2"


def render_comparison(comparison: Comparison, runs: Sequence[RunValues]) -> str:
    """Render the page; the same runs give the same text.

    Args:
        comparison: The runs side by side.
        runs: Their summaries in the same order, for the curves.

    Returns:
        An HTML document. Every name and text of the runs is escaped.
    """
    histories = [run["pretraining_history"] for run in runs]
    logs = [run.get("pretraining_log", ()) for run in runs]
    charts = nonempty_charts(
        ("Training loss", _curves(comparison.names, logs, "loss", "training", "loss", scale=1)),
        ("Held-out loss", _curves(comparison.names, histories, "loss", "loss", "loss", scale=1)),
        *(
            (title, _curves(comparison.names, histories, key, name, "accuracy (%)"))
            for title, key, name in (
                ("Held-out masked LM accuracy", "masked_lm_accuracy", "mlm"),
                ("Held-out accuracy of the detection", "replaced_token_accuracy", "rtd"),
                ("Held-out sentence order accuracy", "sentence_order_accuracy", "sop"),
            )
        ),
    )
    return (
        make_environment()
        .get_template(_TEMPLATE)
        .render(
            comparison=comparison,
            pretraining_charts=charts,
            task_charts=_task_charts(comparison, runs),
        )
    )


def _task_charts(comparison: Comparison, runs: Sequence[RunValues]) -> list[Chart]:
    """Return a chart of the dev score while fine-tuning for each task, with a line for each run.

    Runs without such scores have no line, and tasks without any line no chart.
    """
    charts = []
    for number, task in enumerate(comparison.tasks):
        histories = [_history(run, task.name) for run in runs]
        label = f"{metric_label(task.metric)} × 100"
        svg = _curves(comparison.names, histories, task.metric, f"task{number}", label)
        charts.append((task.name, svg))
    return nonempty_charts(*charts)


def _history(run: RunValues, name: str) -> Sequence[Mapping[str, Any]]:
    """Return the dev evaluations of a task's fine-tuning in a run; empty if it has no such task."""
    return next((task["history"] for task in run["tasks"] if task["name"] == name), ())


def _curves(
    names: Sequence[str],
    histories: Sequence[Sequence[Mapping[str, Any]]],
    key: str,
    name: str,
    y_label: str,
    scale: float = 100,
) -> str:
    """Draw a column of each run's rows, times `scale`, over one another, and return the `<svg>`.

    Lines after the fourth are dashed. Without any value the result is "".
    """
    lines = [
        Line(
            label=run,
            points=points(history, key, scale=scale),
            color=_COLORS[number % len(_COLORS)],
            marker=_MARKERS[number % len(_MARKERS)],
            is_dashed=number >= len(_COLORS),
        )
        for number, (run, history) in enumerate(zip(names, histories, strict=True))
    ]
    return draw_chart(name, lines, y_label=y_label)
