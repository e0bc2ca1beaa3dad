"""Line charts of a run as SVG text to put inside a page.

Every chart is one small panel, so that the page can lay panels out for any width. Colours are CSS
variables with a fallback (`var(--series-1, #0072b2)`): the page's light and dark themes set them.
The same input gives the same text, and every id begins with the chart's name.
"""

import dataclasses
import html
import io
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from components.report.reference_run import reference_history
from components.report.summary import TaskSummary

History = Sequence[Mapping[str, Any]]

FIRST, SECOND, REFERENCE, INK, GRID = "#0072b2", "#d55e00", "#707780", "#4a5058", "#dde1e6"
THEME = {
    FIRST: "--series-1",
    SECOND: "--series-2",
    REFERENCE: "--reference",
    INK: "--chart-ink",
    GRID: "--grid",
}

METRIC_LABELS = {
    "f1": "F1",
    "micro_f1": "micro F1",
    "macro_f1": "macro F1",
    "matthews_correlation": "Matthews correlation",
    "pearson": "Pearson correlation",
    "spearman": "Spearman correlation",
}

_SIZE_INCHES = (4.7, 3.0)
_TICK_STEPS = (1, 2, 2.5, 5, 10)
_MAX_MARKERS = 30
_MIN_PERCENT_SPAN = 10.0
_NO_METADATA = {"Creator": None, "Date": None, "Format": None, "Type": None}
_STYLE: dict[Any, Any] = {
    "axes.edgecolor": INK,
    "axes.grid": True,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.8,
    "axes.spines.left": False,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.unicode_minus": True,
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 10.5,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "lines.linewidth": 1.8,
    "lines.markersize": 4.0,
    "svg.fonttype": "none",
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "ytick.left": False,
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Line:
    """One line of a chart.

    Attributes:
        label: Its name in the legend.
        points: Pairs of global step and value; one point is drawn as a marker.
        color: One of `THEME`.
        marker: Matplotlib's marker, so that colour is not the only difference.
    """

    label: str
    points: Sequence[tuple[float, float]]
    color: str = FIRST
    marker: str = "o"


def loss_chart(history: History, name: str = "loss") -> str:
    """Draw the training loss and the held-out loss against the global step.

    Args:
        history: `RunSummary.pretraining_history`.
        name: Begins every id in the SVG; unique on the page.

    Returns:
        An `<svg>` element, or an empty string if there is nothing to draw.
    """
    lines = (
        Line(label="train", points=_points(history, "train_loss"), color=SECOND, marker="s"),
        Line(label="held-out", points=_points(history, "loss")),
    )
    return _chart(name, lines, y_label="loss")


def masked_lm_chart(history: History, most_frequent_fraction: float, name: str = "mlm") -> str:
    """Draw held-out masked-LM accuracy beside the reference run's.

    Args:
        history: `RunSummary.pretraining_history`.
        most_frequent_fraction: Accuracy of always guessing the most frequent token, a dashed line;
            without one if it is not finite.
        name: Begins every id in the SVG; unique on the page.

    Returns:
        An `<svg>` element, or an empty string if there is nothing to draw.
    """
    reference = Line(label="most frequent token", points=[(0, 100 * most_frequent_fraction)])
    lines = _beside_reference_run(history, "masked_lm_accuracy")
    return _chart(name, lines, y_label="accuracy (%)", reference=reference)


def sentence_order_chart(history: History, name: str = "sop") -> str:
    """Draw held-out sentence-order accuracy beside the reference run's; dashed: chance.

    Args:
        history: `RunSummary.pretraining_history`.
        name: Begins every id in the SVG; unique on the page.

    Returns:
        An `<svg>` element, or an empty string if there is nothing to draw.
    """
    reference = Line(label="chance", points=[(0, 50.0)])
    lines = _beside_reference_run(history, "sentence_order_accuracy")
    return _chart(name, lines, y_label="accuracy (%)", reference=reference)


def _beside_reference_run(history: History, key: str) -> tuple[Line, ...]:
    """Return the lines of a column and of the reference run, stretched over as many steps.

    Both in percent. No lines if the column has no value.
    """
    points = _points(history, key, scale=100)
    if not points:
        return ()
    reference = _points(reference_history(int(points[-1][0])), key, scale=100)
    return (
        Line(label="held-out", points=points),
        Line(label="reference run", points=reference, color=SECOND, marker=""),
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
    random = _points(task.random_weights_history, task.metric, scale=100)
    lines = (
        Line(label="random weights", points=random, color=SECOND, marker="s"),
        Line(label="pretrained", points=_points(task.history, task.metric, scale=100)),
    )
    reference = Line(label="majority", points=[(0, 100 * task.majority_score)])
    return _chart(name, lines, y_label=f"{metric_label(task.metric)} × 100", reference=reference)


def metric_label(metric: str) -> str:
    """Return a metric's name as people write it: that in METRIC_LABELS, or with spaces for _."""
    return METRIC_LABELS.get(metric, metric.replace("_", " "))


def _points(history: History, key: str, scale: float = 1.0) -> list[tuple[float, float]]:
    """Return (global step, value × scale) of the rows where the column is a finite number."""
    points = []
    for row in history:
        value = row.get(key)
        if value is not None and math.isfinite(value):
            points.append((float(row["global_step"]), scale * value))
    return points


def _chart(name: str, lines: Sequence[Line], *, y_label: str, reference: Line | None = None) -> str:
    """Draw a chart of lines over the global step, and return its `<svg>` element.

    Args:
        name: Begins every id in the SVG.
        lines: The lines; those without points are left out, and without any the result is "".
        y_label: Label of the y axis.
        reference: Drawn dashed at the height of its first point, if that is finite. A chart with
            one is in percent.
    """
    nonempty = [line for line in lines if line.points]
    if not nonempty:
        return ""
    # The salt makes ids the same in every process, and different between the charts of a page.
    with matplotlib.rc_context({**_STYLE, "svg.hashsalt": name}):
        figure = Figure(figsize=_SIZE_INCHES, layout="constrained")
        axes = figure.add_subplot()
        for line in nonempty:
            _draw_line(axes, line)
        if reference is not None and math.isfinite(reference.points[0][1]):
            _draw_reference(axes, reference)
        _finish_axes(axes, nonempty, y_label=y_label, is_percent=reference is not None)
        _draw_legend(figure, axes)
        svg = _to_svg(figure)
    return _for_page(svg, name, description=f"Line chart: {y_label} by global step")


def _draw_line(axes: Axes, line: Line) -> None:
    """Draw a line; its points get markers if there are not more than _MAX_MARKERS."""
    steps, values = zip(*line.points, strict=True)
    marker = line.marker if len(steps) <= _MAX_MARKERS else ""
    axes.plot(steps, values, color=line.color, marker=marker, label=line.label, clip_on=False)


def _draw_reference(axes: Axes, line: Line) -> None:
    """Draw a dashed line across the panel, at the value of the first point and always grey."""
    axes.axhline(
        line.points[0][1], color=REFERENCE, linestyle=(0, (5, 3)), linewidth=1.3, label=line.label
    )


def _finish_axes(axes: Axes, lines: Sequence[Line], *, y_label: str, is_percent: bool) -> None:
    """Set limits, ticks and labels; x begins at step 0, an axis in percent spans 10 at least.

    The lines must be drawn already.
    """
    last_step = max(step for line in lines for step, _ in line.points)
    axes.set_xlim(0, max(1.03 * last_step, 1))
    if is_percent:
        # Without a minimum, noise of half a point would fill the panel and look like a trend.
        low, high = axes.get_ylim()
        missing = max(0.0, _MIN_PERCENT_SPAN - (high - low)) / 2
        axes.set_ylim(low - missing, high + missing)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=5, steps=_TICK_STEPS, integer=True))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda step, _: f"{step:,.0f}"))
    axes.yaxis.set_major_locator(MaxNLocator(nbins=6, steps=_TICK_STEPS))
    axes.set_axisbelow(True)
    axes.set_xlabel("global step")
    axes.set_ylabel(y_label, parse_math=False)


