"""How long a server that has never answered is tried: seconds for a person, minutes for a step."""

import contextlib
import os
import time
from collections.abc import Iterator

from albert_core.network.connection_failures import ConnectionFailure

_MOST_ATTEMPTS = 3
_FIRST_ANSWER_WITHIN_S = 4.0
_CONNECT_WITHIN_S = 2.0

# Ids of processes, since one that is forked from a command works for itself.
_interactive_processes: set[int] = set()


@contextlib.contextmanager
def interactive() -> Iterator[None]:
    """Let this process give up unreached servers within seconds while the body runs.

    Processes that it starts or forks do not. It is for commands that somebody waits for; steps and
    workers ride out a short outage. Within another `interactive` it changes nothing.
    """
    process = os.getpid()
    is_outermost = process not in _interactive_processes
    _interactive_processes.add(process)
    try:
        yield
    finally:
        if is_outermost:
            _interactive_processes.discard(process)


def is_interactive() -> bool:
    """Return whether the body of an `interactive` is running in this process.

    False in a process that was started or forked from that body.
    """
    return os.getpid() in _interactive_processes


def connect_timeout(timeout_s: float | None, *, has_answered: bool) -> float | None:
    """Return the seconds that a connection may take: `timeout_s`, but two at most for a first try.

    The two are for an `interactive` process and a server that has not answered.

    Args:
        timeout_s: Seconds at other times; None: no limit.
        has_answered: Whether the server has answered before.
    """
    if has_answered or not is_interactive():
        return timeout_s
    return _CONNECT_WITHIN_S if timeout_s is None else min(_CONNECT_WITHIN_S, timeout_s)


class Attempts:
    """The failed attempts to reach a server that has not answered yet, counted from now on."""

    def __init__(self) -> None:
        self._num_failed = 0
        self._started_s = time.monotonic()

    def end_with(self, failure: ConnectionFailure | None) -> bool:
        """Count an attempt that failed; return whether to make no other.

        True after a failure that lasts. In an `interactive` process, also from the third failure
        on, or over four seconds after this object was made. Always False where the reason is not
        known.

        Args:
            failure: Why the server was not reached; None if that is not known.
        """
        self._num_failed += 1
        if failure is None or failure.is_lasting:
            return failure is not None
        waited_s = time.monotonic() - self._started_s
        has_tried = self._num_failed >= _MOST_ATTEMPTS or waited_s > _FIRST_ANSWER_WITHIN_S
        return has_tried and is_interactive()
