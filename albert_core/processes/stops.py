"""SIGTERM and Ctrl-C: a process ends within seconds, whatever it does, with one line and no child.

In the main thread a signal raises KeyboardInterrupt, so that what is open is closed in order. But
Python runs handlers between the main thread's own instructions only, and a call of a library
(training a vocabulary, compiling a model) may take minutes. So a second thread hears of the same
signal, and ends the process once a grace is over. Whatever is written here survives a kill at any
moment, and so it does this.
"""

import contextlib
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any, NoReturn

from albert_core.errors import ServiceError, StepFailedError
from albert_core.processes import standard_error
from albert_core.processes.child_processes import end_children

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)
"""Those that end a process; see `answered_signals`."""
GRACE_S = 3.0
"""How long the main thread may take to end in order, from the first signal on."""
SAVING_S = 25.0
"""The same where work would be lost: Kubernetes kills a pod 30 s after SIGTERM."""

_CHILDREN_END_WITHIN_S = 1.0
_CLEANING_S = 0.5
_POLL_S = 0.05
# A terminal sends a signal to a command and to the program that started it, which may pass it on.
_SAME_PRESS_S = 0.5
_NUM_BYTES = 512
_CLOSE = b"\0"  # no number of a signal
_SHOW_CURSOR = b"\x1b[?25h"

_watch: "_StopWatch | None" = None
_graces: list[Callable[[], float]] = []
_cleanings: list[Callable[[], object]] = []


class Ending:
    """How a process or command that was stopped ends.

    Attributes:
        status: Exit status: 130 after Ctrl-C, 143 after SIGTERM; 0 if it was not stopped.
    """

    status = 0


@contextlib.contextmanager
def answered_stops(*, ends_process: bool) -> Iterator[Ending]:
    """End the body at SIGTERM and Ctrl-C: by KeyboardInterrupt, and in the end by force.

    The first signal raises KeyboardInterrupt in the main thread, and turns standard error off,
    except for the one line about the stop. If the body has not ended `GRACE_S` seconds later (or as
    many as `longer_grace` says), or Ctrl-C comes again, the process is ended with all its children.
    Whatever the body raises after a signal is taken for its consequence; the message of a
    StepFailedError or ServiceError is printed. Within another `answered_stops`, and outside the
    main thread, where Python has no handlers, the body just runs.

    Args:
        ends_process: Whether to end the process with the body that was stopped, and not to wait
            for its threads; else the error is dropped and the `Ending` has the exit status.
    """
    global _watch
    ending = Ending()
    if _watch or threading.current_thread() is not threading.main_thread():
        yield ending
        return
    watch = _watch = _StopWatch()
    try:
        watch.open()
        yield ending
    except BaseException as error:
        if not watch.number and not isinstance(error, KeyboardInterrupt):
            raise
        watch.begin(watch.number or signal.SIGINT)
        line = _describe(error) or watch.line
        if ends_process:
            with contextlib.suppress(Exception):
                sys.stdout.flush()
            watch.end_process(line)
        watch.tell(line)
        ending.status = watch.status
    finally:
        watch.close()
        _watch = None


def answered_signals() -> tuple[signal.Signals, ...]:
    """Return the signals of `STOP_SIGNALS` that may end this process.

    Not SIGINT where it is ignored: shells start what a script runs in the background (`command &`)
    so that Ctrl-C, which is for the script's own command, does not reach it.
    """
    is_ignored = signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    return tuple(
        stop_signal
        for stop_signal in STOP_SIGNALS
        if stop_signal != signal.SIGINT or not is_ignored
    )


def is_stopping() -> bool:
    """Return whether this process answers stops and has received one."""
    return _watch is not None and bool(_watch.number)


def is_answered_here() -> bool:
    """Return whether this process answers stops and this is its main thread, which hears them."""
    return _watch is not None and threading.current_thread() is threading.main_thread()


