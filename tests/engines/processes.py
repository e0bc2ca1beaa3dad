"""Processes that a test starts, slows and kills with all their children."""

import contextlib
import os
import signal
import socket
import subprocess
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import ClassVar

_START_WITHIN_S = 120


def free_ports(number: int) -> list[int]:
    """Return ports of this machine that nothing listens on."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(number)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def wait_for(
    condition: Callable[[], object], *, within_s: float = _START_WITHIN_S, poll_s: float = 0.2
) -> None:
    """Wait until something holds, which is tried every `poll_s` seconds.

    Raises:
        TimeoutError: It does not in time.
    """
    deadline = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {within_s:g} s")
        time.sleep(poll_s)


class Processes:
    """Processes with a log each, which are killed with all their children in the end.

    Attributes:
        sessions: Ids of the sessions of all such processes; their children are in them, too.
    """

    sessions: ClassVar[set[int]] = set()

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._running: list[subprocess.Popen] = []

    def start(
        self,
        name: str,
        command: Sequence[str],
        arguments: Sequence[str],
        environment: Mapping[str, str] | None = None,
    ) -> subprocess.Popen:
        """Start a process whose output goes into NAME.log."""
        with (self._folder / f"{name}.log").open("a") as log:
            process = subprocess.Popen(
                [*command, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # so that its children are killed with it
                cwd=self._folder,  # where the boot program writes a file
                env={**os.environ, **(environment or {})},
            )
        self._running.append(process)
        self.sessions.add(process.pid)
        return process

    def __enter__(self) -> "Processes":
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._running:
            kill_with_children(process)


def kill_with_children(process: subprocess.Popen) -> None:
    """Kill a process of `Processes` and all that it started; wait for its end."""
    if process.returncode is None:  # else its number may be another's
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def read_page(url: str) -> str:
    """Return the text at an address; empty if nothing answers."""
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.read().decode()
    except OSError:
        return ""


def listens(host: str, port: int) -> bool:
    """Return whether something listens there."""
    with socket.socket() as probe:
        return probe.connect_ex((host, port)) == 0


def children(pid: int) -> list[int]:
    """Return the ids of the processes that a process has started and that have not ended."""
    found = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for path in found for child in path.read_text().split()]


def descendants(pid: int, word: str) -> list[int]:
    """Return the ids of a process's children, and theirs, whose command has a word in it."""
    below = children(pid)
    named = [child for child in below if word in Path(f"/proc/{child}/cmdline").read_text()]
    return named + [found for child in below for found in descendants(child, word)]


@contextlib.contextmanager
def slowed(process: subprocess.Popen) -> Iterator[None]:
    """Let a process of `Processes`, and its children, run a quarter of the time only."""
    ended = threading.Event()

    def alternate() -> None:
        while not ended.is_set():
            os.killpg(process.pid, signal.SIGSTOP)
            ended.wait(0.6)
            os.killpg(process.pid, signal.SIGCONT)
            ended.wait(0.2)

    thread = threading.Thread(target=alternate)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
