"""A run's summary as one HTML page that needs nothing else: no script, no file, no network."""

import dataclasses
import datetime
import json
import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from components.report.charts import (
    loss_chart,
    masked_lm_chart,
    metric_label,
    sentence_order_chart,
    task_chart,
)
from components.report.summary import RunSummary, StepSummary, TaskSummary

TEMPLATE = "page.html.j2"
NOTHING = "–"
CHANCE = 0.5


@dataclasses.dataclass(frozen=True, kw_only=True)
class Headline:
    """One large figure at the top of the page: what it is, its value, what to hold it against."""

    label: str
    value: str
    note: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Chart:
    """A drawn chart: its title (text) and its SVG element."""

    title: str
    svg: Markup


def render_page(summary: RunSummary) -> str:
    """Renders the whole report; the same summary gives the same text.

    Args:
        summary: The run.

    Returns:
        An HTML document. Every name and text of the run is escaped.
    """
    template = _environment().get_template(TEMPLATE)
    return template.render(
        run=summary,
        created=_format_time(summary.created),
        headlines=list(_headlines(summary)),
        pretraining_charts=_pretraining_charts(summary),
        task_charts=_task_charts(summary.tasks),
        total_seconds=_total_seconds(summary.steps),
        code_versions=sorted({step.code_version for step in summary.steps}),
    )


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        details=task_details,
        duration=format_duration,
        exact=format_exact,
        figure=format_figure,
        flat=flatten,
        gain=format_gain,
        label=format_label,
        loss=format_loss,
        metric=_capitalize_metric,
        number=format_number,
        percent=format_percent,
        points=format_points,
    )
    return environment


def _headlines(summary: RunSummary) -> Iterator[Headline]:
    best = _best_row(summary.pretraining_history)
    held_out = f"held-out, step {format_number(best['global_step'])}" if best else "held-out"
    yield Headline(
        label="Masked LM accuracy",
        value=format_percent(best.get("masked_lm_accuracy")),
        note=f"{held_out}; most frequent piece: {format_percent(summary.most_frequent_fraction)}",
    )
    yield Headline(
        label="Sentence order accuracy",
        value=format_percent(best.get("sentence_order_accuracy")),
        note=f"{held_out}; chance: {format_percent(CHANCE)}",
    )
    yield _task_headline(summary.tasks)
    yield Headline(
        label="Time of all steps",
        value=format_duration(_total_seconds(summary.steps)),
        note=_count(len(summary.steps), "step"),
    )


