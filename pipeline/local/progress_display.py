"""The progress of a local run on the terminal, from the events that its steps write."""

import contextlib
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import rich.console
import rich.progress
import rich.table

from albert_core.progress import progress_text, read_events

_POLL_S = 0.25
_PLAIN_EVERY_S = 10.0
_WIDE = 100  # columns from which names and bars are shown at full length
_TIME_WIDTH = 8  # 0:00:00 and one digit more


@contextlib.contextmanager
def show_progress(
    events: Path, *, on_finished: Callable[[], object] = lambda: None
) -> Iterator[None]:
    """Show a run's events on standard output while the body runs: bars on a terminal, else lines.

    A thread reads the file four times a second, and once more when the body has ended or failed.
    What is shown goes to the standard output of before the body, even if the body redirects it.

    Args:
        events: File of the run's events; must exist. Events that are there already are shown.
        on_finished: Called in the thread after one or more steps have finished; it must not fail.
    """
    # The body redirects standard output; what is shown here must not follow it.
    console = rich.console.Console(file=sys.stdout, highlight=False)
    display = _ProgressBars(console) if console.is_terminal else _ProgressLines(console)
    done = threading.Event()

    def follow() -> None:
        """Show new events until the body has ended, those of its last moments included.

        After each look at the file that found a finished step, `on_finished` is called once.
        """
        shown = 0
        while True:
            is_last = done.wait(_POLL_S)
            new = read_events(events)[shown:]
            for event in new:
                display.show(event)
            shown += len(new)
            if any(event["event"] == "finished" for event in new):
                on_finished()
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


class _ProgressLines(contextlib.AbstractContextManager):
    """Progress as lines: when a step starts, when it ends, and every ten seconds in between."""

    def __init__(self, console: rich.console.Console) -> None:
        self._console = console
        self._last: dict[str, float] = {}
        self._started: dict[str, float] = {}

    def __exit__(self, *_: object) -> None:
        return None

    def show(self, event: Mapping[str, Any]) -> None:
        """Print a line for an event; for progress only every _PLAIN_EVERY_S seconds for each step.

        That a step started, finished (with its seconds) or failed is always printed.

        Args:
            event: An event of `components.runtime.step_process`.
        """
        step, now = event["step"], event["time"]
        if event["event"] == "started":
            self._started[step] = now
            self._print(step, "started")
        elif event["event"] == "finished":
            self._print(step, f"done in {now - self._started.get(step, now):.1f} s")
        elif event["event"] == "failed":
            self._print(step, "failed")
        elif now - self._last.get(step, 0.0) >= _PLAIN_EVERY_S:
            self._last[step] = now
            self._print(step, progress_text(event["done"], event["total"], event["text"]))

    def _print(self, step: str, text: str) -> None:
        stamp = time.strftime("%H:%M:%S")
        self._console.print(f"{stamp}  {step:<24} {text}", soft_wrap=True, markup=False)


def _fixed(width: int) -> rich.table.Column:
    """Return a column of a table that neither shrinks nor wraps."""
    return rich.table.Column(width=width, no_wrap=True, overflow="ellipsis")


class _ProgressBars(contextlib.AbstractContextManager):
    """Progress as bars that are redrawn in place, one for each step that has started."""

    def __init__(self, console: rich.console.Console) -> None:
        """Lay out the bars; they are shown in a `with` block.

        Bar and times keep their width whatever the terminal's; the text gets the rest, and ends
        with an ellipsis where that is too little.
        """
        name_width, bar_width = (24, 24) if console.width >= _WIDE else (18, 12)
        self._bars = rich.progress.Progress(
            rich.progress.TextColumn(
                "{task.description}", table_column=_fixed(name_width), markup=False
            ),
            rich.progress.BarColumn(bar_width=bar_width, table_column=_fixed(bar_width)),
            rich.progress.TimeElapsedColumn(table_column=_fixed(_TIME_WIDTH)),
            rich.progress.TimeRemainingColumn(table_column=_fixed(_TIME_WIDTH)),
            rich.progress.TextColumn(
                "{task.fields[text]}",
                table_column=rich.table.Column(ratio=1, no_wrap=True, overflow="ellipsis"),
                markup=False,
            ),
            expand=True,
            console=console,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._ids: dict[str, rich.progress.TaskID] = {}

    def __enter__(self) -> "_ProgressBars":
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def show(self, event: Mapping[str, Any]) -> None:
        """Add or update the bar of an event's step; when the step ends or fails, the bar is full.

        Args:
            event: An event of `components.runtime.step_process`.
        """
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
