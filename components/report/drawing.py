"""Draw line charts as SVG text to put inside a page.

Every chart is one small panel, so that the page can lay panels out for any width. Colours are CSS
variables with a fallback (`var(--series-1, #0072b2)`): the page's light and dark themes set them.
The same input gives the same text, and every id begins with the chart's name.
"""

import dataclasses
import html
import io
import math
import re
from collections.abc import Sequence
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

FIRST, SECOND, THIRD, FOURTH = "#0072b2", "#d55e00", "#117755", "#8a4f9e"
REFERENCE, INK, GRID = "#707780", "#4a5058", "#dde1e6"
THEME = {
    FIRST: "--series-1",
    SECOND: "--series-2",
    THIRD: "--series-3",
    FOURTH: "--series-4",
    REFERENCE: "--reference",
    INK: "--chart-ink",
    GRID: "--grid",
}

_SIZE_INCHES = (4.7, 3.0)
_TICK_STEPS = (1, 2, 2.5, 5, 10)
_MAX_MARKERS = 30
_DASHED: dict[str, Any] = {"linestyle": (0, (5, 3)), "linewidth": 1.3}
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
        points: Pairs of x and y; one point is drawn as a marker.
        color: A color of `THEME`.
        marker: Matplotlib's marker, so that colour is not the only difference.
        is_faint: Whether it is drawn thin and pale, as a curve behind others.
        is_dashed: Whether it is drawn dashed.
    """

    label: str
    points: Sequence[tuple[float, float]]
    color: str = FIRST
    marker: str = "o"
    is_faint: bool = False
    is_dashed: bool = False


def draw_chart(
    name: str,
    lines: Sequence[Line],
    *,
    y_label: str,
    x_label: str = "global step",
    reference: Line | None = None,
) -> str:
    """Draw a chart of lines, from x = 0 on, and return its `<svg>` element.

    Args:
        name: Begins every id in the SVG; unique on the page.
        lines: The lines; those without points are left out, and without any the result is "".
        y_label: Label of the y axis.
        x_label: Label of the x axis.
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
        _finish_axes(axes, nonempty, is_percent=reference is not None)
        axes.set_xlabel(x_label)
        axes.set_ylabel(y_label, parse_math=False)
        _draw_legend(figure, axes)
        svg = _to_svg(figure)
    return _for_page(svg, name, description=_describe(nonempty, f"{y_label} by {x_label}"))


def draw_square(
    name: str, lines: Sequence[Line], *, x_label: str, y_label: str, diagonal: str
) -> str:
    """Draw a chart of percentages on both axes with a dashed diagonal; return its `<svg>` element.

    Args:
        name: Begins every id in the SVG; unique on the page.
        lines: The lines, each with a point at least, whose x and y are from 0 to 100.
        x_label: Label of the x axis.
        y_label: Label of the y axis.
        diagonal: Name of the diagonal in the legend.
    """
    with matplotlib.rc_context({**_STYLE, "svg.hashsalt": name}):
        figure = Figure(figsize=_SIZE_INCHES, layout="constrained")
        axes = figure.add_subplot()
        for line in lines:
            _draw_line(axes, line)
        axes.plot([0, 100], [0, 100], color=REFERENCE, **_DASHED, label=diagonal)
        axes.set(xlim=(0, 100), ylim=(0, 100))
        axes.set_xlabel(x_label, parse_math=False)
        axes.set_ylabel(y_label, parse_math=False)
        axes.set_axisbelow(True)
        _draw_legend(figure, axes)
        svg = _to_svg(figure)
    return _for_page(svg, name, description=_describe(lines, f"{y_label} by {x_label}"))


def _describe(lines: Sequence[Line], what: str) -> str:
    """Describe a chart for readers who do not see it: each line's first and last point, y at x.

    Args:
        lines: The lines, each with at least one point (not checked).
        what: What the chart shows, such as `loss by step`.
    """
    parts = []
    for line in lines:
        (first_x, first_y), (last_x, last_y) = line.points[0], line.points[-1]
        course = f"{first_y:.4g} at {first_x:,.4g}"
        if len(line.points) > 1:
            course += f" to {last_y:.4g} at {last_x:,.4g}"
        parts.append(f"{line.label} {course}")
    return f"Line chart of {what}: {'; '.join(parts)}"


def _draw_line(axes: Axes, line: Line) -> None:
    """Draw a line; its points get markers if it is not faint and has at most _MAX_MARKERS.

    A single point always gets one. Faint lines are thinner, and partly transparent.
    """
    xs, ys = zip(*line.points, strict=True)
    marker = line.marker if len(xs) <= _MAX_MARKERS and not line.is_faint else ""
    if len(xs) == 1:
        marker = marker or "."
    style: dict[str, Any] = {"alpha": 0.6, "linewidth": 1.1} if line.is_faint else {}
    if line.is_dashed:
        style["linestyle"] = (0, (4, 2))
    axes.plot(xs, ys, color=line.color, marker=marker, label=line.label, clip_on=False, **style)


def _draw_reference(axes: Axes, line: Line) -> None:
    """Draw a dashed line across the panel, at the value of the first point and always grey."""
    axes.axhline(line.points[0][1], color=REFERENCE, **_DASHED, label=line.label)


def _finish_axes(axes: Axes, lines: Sequence[Line], *, is_percent: bool) -> None:
    """Set limits and ticks; x begins at 0, an axis in percent spans 10 at least.

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


def _draw_legend(figure: Figure, axes: Axes) -> None:
    """Put the legend above the panel, the line "pretrained" first, others as they were drawn."""
    handles, labels = axes.get_legend_handles_labels()
    order = sorted(range(len(labels)), key=lambda index: (labels[index] != "pretrained", index))
    legend = figure.legend(
        [handles[index] for index in order],
        [labels[index] for index in order],
        loc="outside upper left",
        ncols=3,
        frameon=False,
        handlelength=1.6,
        columnspacing=1.1,
        borderaxespad=0.2,
    )
    for text in legend.get_texts():
        text.set_parse_math(False)  # a run or a class may be called $x$


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