def _best_row(history: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """Finds the evaluation whose weights pretraining keeps, as `albert_core.pretraining` does."""

    def accuracy(row: Mapping[str, Any]) -> float:
        value = row.get("masked_lm_accuracy")
        return -math.inf if value is None or _is_missing(value) else value

    return max(history, key=accuracy, default={})


def _task_headline(tasks: Sequence[TaskSummary]) -> Headline:
    gains = [task.score - task.majority_score for task in tasks]
    notes = [f"points over majority, {_count(len(tasks), 'task')}" if tasks else "no tasks"]
    over_random = [
        task.score - task.random_weights_score
        for task in tasks
        if task.random_weights_score is not None
    ]
    if over_random:
        notes.append(f"{format_gain(statistics.fmean(over_random))} over random weights")
        if len(over_random) < len(tasks):
            notes[-1] += f" ({_count(len(over_random), 'task')})"
    value = format_gain(statistics.fmean(gains) if gains else None)
    return Headline(label="Mean task gain", value=value, note="; ".join(notes))


def task_details(task: TaskSummary) -> Iterator[str]:
    """Yields what else is known of a score: all metrics, interval, seeds, what others got."""
    metrics = {name: value for name, value in task.metrics.items() if name != "null_threshold"}
    scores = [f"{_capitalize_metric(name)} {format_points(v)}" for name, v in metrics.items()]
    if len(scores) > 1:
        yield " · ".join(scores)
    if task.interval:
        low, high = map(format_points, task.interval)
        seeds = f"; best of {task.num_seeds} seeds" if task.num_seeds > 1 else ""
        if task.mean_score is not None:
            deviation = format_points(task.score_std)
            seeds += f", mean {format_points(task.mean_score)}, deviation {deviation}"
        yield f"95 % interval {low} to {high}{seeds}"
    if task.paper_scores:
        others = (f"{model} {score:.1f}" for model, score in task.paper_scores.items())
        yield f"Published: {' · '.join(others)}"


def _pretraining_charts(summary: RunSummary) -> list[Chart]:
    history = summary.pretraining_history
    return _drawn(
        ("Loss", loss_chart(history)),
        ("Masked LM accuracy", masked_lm_chart(history, summary.most_frequent_fraction)),
        ("Sentence order accuracy", sentence_order_chart(history)),
    )


def _task_charts(tasks: Sequence[TaskSummary]) -> list[Chart]:
    return _drawn(
        *((task.name, task_chart(task, f"task{index}")) for index, task in enumerate(tasks))
    )


def _drawn(*charts: tuple[str, str]) -> list[Chart]:
    return [Chart(title=title, svg=Markup(svg)) for title, svg in charts if svg]


def _total_seconds(steps: Sequence[StepSummary]) -> float:
    return math.fsum(step.seconds for step in steps)


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def _format_time(created: str) -> str:
    return f"{datetime.datetime.fromisoformat(created):%Y-%m-%d %H:%M %Z}".strip()


def _is_missing(value: float | None) -> bool:
    return value is None or not math.isfinite(value)


def format_percent(share: float | None) -> str:
    """Formats a share: 0.7831 as 78.3%, a small one with three significant digits."""
    if share is None or _is_missing(share):
        return NOTHING
    percent = 100 * share
    return f"{percent:.1f}%" if not 0 < abs(percent) < 1 else f"{percent:.3g}%"


def format_points(score: float | None) -> str:
    """Formats a score or a correlation times 100, as GLUE does: 0.7831 as 78.3."""
    return NOTHING if score is None or _is_missing(score) else f"{_rounded(score):.1f}"


def format_gain(difference: float | None) -> str:
    """Formats a difference of two scores times 100, with its sign: +12.3, −0.4, 0.0."""
    if difference is None or _is_missing(difference):
        return NOTHING
    points = _rounded(difference)
    return f"{points:+.1f}".replace("-", "−") if points else "0.0"


def _rounded(score: float) -> float:
    return round(100 * score, 1) + 0.0  # + 0.0 makes -0.0 positive


def format_number(value: object) -> str:
    """Formats a number: 1,234,567 for a whole one, four significant digits for others."""
    if value is None or isinstance(value, bool) or not isinstance(value, int | float):
        return format_exact(value)
    if not math.isfinite(value):
        return NOTHING
    if isinstance(value, int) or abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.4g}"


def format_loss(loss: float | None) -> str:
    """Formats a loss with three decimals, so that a column of them lines up."""
    return NOTHING if loss is None or _is_missing(loss) else f"{loss:.3f}"


def format_duration(seconds: float | None) -> str:
    """Formats seconds: 4.2 s, 3 min 12 s, 2 h 05 min."""
    if seconds is None or _is_missing(seconds):
        return NOTHING
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours:,} h {minutes:02d} min"


def format_exact(value: object) -> str:
    """Formats a setting as it was given, without rounding."""
    if isinstance(value, str):
        return value
    if value is None:
        return NOTHING
    return json.dumps(value, ensure_ascii=False, default=str)


def format_figure(value: object, key: str) -> str:
    """Formats a figure of a manifest by the unit in its name (`_fraction`, `_s`, `seconds`)."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        if key.endswith(("_fraction", "_accuracy")):
            return format_percent(value)
        if key.endswith(("_s", "seconds")):
            return format_duration(value)
    return format_number(value)


def format_label(key: str) -> str:
    """Makes a key's name readable: `num_train_records` as Train records."""
    words = key.removeprefix("num_").removesuffix("_fraction").replace("_", " ")
    return words[:1].upper() + words[1:]


def flatten(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yields the leaves of nested settings with dotted names, in order."""
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from flatten(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _capitalize_metric(metric: str) -> str:
    label = metric_label(metric)
    return label[:1].upper() + label[1:]
