"""Processes of `albert` that a signal stops, as a terminal or a cluster does, and how they end."""

import os
import signal
import sys
import tempfile
import time
import types
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from albert_core.processes.stops import STOP_SIGNALS
from pipeline.console import main as albert

LIMIT_S = 5.0
_LEFT_S = 1.0


class Stop(NamedTuple):
    """How a command ended that was stopped.

    Attributes:
        status: Its exit status.
        seconds: How long it took to end.
        lines: What it said since the signal.
        left: Processes that it started and that are still there.
    """

    status: int
    seconds: float
    lines: Sequence[str]
    left: Sequence[int]

    def describe_faults(self, number: int, *, has_result: bool) -> str:
        """Return what is wrong, empty if nothing is.

        Args:
            number: The signal.
            has_result: Whether the command may end with status 0, too: a server, or one that had
                its result when the signal came.
        """
        is_done = has_result and self.status == 0 and not self.lines
        is_one_line = len(self.lines) == 1 and self.lines[0].startswith("albert: ")
        faults = {
            f"took {self.seconds:.1f} s": self.seconds > LIMIT_S,
            f"status {self.status}": self.status not in (128 + number, -number) and not is_done,
            f"said {self.lines}": not is_one_line and not is_done,
            f"left {self.left}": bool(self.left),
        }
        return ", ".join(text for text, is_so in faults.items() if is_so)


def stop_after(command: Sequence[str], case: Path, seconds: float, number: int) -> Stop | None:
    """Start a command, stop it after some seconds, and return how it ended; None if it had before.

    Args:
        command: Its arguments.
        case: Folder in which it works; made if missing.
        seconds: When it is stopped.
        number: The signal; SIGINT goes to its children, too, as from a terminal.
    """
    log = case / "log"
    pid = start(command, case)
    time.sleep(seconds)
    if os.waitpid(pid, os.WNOHANG)[0]:
        return None
    num_bytes, began = log.stat().st_size, time.monotonic()
    (os.killpg if number == signal.SIGINT else os.kill)(pid, number)
    status = wait(pid)
    ended = time.monotonic()
    # What cleans up after others ends by itself, as soon as it hears of their end.
    while (left := find_session(pid)) and time.monotonic() < ended + _LEFT_S:
        time.sleep(0.02)
    for other in left:
        os.kill(other, signal.SIGKILL)
    lines = log.read_bytes()[num_bytes:].decode(errors="replace").splitlines()
    return Stop(status=status, seconds=ended - began, lines=lines, left=left)


def finish(command: Sequence[str], case: Path) -> int:
    """Run a command to its end in a folder, and return its exit status."""
    return wait(start(command, case), timeout_s=600.0)


def start(command: Sequence[str], case: Path) -> int:
    """Start a command as a process of its own in a folder, and return its id.

    It has a session of its own, temporary files in `tmp`, and its standard error in `log`.
    """
    for name in ("place", "tmp"):
        (case / name).mkdir(parents=True, exist_ok=True)
    log = os.open(case / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    # What a signal does before the command answers it; a fork begins with what its parent has.
    before = {each: signal.signal(each, signal.SIG_DFL) for each in STOP_SIGNALS}
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            os.setsid()
            os.dup2(nowhere, 1)
            os.dup2(log, 2)
            os.chdir(case / "place")
            os.environ["TMPDIR"] = str(case / "tmp")
            tempfile.tempdir = None
            # Processes that the command spawns import its main module, which is not the tests'.
            sys.modules["__main__"] = types.ModuleType("__main__")
            sys.argv = ["albert", *command]
            status = albert()
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else 1
        except BaseException:
            import traceback

            traceback.print_exc()
        finally:
            os._exit(status)
    for each, handler in before.items():
        signal.signal(each, handler)
    os.close(log)
    os.close(nowhere)
    return pid


def wait(pid: int, *, timeout_s: float = 60.0) -> int:
    """Wait for a process, which is killed if it takes longer, and return its exit status."""
    deadline = time.monotonic() + timeout_s
    while True:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > deadline:
            os.kill(pid, signal.SIGKILL)
        time.sleep(0.005)


def find_session(session: int) -> list[int]:
    """Return the ids of the processes of a session, except those that have ended."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text(errors="replace").rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[3]) == session and fields[0] not in "ZX":
            found.append(int(path.parent.name))
    return found
