"""Functions compiled by numba whose machine code later processes find on the disk."""

import functools
from collections.abc import Callable
from typing import Any

import numba
from numba.core.caching import FunctionCache

from albert_core.errors import InputError
from albert_core.processes.user_folder import user_folder


def kernel(**options: Any) -> Callable[[Callable[..., Any]], Any]:
    """Return a decorator that has numba compile a function when it is first called.

    The machine code is kept beside the sources, in the folder NUMBA_CACHE_DIR or in the user's
    cache; where none of these can be written, among the temporary files, in a folder that is this
    user's alone; where there is none either, it is compiled in every process.

    Args:
        **options: Of `numba.njit`.
    """
    return numba.njit(cache=_has_cache(), **options)


@functools.cache
def _has_cache() -> bool:
    """Return whether machine code can be kept; looks once in a process.

    numba itself refuses, when a module is imported, to keep what it has no place for: a program
    that root installed, run by a user without a home. Where numba finds no place, its setting
    CACHE_DIR becomes a folder of this user's among the temporary files.
    """
    if _has_place():
        return True
    try:
        numba.config.CACHE_DIR = str(user_folder("albert-kernels"))  # type: ignore[attr-defined]
    except (InputError, OSError):
        return False
    return _has_place()


def _has_place() -> bool:
    """Return whether numba finds a folder that it can write the code of this package to."""
    try:
        FunctionCache(_has_place)
    except RuntimeError:
        return False
    return True
