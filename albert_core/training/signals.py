"""Catches SIGTERM and Ctrl-C, so that the step in progress can be saved before the process ends."""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


@contextlib.contextmanager
def catch_signals() -> Iterator[Callable[[], str | None]]:
    """Catch the first SIGTERM or SIGINT; yield a function that returns its name, or None so far.

    After it, and at the end, the handlers of before are restored: a second signal ends a process
    that hangs. Outside the main thread, where Python allows no handlers, nothing is caught.
    """
    received: list[str] = []

    def notice(number: int, _: Any) -> None:
        # Noted, not raised: a signal arrives anywhere, also between the assignments of a step, and
        # what was saved then would be neither step.
        received.append(signal.Signals(number).name)
        restore()

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    if threading.current_thread() is not threading.main_thread():
        yield lambda: None
        return
    before = {number: signal.signal(number, notice) for number in _SIGNALS}
    try:
        yield lambda: received[0] if received else None
    finally:
        restore()
