"""The processes that this one has started, and their children; how to end them all."""

import contextlib
import os
import signal
import time
from pathlib import Path
from typing import NamedTuple

_PROCESSES = Path("/proc")
_POLL_S = 0.02
_GONE_WITHIN_S = 0.2
# It removes what multiprocessing shares, once this process is gone, and ends.
_RESOURCE_TRACKER = b"multiprocessing.resource_tracker"


class _Process(NamedTuple):
    """A process; ids come again, and the time tells them apart.

    Attributes:
        pid: Its id.
        started: When it was started, in ticks since the machine was.
    """

    pid: int
    started: int


def end_children(*, within_s: float) -> None:
    """Send SIGTERM to all processes below this one, wait for their end, and kill those left.

    The processes below this one are its children, their children and so on, also those that they
    start meanwhile; not the resource tracker of multiprocessing, which ends by itself. Processes
    that may not be signalled are passed over. Returns when all are gone, or 0.2 s after the first
    kill. Without /proc, which other systems than Linux lack, it does nothing.

    Args:
        within_s: Seconds until they are killed.
    """
    deadline = time.monotonic() + within_s
    gone_by: float | None = None
    # Kept from the first look on: what a process that ends has started is nobody's child then.
    known: set[_Process] = set()
    asked: set[_Process] = set()
    while alive := _find_children(known):
        known |= alive
        is_late = time.monotonic() > deadline
        for process in alive if is_late else alive - asked:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(process.pid, signal.SIGKILL if is_late else signal.SIGTERM)
        asked |= alive
        if is_late:
            # From the first kill on: on a busy machine a look at all processes may take a second.
            gone_by = gone_by or time.monotonic() + _GONE_WITHIN_S
            if time.monotonic() > gone_by:
                return
        time.sleep(_POLL_S)


def _find_children(known: set[_Process]) -> set[_Process]:
    """Return the live processes below this one, and those of `known` and below them.

    The resource tracker of multiprocessing is left out.
    """
    parents = _read_parents()
    below = {os.getpid(), *(process.pid for process in known & parents.keys())}
    found: set[_Process] = known & parents.keys()
    while more := {p for p, parent in parents.items() if parent in below and p not in found}:
        found |= more
        below |= {process.pid for process in more}
    return {process for process in found if not _is_resource_tracker(process.pid)}


def _read_parents() -> dict[_Process, int]:
    """Return the id of the parent of every live process of this machine, by process.

    Zombies have ended. Empty where there is no /proc.
    """
    parents = {}
    for folder in _PROCESSES.glob("[0-9]*"):
        try:
            text = (folder / "stat").read_text(errors="replace")
        except OSError:  # it has ended meanwhile
            continue
        # The name, in brackets, may hold anything.
        fields = text.rpartition(")")[2].split()
        state, parent, started = fields[0], int(fields[1]), int(fields[19])
        if state not in "ZX":
            parents[_Process(int(folder.name), started)] = parent
    return parents


def _is_resource_tracker(pid: int) -> bool:
    """Return whether a process is the one that cleans up after multiprocessing."""
    try:
        return _RESOURCE_TRACKER in (_PROCESSES / str(pid) / "cmdline").read_bytes()
    except OSError:
        return False
