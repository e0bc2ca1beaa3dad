"""Run the steps of a local run as forks of one process that has imported what they import.

kfp starts a new interpreter for each step. As its runners cannot be extended, its function for that
is replaced during a run, and is called for steps that cannot be forked.
"""

import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import IO, Any

from pipeline.local.step_server import EXECUTOR, IMPORTS

SERVER_MODULE = "pipeline.local.step_server"
_STATUS_BYTES = 16
_FUNCTION_OPTION = "--function_to_execute"
# In kfp's command: a shell, its option, its program; then the component's source and its options.
_NUM_SHELL_WORDS = 3

_RunCommand = Callable[[list[str], dict[str, str] | None], int]


@contextlib.contextmanager
def forked_steps(pipeline: Any, log: IO[str]) -> Iterator[None]:
    """Have kfp's `SubprocessRunner` run steps as forks of one process during the body.

    That process, the server, is started for the first step that is not cached, and ends with the
    body. It is a child of this process, and the steps are its children. A step runs in a new
    interpreter instead if its environment differs from that of the first step, if the server does
    not know it, or if the server has ended. On other systems than Linux every step does, as
    libraries there must not be forked once they are imported.

    Args:
        pipeline: The kfp pipeline whose steps they are.
        log: File for what the server writes to standard output and error.
    """
    from kfp.local import subprocess_task_handler as kfp_processes

    if sys.platform != "linux":
        yield
        return
    run_command = kfp_processes.run_local_subprocess
    forks = _StepForks(_find_functions(pipeline), run_command, log)
    kfp_processes.run_local_subprocess = forks.run
    try:
        yield
    finally:
        kfp_processes.run_local_subprocess = run_command
        forks.close()


def _find_functions(pipeline: Any) -> list[str]:
    """Return the names of a pipeline's component functions that are in `IMPORTS`.

    Each name is there once, in the order of `IMPORTS`, which is that of the steps of a run. Only
    for these functions does the server (`step_server`) know what to import.
    """
    executors = pipeline.pipeline_spec.deployment_spec["executors"].values()
    commands = [executor["container"] for executor in executors]
    used = {_find_function([*command["command"], *command["args"]]) for command in commands}
    return [name for name in IMPORTS if name in used]


class _StepForks:
    """Runs steps as forks of a server process, which has imported what steps import.

    Args:
        functions: Names of the components' functions that the server forks for, in the order of the
            steps, in which it imports what they need.
        run_command: kfp's own function: runs a command in a new interpreter, with more environment
            variables, and returns its exit status. It runs the steps for which there is no fork:
            those of other functions or with another environment than the first step's, and all once
            the server has ended.
        log: File for the server's standard output and error.
    """

    def __init__(self, functions: Sequence[str], run_command: _RunCommand, log: IO[str]) -> None:
        """Start nothing yet."""
        self._functions, self._run_command, self._log = functions, run_command, log
        self._lock = threading.Lock()
        self._server: subprocess.Popen | None = None
        self._control: socket.socket | None = None
        self._environment: dict[str, str] = {}

    def run(self, full_command: list[str], env_vars: dict[str, str] | None = None) -> int:
        """Run a step by its command, print what it prints, and return its exit status.

        kfp calls it in place of its own function with these arguments, in several threads at a
        time.
        """
        function = _find_function(full_command)
        if function in self._functions and self._is_same({**os.environ, **(env_vars or {})}):
            output, their_output = os.pipe()
            connection, theirs = socket.socketpair()
            with connection, open(output, encoding="utf-8", errors="replace") as lines:
                try:
                    is_sent = self._send(function, theirs.fileno(), their_output)
                finally:
                    theirs.close()
                    os.close(their_output)
                if is_sent:
                    return _follow(full_command[_NUM_SHELL_WORDS:], connection, lines)
        return self._run_command(full_command, env_vars)

    def _is_same(self, environment: Mapping[str, str]) -> bool:
        """Return whether an environment is the server's; start the server in it if there is none.

        Takes the lock.
        """
        with self._lock:
            if self._server is None:
                self._environment = dict(environment)
                self._start()
            return environment == self._environment

    def _start(self) -> None:
        """Start the server process, without waiting until it is ready for steps.

        It gets the environment in `_environment`, which the caller has set, holding the lock. No
        server may have been started before (not checked).
        """
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._server = subprocess.Popen(
                [sys.executable, "-m", SERVER_MODULE, *self._functions],
                stdin=theirs.fileno(),
                stdout=self._log,
                stderr=self._log,
                # kfp then imports what a step needs alone, as in the shell of its command.
                env={**self._environment, "_KFP_RUNTIME": "true"},
            )

    def _send(self, function: str, *descriptors: int) -> bool:
        """Ask the server, which must have been started, for a fork; return whether that was sent.

        Args:
            function: Name of the component's function.
            *descriptors: File descriptors for the fork: its socket, and the pipe that it prints to.
        """
        assert self._control
        with self._lock, contextlib.suppress(OSError):
            socket.send_fds(self._control, [function.encode()], descriptors)
            return True
        return False

    def close(self) -> None:
        """End the server, if it was started, and wait until it has ended."""
        if self._control and self._server:
            self._control.close()
            self._server.wait()


def _find_function(command: Sequence[str]) -> str:
    """Return the name of the component's function in kfp's command; empty for other commands."""
    is_executor = len(command) > _NUM_SHELL_WORDS and EXECUTOR in command[_NUM_SHELL_WORDS - 1]
    if not is_executor or _FUNCTION_OPTION not in command[:-1]:
        return ""
    return command[command.index(_FUNCTION_OPTION) + 1]


def _follow(words: Sequence[str], connection: socket.socket, lines: Iterator[str]) -> int:
    """Tell a fork its command, print what it prints, and return its exit status.

    Args:
        words: The component's source and its options.
        connection: Socket from which the fork reads its command, and to which the server writes the
            status.
        lines: Lines that the fork prints.

    Returns:
        The exit status of the fork; the negative number of the signal that ended it; or 1 if the
        server has ended.
    """
    with contextlib.suppress(OSError):
        connection.sendall(json.dumps(words).encode())
        connection.shutdown(socket.SHUT_WR)
    for line in lines:
        print(line, end="")
    status = b""
    with contextlib.suppress(OSError):
        status = connection.recv(_STATUS_BYTES)
    return int(status or 1)
