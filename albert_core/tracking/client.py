"""A training's side of tracking: a bounded queue, which a thread feeds to the tracker's process.

Nothing here waits for the tracker but `close`, and that some seconds at most.
"""

import contextlib
import math
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping

from albert_core.tracking.messages import (
    CLOSED,
    DONE,
    READY,
    TROUBLE,
    WORKER_MODULE,
    end_line,
    is_end,
    opening_line,
    parse_line,
    row_line,
    scores_line,
)
from albert_core.tracking.run import Row, Status, TrackedRun

QUEUE_LENGTH = 10_000  # rows: a day of one every nine seconds
SILENCE_S = 30.0  # without an answer, after which a line is said
FLUSH_S = 5.0  # without an answer, after which the end is not waited for any longer
LONGEST_FLUSH_S = 15.0
START_S = 30.0  # to import the client, which depends on no server
# Of a stopped step: less than `albert_core.processes.stops.GRACE_S`, after which the process would
# be ended before it has uploaded its work in progress.
STOPPED_FLUSH_S = 1.5


class TrackingClient:
    """The run of a step at a tracker.

    Its methods are for one thread, that of the training, in which `warn` is called, too: at most
    once while the step is at work, and at the end if anything was lost. No method raises an error
    of the tracker. `close` must be called, and nothing after it.

    Args:
        tracker: Name of the tracker.
        run: The run.
        title: The tracker and its address in words.
        warn: Called with a line for people.
    """

    def __init__(
        self, tracker: str, run: TrackedRun, *, title: str, warn: Callable[[str], None]
    ) -> None:
        """Start the process and the threads; a process that cannot be started is told later."""
        self._title, self._warn = title, warn
        self._queue: queue.Queue[bytes] = queue.Queue(QUEUE_LENGTH)
        self._changed = threading.Condition()
        self._num_given = self._num_done = 0
        self._is_closed = self._is_over = self._has_warned = False
        self._ready_s: float | None = None
        self._trouble = ""
        self._last_sign_s = time.monotonic()
        self._queue.put(opening_line(tracker, run))
        self._process = self._start()

    def _start(self) -> "subprocess.Popen[bytes] | None":
        """Start the tracker's process with the threads that talk to it; None if it cannot be."""
        try:
            process = subprocess.Popen(
                [sys.executable, "-m", WORKER_MODULE],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                # Ctrl-C and the end of the training's group are not for it; it is ended with all
                # that its client started.
                start_new_session=True,
            )
        except OSError as error:
            self._trouble, self._is_over = f"its process cannot be started: {error}", True
            return None
        for target in (self._feed, self._listen):
            # Daemons: a pipe that nobody reads must not keep the training's process alive.
            threading.Thread(target=target, args=(process,), daemon=True, name="tracking").start()
        return process

    def log(self, row: Row) -> None:
        """Queue a row; if the queue is full, it is lost. May call `warn`, once for a run."""
        self._give(row_line(row))

    def log_scores(self, scores: Mapping[str, float]) -> None:
        """Queue the step's final scores; if the queue is full, they are lost. May call `warn`."""
        self._give(scores_line(scores))

    def close(self, status: Status) -> None:
        """End the run; wait a few seconds for what is queued, then end the tracker's process.

        It is waited for as long as the tracker answers, 15 seconds at most; 5 without an answer;
        after a step of seconds also until the client is imported. For an interrupted step this
        waits 1.5 seconds at most, since the step still has to save its work. What was lost is told.
        """
        if self._queue.full():  # the end takes the place of a row
            with contextlib.suppress(queue.Empty):
                self._queue.get_nowait()
        with contextlib.suppress(queue.Full):
            self._queue.put_nowait(end_line(status))
        self._wait(STOPPED_FLUSH_S if status == "interrupted" else math.inf)
        with self._changed:
            loss = self._describe_loss()
        self._end_process()
        if loss:
            self._warn(loss)

    def _give(self, line: bytes) -> None:
        """Queue a message, which is lost if the queue is full.

        Calls `warn`, once, if the tracker is in trouble or has not answered for 30 seconds.
        """
        with contextlib.suppress(queue.Full):
            self._queue.put_nowait(line)
        with self._changed:
            if self._num_done == self._num_given:  # silent so far, since it was told nothing
                self._last_sign_s = time.monotonic()
            self._num_given += 1
            trouble = self._trouble
            if not trouble and time.monotonic() - self._last_sign_s > SILENCE_S:
                trouble = f"no answer for {SILENCE_S:.0f} s"
        if trouble and not self._has_warned:
            self._has_warned = True
            self._warn(f"tracking: {self._title}: {trouble}; the step goes on without it")

    def _feed(self, process: "subprocess.Popen[bytes]") -> None:
        """Write the queued messages to the process, until the run or the process ends."""
        assert process.stdin
        with contextlib.suppress(OSError, ValueError):
            line = b""
            while not is_end(line):
                line = self._queue.get()
                process.stdin.write(line)
                process.stdin.flush()

    def _listen(self, process: "subprocess.Popen[bytes]") -> None:
        """Read the process's answers until it ends: signs of life, and why the last call failed.

        An end before the run is closed counts as trouble.
        """
        assert process.stdout
        with contextlib.suppress(OSError, ValueError):
            for line in process.stdout:
                message = parse_line(line)
                with self._changed:
                    if message["kind"] == TROUBLE:
                        self._trouble = message["text"]
                    else:
                        self._note_sign(message["kind"], message.get("number", 0))
                    self._changed.notify()
        with self._changed:
            self._is_over = True
            if not self._is_closed:
                self._trouble = self._trouble or "its process ended"
            self._changed.notify()

    def _note_sign(self, kind: str, number: int) -> None:
        """Note an answer of the process; that a call failed does not count."""
        self._last_sign_s = time.monotonic()
        if kind == READY:
            self._ready_s = self._last_sign_s
        self._is_closed |= kind == CLOSED
        if kind == DONE:
            self._num_done = number

    def _wait(self, most_s: float) -> None:
        """Wait until the run is closed, or the tracker has not answered for too long.

        Args:
            most_s: Seconds after which it is not waited for any longer in any case.
        """
        begin_s = time.monotonic()
        with self._changed:
            while not (self._is_closed or self._is_over):
                now = time.monotonic()
                if self._ready_s is None:
                    end_s = begin_s + START_S
                else:
                    end_s = max(begin_s, self._last_sign_s) + FLUSH_S
                    end_s = min(end_s, max(begin_s, self._ready_s) + LONGEST_FLUSH_S)
                end_s = min(end_s, begin_s + most_s)
                if now >= end_s:
                    return
                self._changed.wait(end_s - now)

    def _end_process(self) -> None:
        """Kill the process and all others of its session, and wait for its end.

        The process that wandb starts is in another one, and ends itself when this one is gone.
        """
        process = self._process
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        for pipe in (process.stdin, process.stdout):
            with contextlib.suppress(OSError, ValueError):
                if pipe:
                    pipe.close()

    def _describe_loss(self) -> str:
        """Describe the loss: what did not reach the tracker, and why; empty if all did."""
        reason = self._trouble or "no answer in time"
        num_lost = self._num_given - self._num_done
        if self._is_closed and not num_lost:
            return ""
        if num_lost:
            what = f"{num_lost:,} of {self._num_given:,} rows of values did not reach it"
        else:
            what = "it has all rows of values, but was not told of the end"
        return f"tracking: {self._title}: {what} ({reason})"
