"""Progress of a step: a function that steps call, and its forms for terminals and event files."""

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ReportProgress = Callable[[int, int, str], None]
"""Called as (done, total, text); `total` 0 when the step does not know."""


def quiet(done: int, total: int, text: str) -> None:
    """Report nothing."""


def append_event(path: Path, **event: Any) -> None:
    """Append one event, with the time, to a file of JSON lines, safe from several processes."""
    # One write with O_APPEND, which the kernel does not mix with others: lines stay whole.
    line = json.dumps({"time": round(time.time(), 2), **event}) + "\n"
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(descriptor, line.encode())
    finally:
        os.close(descriptor)


def read_events(path: Path) -> list[dict[str, Any]]:
    """Return the events of a file, oldest first; leaves out a line that is still being written."""
    text = path.read_text(encoding="utf-8")
    return [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]


def to_events(path: Path, step: str) -> ReportProgress:
    """Return a function that reports into a file of events, which `albert run` reads and shows."""

    def report(done: int, total: int, text: str) -> None:
        append_event(path, step=step, event="progress", done=done, total=total, text=text)

    return report


def to_stderr(step: str, *, every_s: float = 5.0) -> ReportProgress:
    """Return a function that prints plain lines on standard error.

    Reports of a count are printed at most every `every_s` seconds; the last one, and reports
    without a total, always.
    """
    last = -every_s

    def report(done: int, total: int, text: str) -> None:
        nonlocal last
        now = time.monotonic()
        if done < total and now - last < every_s:
            return
        last = now
        print(f"{step}: {progress_text(done, total, text)}", file=sys.stderr, flush=True)

    return report


def progress_text(done: int, total: int, text: str) -> str:
    """Format a report, for example `1,200 of 4,000 (30%), loss 5.1`."""
    if not total:
        return text
    return f"{done:,} of {total:,} ({done / total:.0%})" + (f", {text}" if text else "")
