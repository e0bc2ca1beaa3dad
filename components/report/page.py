"""Render a run's summary as one HTML page that needs no script, no other file and no network."""

import dataclasses
import datetime
import json
import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2

from albert_core.pretraining.objectives import has_detection
from components.number_formats import (
    NOTHING,
    format_bytes,
    format_count,
    format_duration,
    format_gain,
    format_loss,
    format_number,
    format_percent,
    format_points,
)
from components.pretraining_metrics import (
    describe_detection,
    describe_ranks,
    masked_lm_title,
    metrics_by_shown,
)
from components.report.charts import (
    loss_chart,
    masked_lm_chart,
    metric_label,
    replaced_token_chart,
    sentence_order_chart,
)
from components.report.published import SOURCE, published_tables
from components.report.summary import RunSummary, StepSummary, TaskSummary, published_evaluation
from components.report.task_panels import Chart, make_panel, nonempty_charts
from components.report.verdict import BASELINE_COLUMNS, against, judge

_TEMPLATE = "page.html.j2"
_MAX_EVALUATIONS = 40
_CHANCE_ACCURACY = 0.5  # of sentence order: half of the pairs are swapped


@dataclasses.dataclass(frozen=True, kw_only=True)
class Headline:
    """One large number at the top of the page: what it is, its value, what to compare it with."""

    label: str
    value: str
    note: str


def render_page(summary: RunSummary) -> str:
    """Render the whole report; the same summary gives the same text.

    Args:
        summary: The run; a verdict is made where it has none.

    Returns:
        An HTML document. Every name and text of the run is escaped.
    """
    verdict = summary.verdict or judge(summary)
    published = published_evaluation(summary.pretraining_history)
    template = make_environment().get_template(_TEMPLATE)
    return template.render(
        run=summary,
        created=_format_time(summary.created),
        headlines=list(_headlines(summary)),
        evaluations=_spread(summary.pretraining_history),
        published_evaluation=published,
        metrics_by_shown=metrics_by_shown(published),
        detects=has_detection(published),
        effective_ranks=describe_ranks(summary.pretraining_history),
        published_source=SOURCE,
        published_tables=published_tables(summary.tasks, size=summary.checkpoint.get("size", "")),
        pretraining_charts=_pretraining_charts(summary),
        panels=[
            make_panel(task, number, verdict.tasks.get(task.name, ""))
            for number, task in enumerate(summary.tasks)
        ],
        verdict=verdict,
        machines=_machines(summary.steps),
        packages=_packages(summary.steps),
        total_seconds=_total_seconds(summary.steps),
        code_versions=sorted({step.code_version for step in summary.steps}),
    )


def make_environment() -> jinja2.Environment:
    """Return the environment of the templates, with their filters; undefined names are errors.

    It escapes all text that is not marked as HTML.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["baseline_name"] = BASELINE_COLUMNS.get
    environment.filters.update(
        bytes=format_bytes,
        details=task_details,
        duration=format_duration,
        flat=flatten,
        gain=format_gain,
        label=format_label,
        loss=format_loss,
        metric_name=_capitalize_metric,
        metric_value=format_metric,
        number=format_number,
        percent=format_percent,
        points=format_points,
        setting=format_setting,
    )
    return environment


def _headlines(summary: RunSummary) -> Iterator[Headline]:
    """Yield the numbers at the top of the page, in their order: of the start, tasks and time."""
    yield from _checkpoint_headlines(summary) if summary.checkpoint else _text_headlines(summary)
    yield _task_headline(summary.tasks)
    yield Headline(
        label="Time of all steps",
        value=format_duration(_total_seconds(summary.steps)),
        note=format_count(len(summary.steps), "step"),
    )


def _checkpoint_headlines(summary: RunSummary) -> Iterator[Headline]:
    """Yield the number of parameters, size and kind of the checkpoint that the run started from."""
    facts = summary.checkpoint
    yield Headline(
        label="Parameters of the checkpoint",
        value=format_number(facts["num_parameters"]),
        note=" ".join(filter(None, (facts["size"], f"({facts['kind']})"))),
    )


def _text_headlines(summary: RunSummary) -> Iterator[Headline]:
    """Yield the held-out accuracies of detection (if there is one), masked LM and sentence order.

    They are those of the published weights, each with the accuracy to compare it with; missing ones
    are written as `NOTHING`.
    """
    best = published_evaluation(summary.pretraining_history)
    held_out = f"held-out, step {format_number(best['global_step'])}" if best else "held-out"
    if has_detection(best):
        yield Headline(
            label="Replaced-token detection",
            value=format_percent(best["replaced_token_accuracy"]),
            note=f"{held_out}; {describe_detection(best)}",
        )
    mask_text = "".join(
        f"; {shown.words}: {format_percent(shown.accuracy)}" for shown in metrics_by_shown(best)[:1]
    )
    yield Headline(
        label=masked_lm_title(best),
        value=format_percent(best.get("masked_lm_accuracy")),
        note=f"{held_out}{mask_text}; most frequent token: "
        f"{format_percent(summary.most_frequent_fraction)}",
    )
    yield Headline(
        label="Sentence order accuracy",
        value=format_percent(best.get("sentence_order_accuracy")),
        note=f"{held_out}; chance: {format_percent(_CHANCE_ACCURACY)}",
    )


def _task_headline(tasks: Sequence[TaskSummary]) -> Headline:
    """Return the mean gain over majority, and over random weights for the tasks that have them.

    With several seeds it is the gain of the means. Without tasks the value is `NOTHING`.
    """
    gains = [difference.gain for difference in against(tasks, "majority")]
    notes = [f"points over majority, {format_count(len(tasks), 'task')}" if tasks else "no tasks"]
    over_random = [difference.gain for difference in against(tasks, "random_weights")]
    if over_random:
        notes.append(f"{format_gain(statistics.fmean(over_random))} over random weights")
        if len(over_random) < len(tasks):
            notes[-1] += f" ({format_count(len(over_random), 'task')})"
    value = format_gain(statistics.fmean(gains) if gains else None)
    return Headline(label="Mean task gain", value=value, note="; ".join(notes))


def task_details(task: TaskSummary) -> Iterator[str]:
    """Yield the lines below a score: metrics, seeds, the grid's choice, published scores, files.

    Each only where there is something to say: metrics where there are two or more (SQuAD's
    threshold is not one), seeds where there are several.
    """
    metrics = {
        name: value
        for name, value in task.metrics.items()
        # The combined score only where it is not the first metric itself.
        if name != "null_threshold" and not (name == "score" and value == task.score)
    }
    scores = [f"{_capitalize_metric(name)} {format_points(v)}" for name, v in metrics.items()]
    if len(scores) > 1:
        yield " · ".join(scores)
    if task.mean_score is not None:
        yield (
            f"Best of {task.num_seeds} seeds, mean {format_points(task.mean_score)}, standard "
            f"deviation {format_points(task.score_std)}{_random_seeds(task)}"
        )
    for name, values in task.chosen_settings.items():
        chosen, *random = map(format_setting, values)
        random_text = "".join(f"; from random weights {value}" for value in random)
        yield f"Chosen {name.replace('_', ' ')}: {chosen}{random_text}"
    if task.paper_scores:
        others = (f"{model} {score:.1f}" for model, score in task.paper_scores.items())
        yield f"Published: {' · '.join(others)}"
    if task.data_files:
        yield f"Data: {task.data_files}"


def _random_seeds(task: TaskSummary) -> str:
    """Return mean and deviation over the seeds from random weights; empty without them."""
    if task.random_weights_mean is None:
        return ""
    return (
        f"; from random weights mean {format_points(task.random_weights_mean)}, standard deviation "
        f"{format_points(task.random_weights_std)}"
    )


def _spread(rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return at most `_MAX_EVALUATIONS` rows, evenly spread, the first and the last among them."""
    most = min(len(rows), _MAX_EVALUATIONS)
    return [rows[round(n * (len(rows) - 1) / max(1, most - 1))] for n in range(most)]


