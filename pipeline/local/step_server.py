"""A process that has imported what the steps of a run import, and of which each step is a fork.

An import of TensorFlow takes four seconds of a core, and a run has a dozen steps. Nothing else is
done before a fork: no device is looked for and no computation made, so that TensorFlow, JAX and XLA
start their threads, and read their variables, in the step's own process. Libraries of linear
algebra have threads from their import on, and stop them themselves for a fork.

`step_forks` starts it, with a socket as its standard input.
"""

import contextlib
import gc
import importlib
import json
import os
import select
import selectors
import signal
import socket
import sys
import tempfile
import threading
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, NoReturn

from albert_core.processes.library_logs import quiet_libraries
from albert_core.processes.process_end import run_to_end
from albert_core.processes.unused_imports import skip_unused_imports

EXECUTOR = "kfp.dsl.executor_main"
_PREDICTION = (
    "albert_core.inference.loading",
    "albert_core.inference.evaluation",
    "albert_core.model",
)
IMPORTS: Mapping[str, Sequence[str]] = {
    "train_vocab": ("components.vocab.step",),
    "make_records": ("components.records.step", "components.records.beam_pipeline"),
    "pretrain": (
        "components.pretrain.step",
        "albert_core.pretraining.program",
        "tensorboard.summary",
    ),
    "finetune": (
        "components.finetune.step",
        "albert_core.finetuning.program",
        "albert_core.finetuning.frozen_encoder",
        "tensorboard.summary",
    ),
    "evaluate": (
        "components.evaluate.step",
        *_PREDICTION,
        "sklearn.feature_extraction.text",
        "sklearn.linear_model",
    ),
    "export_models": ("components.export.step", *_PREDICTION),
    "report": ("components.report.step", "components.report.page"),
}
"""What steps import beside kfp's executor, by the name of the component's function, in the order of
a run. A step may import more; one that is not listed runs in a new interpreter."""

_NAME_BYTES = 256
_SIGNAL_BYTES = 512
_BLOCK_BYTES = 1 << 16


class _Request(NamedTuple):
    """A step that is to be run.

    Attributes:
        function: Name of its component's function.
        connection: What its command is read from, and where its exit status is told.
        output: Descriptor of a file for what it writes to standard output and error.
    """

    function: str
    connection: socket.socket
    output: int


class StepServer:
    """Imports what the steps need, the next step's while one runs, and forks.

    Args:
        control: Socket that brings requests, each of one message.
        functions: Names of the components' functions, in the order of the run.
    """

    def __init__(self, control: socket.socket, functions: Sequence[str]) -> None:
        """Import nothing yet."""
        self._control, self._functions = control, functions
        self._later: list[str] = []
        self._running: dict[int, socket.socket] = {}

    def serve(self) -> _Request | None:
        """Fork for each request until the control socket ends.

        To be called once, in the main thread: it takes the signal SIGCHLD. Requests must be for
        functions of this server that are in `IMPORTS`. The exit status of each fork is told to its
        connection. If the socket ends while modules are imported, this process exits at once.

        Returns:
            In a fork the step that it is to run, which is left to the caller; None in this process,
            at the end. Forks that still run then are neither waited for nor ended.
        """
        reader, writer = os.pipe()
        os.set_blocking(writer, False)
        # Waited for in the loop, not in a thread, which would not be safe to fork beside.
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        with selectors.DefaultSelector() as selector:
            selector.register(self._control, selectors.EVENT_READ)
            selector.register(reader, selectors.EVENT_READ)
            while True:
                for key, _ in selector.select(0 if self._later else None):
                    if key.fileobj == reader:
                        os.read(reader, _SIGNAL_BYTES)
                        self._tell_statuses()
                    elif (request := self._receive()) is None:
                        return None
                    elif self._fork(request):
                        os.close(reader)
                        os.close(writer)
                        return request
                if self._later:
                    self._import([self._later.pop(0)])

    def _receive(self) -> _Request | None:
        """Return the next request, None if there will be no more."""
        message, descriptors, _, _ = socket.recv_fds(self._control, _NAME_BYTES, 2)
        if not message:
            return None
        connection, output = descriptors
        return _Request(message.decode(), socket.socket(fileno=connection), output)

    def _fork(self, request: _Request) -> bool:
        """Fork for a step once its modules are imported; return whether this is the fork."""
        self._import((EXECUTOR, *IMPORTS[request.function]))
        following = self._functions[self._functions.index(request.function) + 1 :]
        self._later = [module for function in following for module in IMPORTS[function]]
        gc.freeze()  # a fork neither looks through what was imported nor copies its pages for that
        with warnings.catch_warnings():
            # Python 3.12 and newer warn of the threads that linear algebra stops itself.
            warnings.simplefilter("ignore", DeprecationWarning)
            pid = os.fork()
        if pid:
            self._running[pid] = request.connection
            os.close(request.output)
            return False
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        self._control.close()
        # Of other steps: were they open here, nobody would hear that the server has ended.
        for connection in self._running.values():
            connection.close()
        return True

    def _tell_statuses(self) -> None:
        """Tell the exit status of each fork that has ended."""
        for pid in list(self._running):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                with self._running.pop(pid) as connection, contextlib.suppress(OSError):
                    connection.sendall(str(os.waitstatus_to_exitcode(status)).encode())

    def _import(self, modules: Sequence[str]) -> None:
        """Import modules, and exit if the control socket ends meanwhile.

        What cannot be imported is left to the step, whose error says so.
        """
        missing = [module for module in modules if module not in sys.modules]
        with _exiting_with(self._control) if missing else contextlib.nullcontext():
            for module in missing:
                with contextlib.suppress(Exception):
                    importlib.import_module(module)


@contextlib.contextmanager
def _exiting_with(control: socket.socket) -> Iterator[None]:
    """Exit this process at once if the other end of a socket is closed during the body.

    By a thread, which is gone after the body.
    """
    reader, writer = os.pipe()
    poll = select.poll()
    poll.register(control, 0)  # its end alone: a request waits for the body
    poll.register(reader, select.POLLIN)

    def watch() -> None:
        if any(descriptor != reader for descriptor, _ in poll.poll()):
            os._exit(1)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        os.close(writer)
        thread.join()
        os.close(reader)


def _run(request: _Request) -> None:
    """Run a step in this process, a fork, as kfp's own command would do."""
    nowhere = os.open(os.devnull, os.O_RDONLY)
    for number, stream in enumerate((nowhere, request.output, request.output)):
        os.dup2(stream, number)
    os.close(nowhere)
    os.close(request.output)
    with request.connection as connection:
        command = b"".join(iter(lambda: connection.recv(_BLOCK_BYTES), b""))
    source, *arguments = json.loads(command)
    tempfile.tempdir = None  # looked for anew
    program = Path(tempfile.mkdtemp(), "ephemeral_component.py")
    program.write_text(source, encoding="utf-8")
    executor = importlib.import_module(EXECUTOR)
    sys.argv = [str(executor.__file__), "--component_module_path", str(program), *arguments]
    executor.executor_main()


def main() -> NoReturn:
    """Serve the socket that is standard input; the arguments are the functions of the run."""
    skip_unused_imports()
    quiet_libraries()
    gc.disable()  # what is imported here lasts: to look through it takes a sixth of the imports
    # Not the number 0, which is the standard input of the forks.
    request = StepServer(socket.socket(fileno=os.dup(0)), sys.argv[1:]).serve()
    if request is None:
        os._exit(0)  # nothing was begun here that is to be ended in order
    gc.enable()
    os._exit(run_to_end(lambda: _run(request)))


if __name__ == "__main__":
    main()