@contextlib.contextmanager
def longer_grace(seconds: Callable[[], float], *, may_follow: bool = False) -> Iterator[None]:
    """Let the body end in order for longer than `GRACE_S` after a signal.

    What the body is within has `GRACE_S` from its end on.

    Args:
        seconds: Function that returns for how long, counted from the signal; asked again and again,
            in another thread. Less than `GRACE_S` shortens nothing.
        may_follow: Whether the body may begin after the signal, as a part of the end.

    Raises:
        KeyboardInterrupt: A signal has come before the body that must not follow it: a library has
            dropped what was raised then.
    """
    if _watch and _watch.number and not may_follow:
        raise KeyboardInterrupt(_watch.line)
    _graces.append(seconds)
    try:
        yield
    finally:
        if _watch:
            _watch.grace_from_s = time.monotonic()
        _graces.remove(seconds)


@contextlib.contextmanager
def cleaned_by_force(clean: Callable[[], object]) -> Iterator[None]:
    """Call a function, in another thread, if the process is ended by force during the body.

    It is given half a second, and its errors are dropped. After a body that ends by itself it is
    not called.
    """
    _cleanings.append(clean)
    try:
        yield
    finally:
        _cleanings.remove(clean)


def take_note(number: int) -> None:
    """Note a signal that the main thread handles itself, so that nothing is raised in it.

    For handlers that take the place of this module's own.
    """
    if _watch:
        _watch.begin(number)
        _watch.is_main_told = True


def end_stopped_process() -> NoReturn:
    """End this process, all its children first, with the line and the exit status of its signal.

    No thread is waited for, and nothing is cleaned up. Without a signal it is as after Ctrl-C.
    """
    watch = _watch or _StopWatch()
    watch.begin(signal.SIGINT)
    watch.end_process()


