"""Progress of a step: a function that steps call, and its forms for terminals and event files."""

import contextlib
import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from albert_core.files.atomic import write_atomically
from albert_core.files.checksums import DamageError, parse_object

ReportProgress = Callable[[int, int, str], None]
"""Called as (done, total, text); `total` 0 when the step does not know."""


def quiet(done: int, total: int, text: str) -> None:
    """Ignore a report: the `ReportProgress` of steps whose progress nobody shows."""


def report_message(report: ReportProgress, text: str) -> None:
    """Report a text alone, with no count of what is done."""
    report(0, 0, text)


def append_event(path: Path, **event: Any) -> None:
    """Append one event to a file of JSON lines, which is made if missing; its folder must exist.

    Several processes may append at once. `time`, in seconds since 1970, is added unless the event
    has it.
    """
    # One write with O_APPEND, which the kernel does not mix with others: lines stay whole.
    line = json.dumps({"time": round(time.time(), 2), **event}) + "\n"
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(descriptor, line.encode())
    finally:
        os.close(descriptor)


def read_events(path: Path) -> list[dict[str, Any]]:
    """Return the events of an existing file, in the order of its lines.

    A last line without a line end is still being written and is left out. A line is also left out
    if it is not a JSON object, if its kind of event is unknown, or if a value of its kind is
    missing, negative or of another type: a display must not end a run.

    Returns:
        Events with `time` in seconds, `step` and `event`: `started`, `progress` (with `done`,
        `total`, `text`), `failed` (with `message`, `is_bad_input`) or `finished`. Only `time` (0),
        `message` ("") and `is_bad_input` (False) are filled in if missing. Events may have other
        values, too.

    Raises:
        OSError: There is no such file, or it must not be read.
    """
    data = path.read_bytes()
    lines = data[: data.rfind(b"\n") + 1].splitlines()
    return [event for event in map(_parse_event, lines) if event]


def _parse_event(line: bytes) -> dict[str, Any]:
    """Return the event of a line; empty if the line is not an event.

    A line is not an event if it is not a JSON object, its kind is unknown, or a value of its kind
    is missing or of another type. Only these may be missing: `time`, which becomes 0, and `message`
    and `is_bad_input` of `failed`, which become "" and False.
    """
    try:
        event = parse_object(line)
    except DamageError:
        return {}
    kind = event.get("event")
    missing = {"message": "", "is_bad_input": False} if kind == "failed" else {}
    event = {"time": 0.0, **missing, **event}
    values = _EVENT_VALUES.get(kind) if isinstance(kind, str) else None
    if values is None or not all(_is(event.get(name), of) for name, of in values.items()):
        return {}
    return event


def _is(value: Any, kind: type) -> bool:
    """Return whether a value of an event has its type; numbers are from 0 to below 2**63."""
    if kind is float:
        return isinstance(value, int | float) and 0 <= value < _LARGEST
    if kind is int:
        return type(value) is int and 0 <= value < _LARGEST
    return isinstance(value, kind)


_LARGEST = 2**63
_OF_ALL: Mapping[str, type] = {"step": str, "time": float}
_EVENT_VALUES: Mapping[str, Mapping[str, type]] = {
    "started": _OF_ALL,
    "progress": {**_OF_ALL, "done": int, "total": int, "text": str},
    "failed": {**_OF_ALL, "message": str, "is_bad_input": bool},
    "finished": _OF_ALL,
}


def keep_finished_events(path: Path, earlier: Sequence[Mapping[str, Any]]) -> None:
    """Put events of an earlier run's finished steps before those in this run's file.

    Earlier events of a step are left out if the step has events in this run's file, as it has run
    again, or if the earlier run did not finish it. A step is finished if its last event is
    `finished`. If no earlier event is left, the file stays as it is.

    Args:
        path: File of events; must exist.
        earlier: Events of the run before.
    """
    again = {event["step"] for event in read_events(path)}
    last = {event["step"]: event["event"] for event in earlier}
    finished = [
        event
        for event in earlier
        if event["step"] not in again and last[event["step"]] == "finished"
    ]
    if finished:
        lines = "".join(json.dumps(event) + "\n" for event in finished)
        write_atomically(path, lines.encode() + path.read_bytes())


@contextlib.contextmanager
def new_events(path: Path, earlier_path: Path) -> Iterator[None]:
    """Empty a run's file of events for the body; put earlier ones back afterwards.

    `keep_finished_events` chooses which. They are put back however the body ends: otherwise, after
    a run that failed or was taken from the cache completely, the next run would know of no earlier
    step. If this run is killed, the next one puts them back.

    Args:
        path: The file of events; made if missing.
        earlier_path: File that holds the earlier events while the body runs.
    """
    if earlier_path.is_file():
        _put_back(path, earlier_path)
    if path.is_file() and path.stat().st_size:
        earlier_path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(earlier_path, path.read_bytes())
    write_atomically(path, b"")
    try:
        yield
    finally:
        if earlier_path.is_file():
            _put_back(path, earlier_path)


def _put_back(path: Path, earlier_path: Path) -> None:
    """Put kept events into a file of events, and remove the file that kept them."""
    if not path.is_file():  # somebody removed it
        write_atomically(path, b"")
    keep_finished_events(path, read_events(earlier_path))
    earlier_path.unlink()


def to_events(path: Path, step: str) -> ReportProgress:
    """Return a function that appends each report to a file of events, under the step's name.

    `albert run` reads the file and shows the reports.
    """

    def report(done: int, total: int, text: str) -> None:
        append_event(path, step=step, event="progress", done=done, total=total, text=text)

    return report


def to_stderr(step: str, *, every_s: float = 5.0) -> ReportProgress:
    """Return a function that prints each report as a line on standard error, after `step: `.

    Reports that come less than `every_s` seconds after the last printed one are dropped, unless
    `done` has reached `total` or `total` is 0.
    """
    last = -every_s

    def report(done: int, total: int, text: str) -> None:
        """Print the report, unless it comes too soon after the last one printed."""
        nonlocal last
        now = time.monotonic()
        if done < total and now - last < every_s:
            return
        last = now
        print(f"{step}: {progress_text(done, total, text)}", file=sys.stderr, flush=True)

    return report


def progress_text(done: int, total: int, text: str) -> str:
    """Format a report of progress, for example `1,200 of 4,000 (30%), loss 5.1`.

    With a total of 0 only `text` is returned, and with an empty text only the count. The percentage
    is rounded.
    """
    if not total:
        return text
    return f"{done:,} of {total:,} ({done / total:.0%})" + (f", {text}" if text else "")
