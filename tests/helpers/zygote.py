"""Processes that need not import TensorFlow, JAX, Beam or kfp: forks of one that has.

An import costs several seconds of a core in every process; tests that start a dozen processes pay
it once. A fork is a process of its own in all that these tests are about: its environment, its
signals, its files, and the devices that the frameworks find when they are first used.
"""

import gc
import json
import os
import runpy
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from albert_core.processes.process_end import run_to_end

ALBERT = "import sys; from pipeline.cli.main import main; sys.exit(main())"
_ROOT = Path(__file__).resolve().parents[2]
PRETRAINING = (
    "pipeline.cli.main",
    "pipeline.cli.printed_config",
    "pipeline.cli.step_commands",
    "albert_core.pretraining.program",
    "components.pretrain.step",
    # As a training begins.
    "scipy.linalg",
    "tensorboard.summary",
)
RECORDS = ("components.records.step", "components.records.beam_pipeline")
# What `albert run` imports and what its steps do.
RUN = (
    *PRETRAINING,
    *RECORDS,
    "kfp.compiler",
    "kfp.dsl.executor_main",
    "kfp.local",
    "pipeline.cli.run_commands",
    "pipeline.local.run",
    "components.vocab.step",
    "components.finetune.step",
    "components.evaluate.step",
    "components.export.step",
    "components.report.step",
    "albert_core.finetuning.program",
    "albert_core.inference.evaluation",
)
# Hands its arguments, environment, folder and standard streams to the zygote, and ends as the fork.
_PYTHON = """#!{python} -IS
import json, os, socket, sys
request = {{
    "arguments": sys.argv[1:],
    "environment": dict(os.environ),
    "folder": os.getcwd(),
    "executable": os.path.abspath(sys.argv[0]),
}}
data = json.dumps(request).encode()
with socket.socket(socket.AF_UNIX) as zygote:
    zygote.connect({address!r})
    socket.send_fds(zygote, [len(data).to_bytes(4, "big")], [0, 1, 2])
    zygote.sendall(data)
    status = zygote.recv(16)
sys.exit(int(status) if status else "the fork was killed")
"""


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
    """A process that has imported what a command needs, and forks on demand.

    Args:
        folder: Receives standard error and status of the forks.
        environment: Variables that are read at import, such as KERAS_BACKEND.
        modules: What it imports; by default what `albert pretrain` does.

    Attributes:
        python: A file to start in place of Python, with `-c` or `-m`: what it runs is run by a
            fork. A signal to it does not reach the fork.
    """

    def __init__(
        self, folder: Path, environment: Mapping[str, str], modules: Sequence[str] = PRETRAINING
    ) -> None:
        self._folder = folder
        self.python = folder / "python"
        # Not in the folder of the forks: the address of a socket has about 100 characters at most.
        self._sockets = tempfile.TemporaryDirectory(prefix="zygote-", dir="/tmp")
        address = f"{self._sockets.name}/socket"
        self.python.write_text(_PYTHON.format(python=sys.executable, address=address))
        self.python.chmod(0o755)
        code = (
            "from tests.helpers.zygote import serve; "
            f"serve({str(folder)!r}, {address!r}, {list(modules)!r})"
        )
        self._process = subprocess.Popen(
            [sys.executable, "-c", code],
            cwd=_ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", **environment},
        )
        assert self._process.stdout
        self._process.stdout.readline()  # it listens

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
        self._sockets.cleanup()


def serve(folder: str, address: str, modules: Sequence[str]) -> None:
    """Import modules; fork for each request until standard input ends.

    Requests of `Zygote.start` come on standard input, of each fork of which the status is written
    when it ends; those of `Zygote.python` on a socket, which is told the status.

    Args:
        folder: Receives standard error and status of the forks.
        address: Path of the socket, which is made.
        modules: Their names.
    """
    from albert_core.processes.unused_imports import skip_unused_imports

    listener = socket.socket(socket.AF_UNIX)
    listener.bind(address)
    listener.listen()
    print("listening", flush=True)
    skip_unused_imports()
    gc.disable()
    for name in modules:
        __import__(name)
    gc.freeze()  # forks neither look through what was imported nor copy its pages for that
    gc.enable()
    # Forks are waited for in a handler: a thread would not be safe to fork beside.
    signal.signal(signal.SIGCHLD, lambda *_: _write_statuses(Path(folder)))
    with selectors.DefaultSelector() as selector:
        selector.register(sys.stdin, selectors.EVENT_READ)
        selector.register(listener, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.fileobj is listener:
                    connection, _ = listener.accept()
                    _fork(lambda connection=connection: _run_python(connection))
                    connection.close()
                elif line := sys.stdin.readline():
                    print(_fork(lambda line=line: _run_code(json.loads(line), Path(folder))))
                    sys.stdout.flush()
                else:
                    return


def _fork(run: Callable[[], None]) -> int:
    """Fork; return the number of the process, which calls a function and does not return."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
    pid = os.fork()
    if pid == 0:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
        try:
            run()
        finally:
            os._exit(1)  # never back into the loop
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
    return pid


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


def _run_code(request: Mapping[str, Any], folder: Path) -> None:
    """Become the process that `Zygote.start` asked for; does not return."""
    stderr = os.open(folder / f"{os.getpid()}.stderr", os.O_WRONLY | os.O_CREAT)
    _redirect(os.open(os.devnull, os.O_RDONLY), os.open(os.devnull, os.O_WRONLY), stderr)
    os.environ.update(request["environment"])
    tempfile.tempdir = None  # looked for anew, in the fork's environment
    sys.argv = ["albert", *request["arguments"]]
    os._exit(run_to_end(lambda: exec(request["code"], {"__name__": "__main__"})))


def _run_python(connection: socket.socket) -> None:
    """Become the process that `Zygote.python` asked for; tell the status; does not return."""
    size, streams, _, _ = socket.recv_fds(connection, 4, 3)
    data = connection.recv(int.from_bytes(size, "big"), socket.MSG_WAITALL)
    request = json.loads(data)
    _redirect(*streams)
    os.environ.clear()
    os.environ.update(request["environment"])
    tempfile.tempdir = None
    os.chdir(request["folder"])
    sys.executable = request["executable"]  # so that what this process starts are forks, too
    option, program, *arguments = request["arguments"]

    def run() -> None:
        if option == "-m":
            sys.argv = [program, *arguments]
            runpy.run_module(program, run_name="__main__", alter_sys=True)
            return
        assert option == "-c", request["arguments"]
        sys.argv = [option, *arguments]
        exec(program, {"__name__": "__main__"})

    pid = os.getpid()
    status = run_to_end(run)
    if os.getpid() == pid:  # and not a fork that the program itself has made
        connection.sendall(str(status).encode())
    os._exit(status)


def _redirect(*streams: int) -> None:
    """Put files in the place of standard input, output and error."""
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
