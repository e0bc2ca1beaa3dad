"""Processes that a test starts, slows and kills with all their children; Beam's worker pool."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import ClassVar

_START_WITHIN_S = 120
# Beam numbers the processes for each TaskManager or executor from 1 on, so that it needs a pool of
# its own: a request of one of them to stop its process would stop the other one's. Here they share
# a machine, and so an address; the processes end with their connections, too.
_POOL = """
import sys
from apache_beam.portability.api import beam_fn_api_pb2
from apache_beam.runners.worker import worker_pool_main as pool
stopped = lambda *_: beam_fn_api_pb2.StopWorkerResponse()
pool.BeamFnExternalWorkerPoolServicer.StopWorker = stopped
pool.main(sys.argv)
"""


def free_ports(number: int) -> list[int]:
    """Return ports of this machine that nothing listens on."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(number)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def wait_for(
    condition: Callable[[], bool], *, within_s: float = _START_WITHIN_S, poll_s: float = 0.2
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


def listens(port: int) -> bool:
    """Return whether something listens on a port of this machine."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


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


class WorkerPool:
    """One of Beam's worker pools: a process that starts another for each worker.

    Args:
        folder: Receives its log.

    Attributes:
        address: Where it listens, also when it has been started again.
    """

    def __init__(self, folder: Path) -> None:
        (self._port,) = free_ports(1)
        self.address = f"localhost:{self._port}"
        self._processes = Processes(folder)
        self.start()

    def start(self) -> None:
        """Start it and wait until it listens."""
        # The pool starts `python`: it must be this one.
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        arguments = ["--service_port", str(self._port)]
        command = [sys.executable, "-c", _POOL]
        self._process = self._processes.start("pool", command, arguments, {"PATH": path})
        wait_for(lambda: listens(self._port))

    def kill(self) -> None:
        """Kill it and the processes that it has started."""
        kill_with_children(self._process)

    def kill_workers(self) -> int:
        """Kill the processes that it has started, and return their number."""
        children = Path(f"/proc/{self._process.pid}/task").glob("*/children")
        workers = [int(child) for path in children for child in path.read_text().split()]
        for worker in workers:
            os.kill(worker, signal.SIGKILL)
        return len(workers)


@contextlib.contextmanager
def worker_pool(folder: Path) -> Iterator[WorkerPool]:
    """Run a worker pool; its log is in the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    pool = WorkerPool(folder)
    try:
        yield pool
    finally:
        pool.kill()
