"""Tables on standard output: a run's steps, scores and exports."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import rich.box
import rich.console
import rich.table
from rich.markup import escape

from albert_core.finetuning.probe_results import FrozenProbe
from albert_core.pretraining.objectives import has_detection
from components.number_formats import format_gain, format_number, format_points
from components.pretraining_metrics import SHOWN_NAMES, detection_baseline
from components.report.submission import SUBMISSION_NAME
from components.report.summary import published_evaluation
from components.steps import STEPS

_PLAIN_WIDTH = 120
# Beginnings of verdicts that need their question.
_REPLIES = ("Yes:", "No:", "Not known:", "Not shown:")


def print_result(summary: Mapping[str, Any], steps_run: frozenset[str], page: str) -> None:
    """Print steps, scores, exports, verdict, outcomes and the report's path on standard output.

    Args:
        summary: A `components.report.summary.RunSummary` as plain values.
        steps_run: Names of the steps that ran this time; the others are shown as cached.
        page: The report.
    """
    console = make_console()
    states = {step["name"]: "cached" for step in summary["steps"]} | dict.fromkeys(steps_run, "run")
    console.print()
    console.print(steps_table(summary["steps"], states))
    console.print()
    console.print(_scores_table(summary))
    if masking := published_evaluation(summary["pretraining_history"]).get("masking"):
        console.print(f"Masks of held-out text: {masking}", markup=False, soft_wrap=True)
    if rows := list(_export_rows(summary["exports"])):
        console.print()
        console.print(_exports_table(rows))
    if verdict := summary.get("verdict"):
        answer = verdict["answer"]
        text = f"{verdict['question']} {answer}" if answer.startswith(_REPLIES) else answer
        console.print(f"\n{text}", markup=False, soft_wrap=True)
    for line in _outcomes(summary):
        console.print(line, markup=False, soft_wrap=True)
    console.print(f"\nReport: {page}", markup=False, soft_wrap=True)


def print_scores(metrics: Mapping[str, Mapping[str, float]]) -> None:
    """Print a table of evaluations, with scores as points (0.5 is 50.0).

    Args:
        metrics: Metrics of each evaluation by its name. The first metric is the task's own; `low`
            and `high`, the bounds of its interval, must be there.
    """
    console = make_console()
    numbers = ("score", "95 % interval")
    table = make_table("task", "metric", *numbers, "key metrics", right=numbers)
    for name, values in metrics.items():
        metric = next(iter(values))
        table.add_row(
            name,
            metric.replace("_", " "),
            format_points(values[metric]),
            f"{format_points(values['low'])} to {format_points(values['high'])}",
            _metrics_text({k: v for k, v in values.items() if k not in (metric, "low", "high")}),
        )
    console.print(table)


def print_classes(classes: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
    """Print a table of classes, labels or types of entities; nothing where there are none.

    Args:
        classes: The rows of `ClassCounts.describe` of each evaluation by its name.
    """
    numbers = ("precision", "recall", "F1", "examples", "predicted")
    table = make_table("task", "label", *numbers, right=numbers)
    for name, rows in classes.items():
        for row in rows:
            scores = (format_points(row[score]) for score in ("precision", "recall", "f1"))
            counts = (f"{row[count]:,}" for count in ("num_examples", "num_predicted"))
            table.add_row(escape(name), escape(row["label"]), *scores, *counts)
    if table.row_count:
        make_console().print(table)


def print_probe(probe: FrozenProbe) -> None:
    """Print a table of a frozen probe, a row for each layer, scores as points; then its gains."""
    console = make_console()
    numbers = ("layer", "score", "95 % interval", "random weights", "interval")
    table = make_table(*numbers, right=numbers)
    for model, control in zip(probe.pretrained.layers, probe.random_weights.layers, strict=True):
        name = "last" if model is probe.pretrained.layers[-1] else ""
        table.add_row(
            f"{name} {model.layer}".strip(),
            format_points(model.score),
            f"{format_points(model.low)} to {format_points(model.high)}",
            format_points(control.score),
            f"{format_points(control.low)} to {format_points(control.high)}",
        )
    console.print(table)
    best = (probe.pretrained.best_layer, probe.random_weights.best_layer)
    for name, gain in (
        (f"Best layers ({best[0]}, of random weights {best[1]})", probe.best_layer_gain),
        ("Last layer", probe.last_layer_gain),
    ):
        console.print(
            f"{name}: {format_gain(gain.gain)} points over random weights (95 % interval "
            f"{format_gain(gain.low)} to {format_gain(gain.high)})",
            soft_wrap=True,
        )
    console.print(
        f"{probe.task}, {probe.metric.replace('_', ' ')}: {probe.num_train:,} training and "
        f"{probe.num_dev:,} dev examples, {probe.seconds:.1f} s",
        markup=False,
        soft_wrap=True,
    )


def print_parities(parities: Sequence[Mapping[str, Any]]) -> None:
    """Print a table of a model's formats, from the parity.json of each.

    Args:
        parities: The contents of parity.json. `differences` must not be empty: the largest is
            shown; scores are blank where `scores` is None.
    """
    console = make_console()
    rows = []
    for parity in parities:
        scores = parity["scores"] or {"metric": "", "before": None, "after": None}
        rows.append(
            _ExportRow(
                name=parity["format"],
                metric=scores["metric"],
                file_bytes=parity["file_bytes"],
                size_ratio=parity["size_ratio"],
                difference=max(parity["differences"].values()),
                before=scores["before"],
                after=scores["after"],
            )
        )
    console.print(_exports_table(rows))


@dataclasses.dataclass(frozen=True, kw_only=True)
class _ExportRow:
    """A model in a format: how large, how different, and its score before and after.

    Attributes:
        name: What the row is called: the format, after the task if there are several.
        metric: Name of the score.
        file_bytes: Size of the export in bytes.
        size_ratio: Size of the export as a multiple of that of the parameters.
        difference: Largest difference of the outputs.
        before: Score of the model, as a fraction; None if it was not scored.
        after: Score of the export, likewise.
    """

    name: str
    metric: str
    file_bytes: int
    size_ratio: float
    difference: float
    before: float | None
    after: float | None


def _export_rows(exports: Sequence[Mapping[str, Any]]) -> Iterator[_ExportRow]:
    """Yield a row for each format of each exported task; none for tasks that were held back.

    Args:
        exports: The `exports` of a run's summary.
    """
    for export in exports:
        for name, difference in export["differences"].items():
            yield _ExportRow(
                name=f"{export['task']} {name}",
                metric=export["metric"],
                file_bytes=export["file_bytes"][name],
                size_ratio=export["size_ratios"][name],
                difference=difference,
                before=export["score_before"],
                after=export["scores"].get(name),
            )


def _exports_table(rows: Sequence[_ExportRow]) -> rich.table.Table:
    """Return the table of exports, in the order of the rows; missing scores are blank."""
    numbers = ("MB", "size / parameters", "difference", "score before", "after")
    table = make_table("export", *numbers, "metric", right=numbers)
    for row in rows:
        table.add_row(
            row.name,
            f"{row.file_bytes / 1e6:.1f}",
            f"{row.size_ratio:.2f}",
            f"{row.difference:.1e}",
            points_or_nothing(row.before),
            points_or_nothing(row.after),
            row.metric.replace("_", " ") if row.before is not None else "",
        )
    return table


def make_console(*, to_stderr: bool = False) -> rich.console.Console:
    """Return a console as wide as the terminal, or of a fixed width elsewhere, as in a file.

    Args:
        to_stderr: Whether it is standard error, in place of standard output.
    """
    console = rich.console.Console(highlight=False, stderr=to_stderr)
    if not console.is_terminal:
        console.width = _PLAIN_WIDTH
    return console


def make_table(*columns: str, right: tuple[str, ...] = ()) -> rich.table.Table:
    """Return an empty table whose columns do not wrap, except `key metrics`.

    Args:
        *columns: Titles of the columns.
        right: Titles of the columns that are aligned right.
    """
    table = rich.table.Table(box=rich.box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        is_prose = column == "key metrics"
        table.add_column(
            column, justify="right" if column in right else "left", no_wrap=not is_prose
        )
    return table


def steps_table(steps: Sequence[Mapping[str, Any]], states: Mapping[str, str]) -> rich.table.Table:
    """Return the table of a run's steps, in their order.

    Args:
        steps: The name, seconds and metrics of each; seconds are None for a step that is not done.
        states: How each was done, or ended, by name.
    """
    table = make_table("step", "seconds", "", "key metrics", right=("seconds",))
    for step in steps:
        seconds = "" if step["seconds"] is None else f"{step['seconds']:.1f}"
        metrics = _key_metrics(step) if step["metrics"] else ""
        table.add_row(step["name"], seconds, states[step["name"]], metrics)
    return table


# Metrics of fine-tuning and evaluation that are in the table of scores, or of no interest here.
_TASK_BOOKKEEPING = (
    "data_files",
    "global_step",
    "majority_score",
    "num_dev",
    "num_train",
    "probe_last_layer_score",
    "training_jit_compile",
    "training_precision",
    "without_model_score",
)


def _key_metrics(step: Mapping[str, Any]) -> str:
    """Return the metrics of a step that the table names, as text.

    The metrics that `components.steps.STEPS` names, as far as they are there; for a step without
    such a list, such as fine-tuning and evaluation, all metrics except bookkeeping.
    """
    metrics = step["metrics"]
    kind, *_ = step["name"].split()  # of a step for each length or task: `records 64`
    known = STEPS.get(kind)  # a run of an earlier version may have others
    names = (known and known.key_metrics) or [n for n in metrics if n not in _TASK_BOOKKEEPING]
    return _metrics_text({name: metrics[name] for name in names if name in metrics})


def _metrics_text(metrics: Mapping[str, float]) -> str:
    """Return metrics as `name value, name value`, numbers rounded for reading."""
    return ", ".join(f"{name} {format_number(value)}" for name, value in metrics.items())


def _outcomes(summary: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines below the tables of a run.

    First, for each task whose training from random weights had another precision or compilation
    than that of its model, the sentence that says so. Then one for each task that was exported or
    held back, one for the files for GLUE's site and one for each remark on these files, and one
    about promotion; each only if the run has it.

    Args:
        summary: A `components.report.summary.RunSummary` as plain values.
    """
    yield from filter(None, (task.get("random_weights_other_compute") for task in summary["tasks"]))
    for export in summary["exports"]:
        if export["differences"]:
            yield f"Exported {export['task']}: {', '.join(export['differences'])}"
        else:
            yield (
                f"Not exported {export['task']}: {export['metric'].replace('_', ' ')} "
                f"{format_points(export['score'])}, threshold {format_points(export['threshold'])}"
            )
    if files := summary["submission"]:
        filled = ", ".join(file["name"] for file in files if not file["is_predicted"])
        predicted = sum(file["is_predicted"] for file in files)
        yield f"{SUBMISSION_NAME}: {predicted} of {len(files)} files predicted" + (
            f"; filled: {filled}" if filled else ""
        )
        for file in files:
            yield from (f"{file['name']}: {remark}" for remark in file["remarks"])
    if promotion := summary["promotion"]:
        verdict = "Accepted" if promotion["is_promoted"] else "Not accepted"
        before = promotion["accepted_date"]
        than = f" (compared with the model of {before})" if before else ""
        yield f"{verdict} for {promotion['date']}: {promotion['reason']}{than}"