@contextlib.contextmanager
def answered_by_system() -> Iterator[None]:
    """Let the system end the process at once at a signal during the body, without Python.

    For calls of libraries that let no other thread of Python run. A child process tells the line
    then; the exit status is that of a process that a signal ended, which shells show as 130 or 143,
    too. Does nothing where the process does not answer stops, and in the first process of a
    container, which the system lets no signal end.
    """
    if not is_answered_here() or os.getpid() == 1:
        yield
        return
    # Once its input ends without a line, this process has ended, too.
    script = 'read -r line || echo "albert: stopped; run again to continue" >&2'
    teller = subprocess.Popen(
        ["/bin/sh", "-c", script], stdin=subprocess.PIPE, start_new_session=True
    )
    before = {number: signal.signal(number, signal.SIG_DFL) for number in answered_signals()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        teller.communicate(b"\n")


class _StopWatch:
    """Answers the signals of this process: in the main thread, and in one of its own.

    To be opened and closed in the main thread; there is one at a time.

    Attributes:
        number: Number of the first signal; 0 before.
        is_main_told: Whether the main thread knows of it.
        grace_from_s: When `GRACE_S` begins, by the monotonic clock.
    """

    def __init__(self) -> None:
        """Make what it needs; no signal is answered yet."""
        self.number = 0
        self.is_main_told = False
        self.grace_from_s = self._began_s = 0.0
        self._is_line_told = False
        self._stderr: int | None = None
        # One for both: a handler that held the first would wait for the second, and the other way.
        self._lock = standard_error.LOCK
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._writer, False)
        self._thread = threading.Thread(target=self._wait, name="stops", daemon=True)
        self._wakeup_before = -1
        self._before: dict[int, Any] = {}

    def open(self) -> None:
        """Answer signals from now on: start the thread, and set the handlers."""
        self._thread.start()
        # The handler in C writes the number of each signal there, whatever Python is doing.
        self._wakeup_before = signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        for number in answered_signals():
            self._before[number] = signal.signal(number, self._interrupt)

    @property
    def status(self) -> int:
        """The exit status, as shells give it to a program that the signal ends."""
        return 128 + self.number

    @property
    def line(self) -> str:
        """The message where no error has a better one."""
        is_ctrl_c = self.number == signal.SIGINT
        happened = "interrupted" if is_ctrl_c else f"stopped by {signal.Signals(self.number).name}"
        return f"{happened}; run again to continue"

    def close(self) -> None:
        """Put the handlers and standard error of before back, and end the thread and its pipe."""
        self.is_main_told = True  # what comes now comes too late, and must not interrupt this
        for number, handler in self._before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._wakeup_before, warn_on_full_buffer=False)
        os.write(self._writer, _CLOSE)
        self._thread.join()
        os.close(self._reader)
        os.close(self._writer)
        if self._stderr is not None:
            standard_error.turn_on(self._stderr)

    def begin(self, number: int) -> None:
        """Note the first signal, and drop what is written to standard error from now on.

        Libraries, threads and Python itself would tell of all that breaks on the way out. Later
        calls have no effect.
        """
        with self._lock:
            if self.number:
                return
            self.grace_from_s = self._began_s = time.monotonic()
            self.number = number
            self._stderr = standard_error.turn_off()

    def tell(self, line: str) -> None:
        """Write a line to the real standard error, at most one in this object's life.

        `albert: ` is put before it. It is dropped if nobody reads for a second.
        """
        # Not for ever: the other thread may be stuck in a call that holds the lock.
        has_lock = self._lock.acquire(timeout=1.0)
        try:
            if self._is_line_told:
                return
            self._is_line_told = True
            stderr = 2 if self._stderr is None else self._stderr
            with contextlib.suppress(OSError):
                if select.select([], [stderr], [], 1.0)[1]:
                    os.write(stderr, f"albert: {line}\n".encode(errors="backslashreplace"))
        finally:
            if has_lock:
                self._lock.release()

    def end_process(self, line: str = "") -> NoReturn:
        """End the children, tell the line, and end the process with `status`, without any clean-up.

        Args:
            line: What is told, unless a line was; empty for `line` of this object.
        """
        end_children(within_s=_CHILDREN_END_WITHIN_S)
        with contextlib.suppress(OSError):
            if os.isatty(1):
                os.write(1, _SHOW_CURSOR)  # progress bars hide it
        self.tell(line or self.line)
        os._exit(self.status)

    def _interrupt(self, number: int, _: FrameType | None) -> None:
        """Raise KeyboardInterrupt in the main thread at the first signal; a handler of signals."""
        self.begin(number)
        if not self.is_main_told:
            self.is_main_told = True
            raise KeyboardInterrupt(self.line)

    def _wait(self) -> None:
        """Wait for signals, and end the process by force when the time for it has come.

        That is after `_deadline_s`, or at a second Ctrl-C. Returns once `close` says so; runs in
        the thread of this object.
        """
        while True:
            timeout_s = _POLL_S if self.number else None
            if select.select([self._reader], [], [], timeout_s)[0]:
                received = os.read(self._reader, _NUM_BYTES)
                if _CLOSE in received:
                    return
                for number in received:
                    self._receive(number)
            elif time.monotonic() > self._deadline_s():
                self._end_by_force()

    def _deadline_s(self) -> float:
        """Return until when, by the monotonic clock, the main thread may end in order."""
        longest_s = max((seconds() for seconds in _graces), default=0.0)
        return max(self.grace_from_s + GRACE_S, self._began_s + longest_s)

    def _receive(self, number: int) -> None:
        """Begin to stop at the first signal; end the process by force if Ctrl-C comes again.

        Within half a second it counts as the same press. Signals not in `STOP_SIGNALS` are ignored.
        """
        if number not in STOP_SIGNALS:
            return
        self.begin(number)
        if number == signal.SIGINT and time.monotonic() - self._began_s > _SAME_PRESS_S:
            self._end_by_force()

    def _end_by_force(self) -> NoReturn:
        """End the process after what is to be cleaned, for which there is half a second."""
        cleaning = threading.Thread(target=lambda: [clean() for clean in _cleanings], daemon=True)
        cleaning.start()
        cleaning.join(_CLEANING_S)
        self.end_process()


def _describe(error: BaseException) -> str:
    """Return the message of an error that came after a stop, in one line, or an empty text.

    Only KeyboardInterrupt, StepFailedError and ServiceError have something to say about the stop;
    any other error is taken for its consequence, and gives an empty text.
    """
    is_message = isinstance(error, KeyboardInterrupt | StepFailedError | ServiceError)
    return " ".join(str(error).split()) if is_message else ""
