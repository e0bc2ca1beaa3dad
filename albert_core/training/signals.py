"""Notice SIGTERM and Ctrl-C instead of dying of them, so that a step in flight can be saved."""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


@contextlib.contextmanager
def catch_signals() -> Iterator[Callable[[], str | None]]:
    """Give a function that returns the name of the signal that came, or None.

    A second signal does what it always did. Outside the main thread nothing changes.
    """
    came: list[str] = []

    def notice(number: int, _: Any) -> None:
        came.append(signal.Signals(number).name)
        restore()

    def restore() -> None:
        for each, handler in before.items():
            signal.signal(each, handler)

    if threading.current_thread() is not threading.main_thread():
        yield lambda: None
        return
    before = {each: signal.signal(each, notice) for each in _SIGNALS}
    try:
        yield lambda: came[0] if came else None
    finally:
        restore()
