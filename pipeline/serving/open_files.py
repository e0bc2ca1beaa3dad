"""How many connections the limit of open files allows."""

import os
import resource

from albert_core.errors import InputError

# Files for connections that the event loop has accepted and nobody has counted yet, for those that
# are being closed, and for whatever else the process opens.
_SPARE = 64
_FEWEST = 16
# Assumed where the open files cannot be counted.
_USUALLY_OPEN = 64


def limit_by_open_files(wanted: int) -> int:
    """Return how many connections this process can hold open, at most `wanted`.

    That is the limit of open files, less the files that are open now and 64 that are kept free for
    other uses. Raises the process's soft limit, for good, where that is too low for `wanted` and
    the hard one permits it. A server that ran into the limit could accept nobody, and would be told
    so by the system again and again.

    Args:
        wanted: Most connections.

    Raises:
        InputError: Fewer than `wanted` are possible, and fewer than 16.
    """
    num_open = _count_open()
    limit = _raise_limit(num_open + wanted + _SPARE)
    allowed = min(wanted, limit - num_open - _SPARE)
    if allowed < min(wanted, _FEWEST):
        raise InputError(
            f"open files: got a limit of {limit}, of which {num_open} are in use, expected at "
            f"least {num_open + _FEWEST + _SPARE}; raise it (ulimit -n)"
        )
    return allowed


def _count_open() -> int:
    """Return the number of this process's open files; 64 is assumed where it cannot be read."""
    try:
        return len(os.listdir("/dev/fd"))
    except OSError:  # a container without /proc
        return _USUALLY_OPEN


def _raise_limit(needed: int) -> int:
    """Raise the soft limit of open files to `needed`, or as near to it as may be, and return it.

    A limit that is `needed` or higher stays, and `needed` is returned.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return needed
    raised = needed if hard == resource.RLIM_INFINITY else min(hard, needed)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (raised, hard))
    except (OSError, ValueError):  # macOS has a lower limit than its hard one says
        return soft
    return raised
