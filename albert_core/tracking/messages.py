"""The lines of JSON between a training and the process that calls its tracker.

To the process go first `TrackedRun` with the tracker's name, then rows, scores and the end; from it
come signs of life.
"""

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

from albert_core.tracking.run import Row, Status, TrackedRun

WORKER_MODULE = "albert_core.tracking.worker"

# What the process says: its client is imported; so many messages are written; a call failed and
# why; the run is closed.
READY, DONE, TROUBLE, CLOSED = "ready", "done", "trouble", "closed"


def to_line(kind: str, **values: Any) -> bytes:
    """Return a message of a kind, with values by name, as a line of JSON with its end.

    Values that JSON does not have raise TypeError; NaN and infinity pass.
    """
    return (json.dumps({"kind": kind, **values}) + "\n").encode()


def opening_line(tracker: str, run: TrackedRun) -> bytes:
    """Return the first message to the process."""
    return to_line("open", tracker=tracker, run=dataclasses.asdict(run))


def row_line(row: Row) -> bytes:
    """Return a row as a message to the process."""
    return to_line("row", **dataclasses.asdict(row))


def scores_line(scores: Mapping[str, float]) -> bytes:
    """Return scores as a message to the process."""
    return to_line("scores", scores=scores)


def end_line(status: Status) -> bytes:
    """Return the last message to the process."""
    return to_line("end", status=status)


def is_end(line: bytes) -> bool:
    """Return whether a message is the last one to the process."""
    return line.startswith(b'{"kind": "end"')


def parse_line(line: bytes) -> dict[str, Any]:
    """Return the values of a message, its `kind` among them.

    JSON that is no message is not refused, but returned as it is.

    Raises:
        ValueError: The line is no JSON.
    """
    return json.loads(line)
