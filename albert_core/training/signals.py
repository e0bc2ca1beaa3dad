"""Takes note of SIGTERM and Ctrl-C, so that the step in progress is saved before the end."""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any

from albert_core.processes.stops import answered_signals, take_note

_received: list[str] = []


class SignalError(Exception):
    """A signal came during an evaluation, which was left unfinished."""


@contextlib.contextmanager
def catch_signals() -> Iterator[Callable[[], str | None]]:
    """Catch the first SIGTERM or SIGINT; yield a function that returns its name, or None so far.

    SIGINT stays ignored where it was (`answered_signals`). After the first signal, and at the end,
    the handlers of before are restored: a second signal ends a process that hangs. Outside the main
    thread, where Python allows no handlers, nothing is caught.
    """

    def notice(number: int, _: Any) -> None:
        """Keep the signal's name, bring the former handlers back, tell `stops`; raise nothing."""
        # Noted, not raised: a signal arrives anywhere, also between the assignments of a step, and
        # what was saved then would be neither step.
        _received.append(signal.Signals(number).name)
        restore()
        take_note(number)

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    if threading.current_thread() is not threading.main_thread():
        yield lambda: None
        return
    _received.clear()
    before = {number: signal.signal(number, notice) for number in answered_signals()}
    try:
        yield lambda: _received[0] if _received else None
    finally:
        restore()
        _received.clear()


def has_signal() -> bool:
    """Return whether a signal was caught by the `catch_signals` whose body is running.

    False while no such body is running.
    """
    return bool(_received)


def raise_if_signal() -> None:
    """End an evaluation between two batches if a signal has been caught.

    Raises:
        SignalError: There is one; the training saves the steps before the evaluation.
    """
    if has_signal():
        raise SignalError
