"""Several calls at a time, of functions that wait for a disk or a server."""

import concurrent.futures
from collections.abc import Callable, Iterable
from typing import TypeVar

NUM_CALLS = 8
"""How many calls are made at a time."""

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


def do_in_parallel(do: Callable[[_Item], _Result], items: Iterable[_Item]) -> list[_Result]:
    """Call a function for each item, in eight threads; return the results in the items' order.

    All items are taken at the beginning. The first error in their order is raised: no other item is
    begun then, and those under way are waited for, after Ctrl-C, too.
    """
    pool = concurrent.futures.ThreadPoolExecutor(NUM_CALLS)
    try:
        return list(pool.map(do, items))
    finally:
        pool.shutdown(cancel_futures=True)
