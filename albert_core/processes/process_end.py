"""The end of a process as any of Python's, but that what was imported is not taken down."""

import atexit
import contextlib
import sys
import threading
import traceback
from collections.abc import Callable

_UNWRITTEN = 120  # Python's exit status where standard output or error cannot be written


def run_to_end(program: Callable[[], object]) -> int:
    """Run a program, then do what Python does at the end of a process before it frees memory.

    For a process that then calls `os._exit`. So the destructors of modules and of libraries in C++
    are left out, which take seconds after a training with TensorFlow, and most of a second after
    work with Beam, where the system frees the same memory at once. As at the end of any process,
    threads that are no daemons are waited for, functions registered with `atexit` are called (they
    remove temporary folders, close logs and end processes of `multiprocessing`), and standard
    output and error are flushed. An error is printed to standard error with its traceback.

    Returns:
        The exit status as Python gives it: 0, 1 after an error, that of a SystemExit, or 120 where
        what was printed cannot be written.
    """
    status = _run(program)
    # As multiprocessing does at the end of its own forks.
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        if stream and not stream.closed:
            try:
                stream.flush()
            except OSError:
                status = _UNWRITTEN
                with contextlib.suppress(OSError):
                    traceback.print_exc()
    return status


def _run(program: Callable[[], object]) -> int:
    """Run a program and return its exit status; print its error, or the text of its SystemExit."""
    try:
        program()
    except SystemExit as end:
        if isinstance(end.code, int | None):
            return end.code or 0
        print(end.code, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
    else:
        return 0
    return 1