def _scores_table(summary: Mapping[str, Any]) -> rich.table.Table:
    """Return the table of scores: the pretraining objectives if any, then each task.

    Below masked LM are its accuracies by what the input has at the predicted position, as far as
    they were measured.
    Baselines are in the columns `random weights`, `TF-IDF` and `majority`. A column `accepted` is
    there only if the accepted model has a score for a task.

    Args:
        summary: A `components.report.summary.RunSummary` as plain values.
    """
    promotion = summary["promotion"] or {"comparisons": []}
    accepted = {
        comparison["task"]: comparison["accepted_score"] for comparison in promotion["comparisons"]
    }
    has_accepted = any(score is not None for score in accepted.values())
    numbers = (
        "score",
        "random weights",
        "TF-IDF",
        "majority",
        *(("accepted",) if has_accepted else ()),
    )
    table = make_table("task", "metric", *numbers, right=numbers)
    published = published_evaluation(summary["pretraining_history"])
    if not summary["checkpoint"]:
        for name, metric, baseline in _objectives(published, summary["most_frequent_fraction"]):
            score = format_points(published.get(metric))
            table.add_row(name, "accuracy", score, "", "", points_or_nothing(baseline))
    for task in summary["tasks"]:
        random = task["random_weights_score"]
        table.add_row(
            task["name"],
            task["metric"].replace("_", " "),
            format_points(task["score"]),
            points_or_nothing(random),
            points_or_nothing(task.get("without_model_score")),
            format_points(task["majority_score"]),
            *((points_or_nothing(accepted.get(task["name"])),) if has_accepted else ()),
        )
    return table


def _objectives(
    published: Mapping[str, Any], most_frequent_fraction: float
) -> Iterator[tuple[str, str, float | None]]:
    """Yield the name, the metric and the majority baseline, or None, of each row of pretraining.

    Args:
        published: The evaluation of the published weights.
        most_frequent_fraction: Masked-LM accuracy of always guessing the most frequent token.
    """
    if has_detection(published):
        yield "replaced tokens", "replaced_token_accuracy", detection_baseline(published)
    generator = " (generator)" if has_detection(published) else ""
    yield f"masked LM{generator}", "masked_lm_accuracy", most_frequent_fraction
    for shown, words in SHOWN_NAMES.items():
        metric = f"masked_lm_{shown}_accuracy"
        if metric in published:
            yield f"- {words}", metric, None
    yield "sentence order", "sentence_order_accuracy", 0.5


def points_or_nothing(score: float | None) -> str:
    """Return a score as points; nothing if there is none."""
    return "" if score is None else format_points(score)
