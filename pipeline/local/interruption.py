"""Ctrl-C: one line, the exit status that shells give to it, and nothing left running."""

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

INTERRUPTED_STATUS = 130  # 128 and the number of SIGINT

_Result = TypeVar("_Result")


def say_interrupted(message: str = "interrupted; run again to continue") -> None:
    """Say so on standard error, wherever that is redirected to."""
    print(f"albert: {message}", file=sys.__stderr__, flush=True)


@contextlib.contextmanager
def leaving_at_once() -> Iterator[None]:
    """End the process when the body is interrupted, whatever other threads wait for.

    kfp would wait for the steps at work, and first start those that wait for a place.
    """
    try:
        yield
    except KeyboardInterrupt:
        say_interrupted()
        os._exit(INTERRUPTED_STATUS)


def call_in_thread(function: Callable[[], _Result]) -> _Result:
    """Call a function in a thread of its own, so that an interruption is noticed at once."""
    return ThreadPoolExecutor(max_workers=1).submit(function).result()
