"""The terminal side of a local run: progress while it goes on, a table when it is done."""

import contextlib
import dataclasses
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import rich.box
import rich.console
import rich.progress
import rich.table

from albert_core.progress import progress_text, read_events
from components.steps import STEPS

_POLL_S = 0.25
_PLAIN_EVERY_S = 10.0
_PLAIN_WIDTH = 120


@contextlib.contextmanager
def show_progress(events: Path) -> Iterator[None]:
    """Show a run's events while the body goes on: live on a terminal, plain lines elsewhere."""
    # The body redirects standard output; what is shown here must not follow it.
    console = rich.console.Console(file=sys.stdout, highlight=False)
    display = _Live(console) if console.is_terminal else _Plain(console)
    done = threading.Event()

    def follow() -> None:
        shown = 0
        while True:
            is_last = done.wait(_POLL_S)
            new = read_events(events)[shown:]
            for event in new:
                display.show(event)
            shown += len(new)
            if is_last:
                return

    with display:
        thread = threading.Thread(target=follow, name="progress")
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()


class _Plain(contextlib.AbstractContextManager):
    """A line when a step starts and ends, and in between at most one in ten seconds a step."""

    def __init__(self, console: rich.console.Console) -> None:
        self._console = console
        self._last: dict[str, float] = {}
        self._started: dict[str, float] = {}

    def __exit__(self, *_: object) -> None:
        return None

    def show(self, event: Mapping[str, Any]) -> None:
        step, now = event["step"], event["time"]
        if event["event"] == "started":
            self._started[step] = now
            self._print(step, "started")
        elif event["event"] == "finished":
            self._print(step, f"done in {now - self._started[step]:.1f} s")
        elif event["event"] == "failed":
            self._print(step, "failed")
        elif now - self._last.get(step, 0.0) >= _PLAIN_EVERY_S:
            self._last[step] = now
            self._print(step, progress_text(event["done"], event["total"], event["text"]))

    def _print(self, step: str, text: str) -> None:
        stamp = time.strftime("%H:%M:%S")
        self._console.print(f"{stamp}  {step:<24} {text}", soft_wrap=True, markup=False)


