"""Ctrl-C: one line, the exit status that shells give to it, and nothing left running."""

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

INTERRUPTED_STATUS = 130  # 128 and the number of SIGINT

_Result = TypeVar("_Result")


def print_interrupted(message: str = "interrupted; run again to continue") -> None:
    """Print the line that ends an interrupted command, on the process's own standard error.

    `sys.stderr` may be redirected to a log when the interruption comes.
    """
    print(f"albert: {message}", file=sys.__stderr__, flush=True)


@contextlib.contextmanager
def exit_when_interrupted() -> Iterator[None]:
    """Exit the process with status 130 as soon as the body is interrupted (KeyboardInterrupt).

    Nothing is cleaned up and no thread is waited for: kfp would first start the steps that wait
    for a place, and then wait for all of them. The steps see that the run's lock is free and end.
    """
    try:
        yield
    except KeyboardInterrupt:
        print_interrupted()
        os._exit(INTERRUPTED_STATUS)


def call_in_thread(function: Callable[[], _Result]) -> _Result:
    """Call a function in another thread, wait for it, and return its result or raise its error.

    The main thread only waits, so that Python can raise KeyboardInterrupt there at once; the
    function goes on then, until the process ends.
    """
    return ThreadPoolExecutor(max_workers=1).submit(function).result()
