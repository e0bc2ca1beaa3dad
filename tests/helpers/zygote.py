"""Processes of `albert` that need not import TensorFlow or JAX: forks of one that has.

An import costs several seconds of a core in every process; tests that start a dozen processes pay
it once. A fork is a process of its own in all that these tests are about: its environment, its
signals, its files, and the devices that the frameworks find when they are first used.
"""

import atexit
import gc
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

ALBERT = "import sys; from pipeline.cli.main import main; sys.exit(main())"
_ROOT = Path(__file__).resolve().parents[2]
_PRELOADED = (
    "pipeline.cli.main",
    "pipeline.cli.printed_config",
    "pipeline.cli.step_commands",
    "albert_core.pretraining.program",
    "components.pretrain.step",
)


class Fork:
    """A process, with the part of `subprocess.Popen` that tests need.

    Args:
        pid: Its number.
        folder: Has its standard error, and its status once it has ended.
    """

    def __init__(self, pid: int, folder: Path) -> None:
        self.pid = pid
        self._status, self._stderr = folder / f"{pid}.status", folder / f"{pid}.stderr"

    @property
    def returncode(self) -> int | None:
        """Its exit status, or the negative number of the signal that ended it; None before."""
        return int(self._status.read_text()) if self._status.exists() else None

    def send_signal(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    def kill(self) -> None:
        if self.returncode is None:
            os.kill(self.pid, signal.SIGKILL)

    def wait(self, timeout: float) -> str:
        """Wait for its end; return its standard error."""
        deadline = time.monotonic() + timeout
        while self.returncode is None:
            if time.monotonic() > deadline:
                self.kill()
                raise TimeoutError(f"process {self.pid} ran for more than {timeout:g} s")
            time.sleep(0.01)
        return self._stderr.read_text()


class Zygote:
    """A process that has imported what `albert pretrain` needs, and forks on demand.

    Args:
        folder: Receives standard error and status of the forks.
        environment: Variables that are read at import, such as KERAS_BACKEND.
    """

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self._folder = folder
        code = f"from tests.helpers.zygote import serve; serve({str(folder)!r})"
        self._process = subprocess.Popen(
            [sys.executable, "-c", code],
            cwd=_ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", **environment},
        )

    def start(
        self, arguments: Sequence[str], environment: Mapping[str, str], code: str = ALBERT
    ) -> Fork:
        """Run code in a fork with these arguments and further variables."""
        assert self._process.stdin
        assert self._process.stdout
        request = {"arguments": list(arguments), "environment": dict(environment), "code": code}
        print(json.dumps(request), file=self._process.stdin, flush=True)
        return Fork(int(self._process.stdout.readline()), self._folder)

    def close(self) -> None:
        """End it; forks that still run are left alone."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.close()
        self._process.wait(timeout=60)
        self._process.stdout.close()


def serve(folder: str) -> None:
    """Fork for each request on standard input; write the status of each fork that ends."""
    for name in _PRELOADED:
        __import__(name)
    gc.freeze()  # forks neither look through what was imported nor copy its pages for that
    # Forks are waited for in a handler: a thread would not be safe to fork beside.
    signal.signal(signal.SIGCHLD, lambda *_: _write_statuses(Path(folder)))
    for line in sys.stdin:
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
        pid = os.fork()
        if pid == 0:
            _run(json.loads(line), Path(folder))
        print(pid, flush=True)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})


def _write_statuses(folder: Path) -> None:
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        partial = folder / f"{pid}.partial"
        partial.write_text(str(os.waitstatus_to_exitcode(status)))
        partial.rename(folder / f"{pid}.status")  # whole as soon as it is there


def _run(request: Mapping[str, object], folder: Path) -> None:
    """Become the process that was asked for; does not return."""
    status = 1
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
        stderr = os.open(folder / f"{os.getpid()}.stderr", os.O_WRONLY | os.O_CREAT)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        os.dup2(stderr, 2)
        os.environ.update(request["environment"])  # type: ignore[call-overload]
        sys.argv = ["albert", *request["arguments"]]  # type: ignore[misc]
        exec(str(request["code"]), {"__name__": "__main__"})
        status = 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        # os._exit leaves them out; several processes of JAX wait for each other in theirs.
        atexit._run_exitfuncs()
        sys.stderr.flush()
        os._exit(status)
