"""Standard error by its descriptor, where libraries in C++ write, too: sent elsewhere, or off."""

import contextlib
import os
import threading
from collections.abc import Iterator

# Reentrant, since the handler of a signal may interrupt the main thread where it holds it.
LOCK = threading.RLock()

_real: int | None = None
_is_off = False


def turn_off() -> int | None:
    """Discard standard error from now on; return its former descriptor, for `turn_on`.

    What is returned is a new descriptor, which `turn_on` closes. Also within `sent_to`: then it is
    where it leads at other times. Returns None, and does nothing, if there is no standard error.
    """
    global _is_off
    with LOCK, contextlib.suppress(OSError):
        real = os.dup(2 if _real is None else _real)
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 2)
        os.close(nowhere)
        _is_off = True
        return real
    return None


def turn_on(real: int) -> None:
    """Restore standard error after `turn_off`, which returned `real`.

    Closes `real`.
    """
    global _is_off
    with LOCK:
        os.dup2(real, 2)
        os.close(real)
        _is_off = False


@contextlib.contextmanager
def sent_to(file: int) -> Iterator[int]:
    """Send standard error to the descriptor of a file during the body; one body at a time.

    If it is turned off meanwhile, it stays off.

    Yields:
        A descriptor of where it leads at other times.

    Raises:
        OSError: There is no standard error.
    """
    global _real
    real, was_off = os.dup(2), _is_off
    with LOCK:
        _real = real
        os.dup2(file, 2)
    try:
        yield real
    finally:
        with LOCK:
            _real = None
            if _is_off == was_off:
                os.dup2(real, 2)
        os.close(real)
