"""Calls in another thread, so that the main thread can answer a signal at once."""

import signal
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

from albert_core.processes.stops import is_answered_here

_Result = TypeVar("_Result")


def call_in_thread(function: Callable[[], _Result]) -> _Result:
    """Call a function in another thread, wait for it, and return its result or raise its error.

    The main thread only waits, so that a signal is answered there at once; the function goes on
    then, until the process ends. Ctrl-C does not reach processes that it starts: they are ended by
    this one, and would fill the terminal with their tracebacks. A signal raises KeyboardInterrupt
    here.
    """
    future: Future[_Result] = Future()

    def work() -> None:
        try:
            future.set_result(function())
        except BaseException as error:
            future.set_exception(error)

    # Threads and processes begin with the mask of the thread that starts them.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        threading.Thread(target=work, name="work", daemon=True).start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return future.result()


def call_stoppably(function: Callable[[], _Result]) -> _Result:
    """Call a function by `call_in_thread` where this process answers stops; return its result.

    For libraries that wait for processes of theirs before they pass an interruption on. Where the
    process does not end by a stop, as in a notebook, the function must not go on after one.
    Elsewhere, and outside the main thread, it is called directly. Its error is raised here.
    """
    return call_in_thread(function) if is_answered_here() else function()
