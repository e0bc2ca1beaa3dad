"""The process that calls a tracker for a training: `python -m albert_core.tracking.worker`.

It reads messages from standard input and says on standard output what it has written. A call that
fails is repeated, with growing pauses, until it succeeds or the training is over and ends this
process. It ends itself where the tracker would refuse every other call, too. It imports neither
Keras nor TensorFlow.
"""

import collections
import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, BinaryIO

from albert_core.network.connection_failures import explain_failure
from albert_core.tracking.messages import CLOSED, DONE, READY, TROUBLE, parse_line, to_line
from albert_core.tracking.run import NothingTakenError, RefusedError, Row, TrackedRun, Tracker
from albert_core.tracking.trackers import new_tracker

_MAX_ROWS = 200  # of a call
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.5, 15.0
_LONGEST_TROUBLE = 300  # characters
# What a training that was killed has left is written for so long.
_AFTER_TRAINING_S = 10.0


class _Inbox:
    """Messages from standard input, read by a thread as they come."""

    def __init__(self, file: BinaryIO) -> None:
        """Start to read."""
        self._messages: collections.deque[dict[str, Any]] = collections.deque()
        self._changed = threading.Condition()
        self._is_over = False
        threading.Thread(target=self._read, args=(file,), daemon=True, name="inbox").start()

    def _read(self, file: BinaryIO) -> None:
        """Read to the end, or to a line that is no message; what came is kept for `take`.

        If the last message was not the end of the run, this process is ended ten seconds later.
        """
        kind = ""
        with contextlib.suppress(ValueError):  # a line that a killed training has written in part
            for line in file:
                message = parse_line(line)
                kind = message["kind"]
                with self._changed:
                    self._messages.append(message)
                    self._changed.notify()
        with self._changed:
            self._is_over = True
            self._changed.notify()
        if kind != "end":
            # The training was killed: nobody is left who would end this process.
            time.sleep(_AFTER_TRAINING_S)
            os._exit(1)

    def take(self) -> list[dict[str, Any]]:
        """Return the next message, or up to 200 rows that are there; waits for one.

        Returns:
            The messages, the oldest first; more than one only of kind `row`; none at the end.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._messages or self._is_over)
            taken: list[dict[str, Any]] = []
            while self._messages and len(taken) < _MAX_ROWS:
                if taken and {taken[0]["kind"], self._messages[0]["kind"]} != {"row"}:
                    break
                taken.append(self._messages.popleft())
            return taken


def main() -> int:
    """Serve the training that started this process; return the exit status.

    The status is 1 if the client cannot be imported, its run cannot be opened, or the tracker takes
    nothing at all; else 0, whatever was refused later. Ignores Ctrl-C, and silences standard output
    and error of the whole process.
    """
    # Ctrl-C is for the training, which then says that it is over.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    answers = _private_output()

    def say(kind: str, **values: Any) -> None:
        """Write a line; end the process if nobody reads any more."""
        try:
            answers.write(to_line(kind, **values))
            answers.flush()
        except OSError:
            os._exit(1)

    opening = parse_line(sys.stdin.buffer.readline())
    inbox = _Inbox(sys.stdin.buffer)
    try:
        tracker = new_tracker(opening["tracker"], TrackedRun(**opening["run"]))
    except Exception as error:
        say(TROUBLE, text=_describe(error))
        return 1
    say(READY)
    try:
        if not _repeat(tracker.open, say):
            return 1
        _serve(tracker, inbox, say)
    except NothingTakenError:
        return 1
    return 0


def _private_output() -> BinaryIO:
    """Return standard output for messages; what clients print goes nowhere from now on."""
    private = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    null = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        os.dup2(null, stream.fileno())
    return private


def _serve(tracker: Tracker, inbox: _Inbox, say: Callable[..., None]) -> None:
    """Write rows and scores until the run's end, and close it; without an end it stays open.

    After each call the number of messages written so far is said; those of a refused call do not
    count. The close is said if it succeeded.

    Raises:
        NothingTakenError: The tracker refuses all calls.
    """
    num_done = 0
    while messages := inbox.take():
        kind = messages[0]["kind"]
        if kind == "end":
            status = messages[0]["status"]
            if _repeat(lambda: tracker.close(status), say):  # noqa: B023
                say(CLOSED)
            return
        if kind == "row":
            rows = [
                Row(step=message["step"], time_s=message["time_s"], values=message["values"])
                for message in messages
            ]
            is_done = _repeat(lambda: tracker.log(rows), say)  # noqa: B023
        else:
            scores = messages[0]["scores"]
            is_done = _repeat(lambda: tracker.log_scores(scores), say)  # noqa: B023
        num_done += len(messages) if is_done else 0
        say(DONE, number=num_done)


def _repeat(call: Callable[[], None], say: Callable[..., None]) -> bool:
    """Make a call until it succeeds, and return True; False if it was refused.

    Refused is a RefusedError, TypeError or ValueError. Each failure is said; the pauses between
    calls grow to 15 seconds.

    Raises:
        NothingTakenError: The tracker refuses all calls; said, too.
    """
    pause_s = _FIRST_PAUSE_S
    while True:
        try:
            call()
        except NothingTakenError as error:
            say(TROUBLE, text=f"nothing more is sent: {_describe(error)}")
            raise
        except (RefusedError, TypeError, ValueError) as error:
            say(TROUBLE, text=_describe(error))
            return False
        except Exception as error:
            say(TROUBLE, text=_describe(error))
        else:
            return True
        time.sleep(pause_s)
        pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)


def _describe(error: BaseException) -> str:
    """Return an error in one line: why a server was not reached, else what the client says."""
    # MLflow's client raises its own error in place of the one that says why.
    for cause in (error, error.__context__):
        if cause and (failure := explain_failure(cause)):
            return failure.reason
    return " ".join(str(error).split())[:_LONGEST_TROUBLE] or type(error).__name__


if __name__ == "__main__":
    status = main()
    # At once: what clients registered for the end of the process may wait for a server.
    os._exit(status)
