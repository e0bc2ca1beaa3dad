"""Kill a process at the n-th of its calls that change files, for every n, and do its work again."""

import multiprocessing
import os
import shutil
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

# Names of Python's audit events; `open` counts if it is for writing.
_EVENTS = frozenset(
    {"os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.link", "os.symlink", "os.truncate"}
)
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
KILLED = -signal.SIGKILL


def in_new_process(function: Callable[..., Any], *arguments: Any, timeout_s: float = 300.0) -> Any:
    """Call a function in a new process and return its result or raise its error.

    It may fork there. The tests' own process may have threads of TensorFlow's, beside which a fork
    can wait for ever, and is large, so that each fork takes long.

    Raises:
        TimeoutError: It takes longer than `timeout_s`; the process is killed.
    """
    context = multiprocessing.get_context("spawn")
    others = set(multiprocessing.active_children())
    with ProcessPoolExecutor(1, context) as pool:
        future = pool.submit(function, *arguments)
        try:
            return future.result(timeout_s)
        except TimeoutError:
            for process in set(multiprocessing.active_children()) - others:
                process.kill()  # else the pool waits for it
            raise


def call_in_fork(
    function: Callable[[], Any], *, killed_at: int = 0, log: Path | None = None
) -> int:
    """Call a function in a fork of this process and return the fork's exit status.

    Args:
        function: What to call; an integer that it returns is the status.
        killed_at: Number, from 1, of the call at which SIGKILL ends the fork, before it is made;
            0: none. Calls are those that make, open for writing, flush, rename, link or remove.
        log: Gets standard output and error of the fork; else they are dropped.

    Returns:
        0 for success, `KILLED` if it was killed, another number if the function failed.
    """
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            target = os.open(log or os.devnull, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            os.dup2(target, 1)
            os.dup2(target, 2)
            os.fsync = lambda _: None  # type: ignore[assignment]
            if killed_at:
                _kill_at(killed_at)
            status = int(function() or 0)
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _kill_at(number: int) -> None:
    """Have this process kill itself at a call; cannot be undone."""
    num_calls = 0

    def count() -> None:
        nonlocal num_calls
        num_calls += 1
        if num_calls == number:
            os.kill(os.getpid(), signal.SIGKILL)

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        is_write = event == "open" and isinstance(arguments[2], int) and arguments[2] & _WRITING
        if event in _EVENTS or is_write:
            count()

    os.fsync = lambda _: count()  # type: ignore[assignment]  # it has no audit event
    sys.addaudithook(hook)


def contents(folder: Path) -> dict[str, bytes | None]:
    """Return the content of every file below a folder by its path, and None for every folder."""
    return {
        path.relative_to(folder).as_posix(): None if path.is_dir() else path.read_bytes()
        for path in sorted(folder.rglob("*"))
    }


def kill_everywhere(
    prepared: Path, work: Callable[[Path], Any], folder: Path
) -> Iterator[tuple[int, Path]]:
    """Kill work at every call, do it again each time, and yield where and in what folder.

    Args:
        prepared: Folder of the state before the work, which is copied for each try.
        work: The work; the fork's status is what it returns.
        folder: Folder for the tries, each removed when the next begins.

    Yields:
        The number of the call, and the folder as the second, whole run left it.

    Raises:
        AssertionError: A second run fails; names the place, with what it printed.
    """
    killed_at, case, log = 0, folder / "case", folder / "log"
    while True:
        killed_at += 1
        shutil.rmtree(case, ignore_errors=True)
        log.unlink(missing_ok=True)
        shutil.copytree(prepared, case, symlinks=True)
        if call_in_fork(lambda: work(case), killed_at=killed_at, log=log) != KILLED:
            return
        left = sorted(path.relative_to(case).as_posix() for path in case.rglob("*"))
        status = call_in_fork(lambda: work(case), log=log)
        assert status == 0, f"killed at {killed_at}, which left {left}: {log.read_text()}"
        yield killed_at, case