def _pretraining_charts(summary: RunSummary) -> list[Chart]:
    """Return the charts of loss, detection, masked LM and sentence order that have a line to draw.

    In this order, with their titles.
    """
    history = summary.pretraining_history
    log = summary.pretraining_log
    published = published_evaluation(history)
    return nonempty_charts(
        ("Loss", loss_chart(history, log)),
        ("Replaced-token detection", replaced_token_chart(history, log)),
        (
            masked_lm_title(published),
            masked_lm_chart(history, summary.most_frequent_fraction, log),
        ),
        ("Sentence order accuracy", sentence_order_chart(history, log)),
    )


def _total_seconds(steps: Sequence[StepSummary]) -> float:
    return math.fsum(step.seconds for step in steps)


def _machines(steps: Sequence[StepSummary]) -> list[tuple[str, list[str]]]:
    """Return each machine in words with the names of the steps that ran on it, in their order.

    Steps of earlier versions, which do not tell their machine, are left out.
    """
    machines: dict[str, list[str]] = {}
    for step in steps:
        if values := step.environment:
            parts = [values["processor"], format_count(values["num_cores"], "core")]
            if values.get("memory_bytes"):
                parts.append(f"{format_bytes(values['memory_bytes'])} of memory")
            parts += [values["system"], f"Python {values['python']}"]
            machines.setdefault(", ".join(parts), []).append(step.name)
    return list(machines.items())


def _packages(steps: Sequence[StepSummary]) -> list[tuple[str, str]]:
    """Return each package with its version, or its versions if steps ran with several, sorted."""
    versions: dict[str, list[str]] = {}
    for step in steps:
        for name, version in step.environment.get("packages", {}).items():
            if version not in versions.setdefault(name, []):
                versions[name].append(version)
    return [(name, ", ".join(numbers)) for name, numbers in sorted(versions.items())]


def _format_time(created: str) -> str:
    """Format an ISO time to the minute, with its zone's name if it has one."""
    return f"{datetime.datetime.fromisoformat(created):%Y-%m-%d %H:%M %Z}".strip()


def format_setting(value: object) -> str:
    """Format a setting as JSON, without rounding, so that it can be copied into a configuration.

    Strings are written without quotes, None as `NOTHING`.
    """
    if isinstance(value, str):
        return value
    if value is None:
        return NOTHING
    return json.dumps(value, ensure_ascii=False, default=str)


def format_metric(value: object, key: str) -> str:
    """Format a metric of a step by the unit that its name ends in.

    Names in `_fraction` or `_accuracy` are percentages, those in `_s` or `seconds` durations. What
    is no number is written as `format_setting` does.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        return format_setting(value)
    if key.endswith(("_fraction", "_accuracy")):
        return format_percent(value)
    if key.endswith(("_s", "seconds")):
        return format_duration(value)
    return format_number(value)


def format_label(key: str) -> str:
    """Format a key as people write it: `num_train_records` as Train records.

    `num_` at the start and `_fraction` at the end are left out.
    """
    words = key.removeprefix("num_").removesuffix("_fraction").replace("_", " ")
    return words[:1].upper() + words[1:]


def flatten(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the leaves of nested settings as (dotted name, value), in order.

    Lists and empty mappings are leaves.

    Args:
        values: The settings.
        prefix: What all names begin with, the dot included.
    """
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from flatten(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _capitalize_metric(metric: str) -> str:
    """Return the label of a metric with a capital first letter."""
    label = metric_label(metric)
    return label[:1].upper() + label[1:]