class _Live(contextlib.AbstractContextManager):
    """A bar for each step that is running."""

    def __init__(self, console: rich.console.Console) -> None:
        self._bars = rich.progress.Progress(
            rich.progress.TextColumn("{task.description:<24}"),
            rich.progress.BarColumn(bar_width=24),
            rich.progress.TimeElapsedColumn(),
            rich.progress.TimeRemainingColumn(),
            rich.progress.TextColumn("{task.fields[text]}"),
            console=console,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._ids: dict[str, rich.progress.TaskID] = {}

    def __enter__(self) -> "_Live":
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def show(self, event: Mapping[str, Any]) -> None:
        step = event["step"]
        if step not in self._ids:
            self._ids[step] = self._bars.add_task(step, total=None, text="")
        task = self._ids[step]
        if event["event"] == "progress":
            text = progress_text(event["done"], event["total"], event["text"])
            total = event["total"] or None
            self._bars.update(task, completed=event["done"], total=total, text=text)
        elif event["event"] != "started":
            self._bars.update(task, completed=1, total=1, text=event["event"])
            self._bars.stop_task(task)


def print_result(summary: Mapping[str, Any], steps_run: frozenset[str], page: Path) -> None:
    """Print steps, scores and the report's path on standard output."""
    console = rich.console.Console(highlight=False)
    if not console.is_terminal:
        console.width = _PLAIN_WIDTH
    console.print()
    console.print(_steps_table(summary, steps_run))
    console.print()
    console.print(_scores_table(summary))
    if rows := list(_export_rows(summary["exports"])):
        console.print()
        console.print(_exports_table(rows))
    for line in _outcomes(summary):
        console.print(line, markup=False, soft_wrap=True)
    console.print(f"\nReport: {page}", markup=False, soft_wrap=True)


def print_scores(figures: Mapping[str, Mapping[str, float]]) -> None:
    """Print a table of evaluations: the first metric with its interval, and all others."""
    console = rich.console.Console(highlight=False)
    if not console.is_terminal:
        console.width = _PLAIN_WIDTH
    numbers = ("score", "95 % interval")
    table = _table("task", "metric", *numbers, "key figures", right=numbers)
    for name, own in figures.items():
        metric = next(iter(own))
        interval = f"{_percent(own['low'])} to {_percent(own['high'])}"
        rest = ", ".join(
            f"{key} {_number(value)}"
            for key, value in own.items()
            if key not in (metric, "low", "high")
        )
        table.add_row(name, metric.replace("_", " "), _percent(own[metric]), interval, rest)
    console.print(table)


def print_parities(parities: Sequence[Mapping[str, Any]]) -> None:
    """Print a table of a model's formats, from the parity.json of each."""
    console = rich.console.Console(highlight=False)
    if not console.is_terminal:
        console.width = _PLAIN_WIDTH
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
    """A model in a format: how large, how different, and its score before and after."""

    name: str
    metric: str
    file_bytes: int
    size_ratio: float
    difference: float
    before: float | None
    after: float | None


def _export_rows(exports: Sequence[Mapping[str, Any]]) -> Iterator[_ExportRow]:
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
    numbers = ("MB", "size / parameters", "difference", "score before", "after")
    table = _table("export", *numbers, "metric", right=numbers)
    for row in rows:
        table.add_row(
            row.name,
            f"{row.file_bytes / 1e6:.1f}",
            f"{row.size_ratio:.2f}",
            f"{row.difference:.1e}",
            _percent_or_nothing(row.before),
            _percent_or_nothing(row.after),
            row.metric.replace("_", " ") if row.before is not None else "",
        )
    return table


def _table(*columns: str, right: tuple[str, ...] = ()) -> rich.table.Table:
    table = rich.table.Table(box=rich.box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        is_prose = column == "key figures"
        table.add_column(
            column, justify="right" if column in right else "left", no_wrap=not is_prose
        )
    return table


def _steps_table(summary: Mapping[str, Any], steps_run: frozenset[str]) -> rich.table.Table:
    table = _table("step", "seconds", "", "key figures", right=("seconds",))
    for step in summary["steps"]:
        how = "run" if step["name"] in steps_run else "cached"
        table.add_row(step["name"], f"{step['seconds']:.1f}", how, _key_figures(step))
    return table


_TASK_BOOKKEEPING = ("global_step", "majority_score", "num_train", "num_dev")


def _key_figures(step: Mapping[str, Any]) -> str:
    figures = step["metrics"]
    known = STEPS.get(step["name"])
    names = (known and known.key_metrics) or [n for n in figures if n not in _TASK_BOOKKEEPING]
    return ", ".join(f"{name} {_number(figures[name])}" for name in names)


def _number(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:,.4g}"


def _outcomes(summary: Mapping[str, Any]) -> Iterator[str]:
    """Yield what became of the models: exported or held back, accepted or not."""
    for export in summary["exports"]:
        if export["differences"]:
            yield f"Exported {export['task']}: {', '.join(export['differences'])}"
        else:
            yield (
                f"Not exported {export['task']}: {export['metric'].replace('_', ' ')} "
                f"{_percent(export['score'])}, threshold {_percent(export['threshold'])}"
            )
    if promotion := summary["promotion"]:
        verdict = "Accepted" if promotion["is_promoted"] else "Not accepted"
        before = promotion["accepted_date"]
        than = f" (compared with the model of {before})" if before else ""
        yield f"{verdict} for {promotion['date']}: {promotion['reason']}{than}"


def _scores_table(summary: Mapping[str, Any]) -> rich.table.Table:
    promotion = summary["promotion"] or {"comparisons": []}
    accepted = {one["task"]: one["accepted_score"] for one in promotion["comparisons"]}
    has_accepted = any(score is not None for score in accepted.values())
    numbers = ("score", "random weights", "majority", *(("accepted",) if has_accepted else ()))
    table = _table("task", "metric", *numbers, right=numbers)
    most_frequent = summary["most_frequent_fraction"]
    best = max(summary["pretraining_history"], key=lambda row: row["masked_lm_accuracy"])
    table.add_row(
        "masked LM", "accuracy", _percent(best["masked_lm_accuracy"]), "", _percent(most_frequent)
    )
    table.add_row(
        "sentence order", "accuracy", _percent(best["sentence_order_accuracy"]), "", _percent(0.5)
    )
    for task in summary["tasks"]:
        random = task["random_weights_score"]
        table.add_row(
            task["name"],
            task["metric"].replace("_", " "),
            _percent(task["score"]),
            _percent_or_nothing(random),
            _percent(task["majority_score"]),
            *((_percent_or_nothing(accepted.get(task["name"])),) if has_accepted else ()),
        )
    return table


def _percent_or_nothing(share: float | None) -> str:
    return "" if share is None else _percent(share)


def _percent(share: float) -> str:
    return f"{100 * share:.1f}"