def _draw_legend(figure: Figure, axes: Axes) -> None:
    """Put the legend above the panel, the line "pretrained" first, others as they were drawn."""
    handles, labels = axes.get_legend_handles_labels()
    order = sorted(range(len(labels)), key=lambda index: (labels[index] != "pretrained", index))
    figure.legend(
        [handles[index] for index in order],
        [labels[index] for index in order],
        loc="outside upper left",
        ncols=3,
        frameon=False,
        handlelength=1.6,
        columnspacing=1.1,
        borderaxespad=0.2,
    )


def _to_svg(figure: Figure) -> str:
    """Return a figure as a stand-alone SVG document, without date and other metadata."""
    buffer = io.StringIO()
    # No pyplot, which would keep the figure in memory and may look for a display.
    FigureCanvasSVG(figure)
    figure.savefig(buffer, format="svg", transparent=True, metadata=_NO_METADATA)
    return buffer.getvalue()


def _for_page(svg: str, name: str, *, description: str) -> str:
    """Turn a stand-alone SVG document into one element of a page.

    Removes the prolog, the fixed size and the style sheet, which would apply to the whole page;
    prefixes ids with the chart's name; replaces the theme's colours by CSS variables.

    Args:
        svg: The document, as `_to_svg` returns it.
        name: Begins every id.
        description: Label for screen readers; escaped here.
    """
    svg = svg[svg.index("<svg") :].strip()
    svg = re.sub(r"<style.*?</style>", "", svg, count=1, flags=re.DOTALL)
    svg = re.sub(r'( id="|url\(#|xlink:href="#)', rf"\g<1>{name}-", svg)
    svg = re.sub(
        r"((?:fill|stroke): )(#[0-9a-f]{6})",
        lambda match: match[1] + _theme_color(match[2]),
        svg,
    )
    view_box = re.search(r'viewBox="[^"]*"', svg)
    assert view_box is not None
    label = html.escape(description, quote=True)
    root = (
        f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
        f'{view_box[0]} role="img" aria-label="{label}" stroke-linejoin="round">'
    )
    return root + svg[svg.index(">") + 1 :]


def _theme_color(color: str) -> str:
    """Return the CSS variable of a colour in `THEME`; any other colour as it is."""
    return f"var({THEME[color]}, {color})" if color in THEME else color
