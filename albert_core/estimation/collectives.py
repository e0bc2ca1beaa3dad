"""Counts the bytes that the chips of a slice exchange, from the text of a compiled program."""

import functools
import math
import re
from collections.abc import Iterator

_COMPUTATION = re.compile(r"^(?:ENTRY )?%?([\w.\-]+) .*\{$")
_WHILE = re.compile(r" while\(.*condition=%?([\w.\-]+), body=%?([\w.\-]+)")
_CALL = re.compile(r" calls=%?([\w.\-]+)")
_LIMIT = re.compile(r"= s32\[\]\S* constant\((\d+)\)")
_COLLECTIVE = re.compile(
    r"= (.+?) (all-reduce|all-gather|reduce-scatter|all-to-all|collective-permute)(?:-start)?\("
)
_ARRAY = re.compile(r"\b(pred|[a-z]+(\d+))\[([\d,]*)\]")
# How often a ring sends an array of the result: a sum once to add up and once to distribute.
_PASSES = {"all-reduce": 2}


def exchanged_bytes(program: str) -> int:
    """Return the bytes a chip sends in one run of an optimized HLO program, given as text.

    The sum of the sizes of what collective operations return, that of an all-reduce twice; the body
    of a loop counts as often as the loop runs. A ring of n chips really sends (n - 1) / n of this:
    an upper bound.

    Raises:
        ValueError: The condition of a loop does not name exactly one limit.
    """
    computations = _computations(program)
    times = _times_run(computations)
    return sum(
        times[name] * bytes_of_result * _PASSES.get(kind, 1)
        for name, lines in computations.items()
        for kind, bytes_of_result in _collectives(lines)
    )


def _computations(program: str) -> dict[str, list[str]]:
    """Return the lines of each computation of an HLO program by the computation's name.

    The line with the name is left out, and so are the lines before the first computation.
    """
    computations: dict[str, list[str]] = {}
    lines: list[str] = []
    for line in program.splitlines():
        if match := _COMPUTATION.match(line):
            lines = computations.setdefault(match[1], [])
        else:
            lines.append(line)
    return computations


def _times_run(computations: dict[str, list[str]]) -> dict[str, int]:
    """Return how often each computation runs in one run of the program.

    That is the product of the loops around it, summed over its callers; 1 if that is 0, as when
    nothing calls it.

    Raises:
        ValueError: The condition of a loop does not name exactly one limit.
    """
    callers: dict[str, list[tuple[str, int]]] = {}
    for name, lines in computations.items():
        for line in lines:
            if loop := _WHILE.search(line):
                count = _trip_count(computations[loop[1]])
                callers.setdefault(loop[2], []).append((name, count))
            elif call := _CALL.search(line):
                callers.setdefault(call[1], []).append((name, 1))

    @functools.cache
    def times(name: str) -> int:
        return sum(count * times(caller) for caller, count in callers.get(name, ())) or 1

    return {name: times(name) for name in computations}


def _trip_count(condition: list[str]) -> int:
    """Return the limit that a loop's counter is compared with; it is taken to count from 0.

    Raises:
        ValueError: The condition's lines hold no constant, or several.
    """
    limits = [int(match[1]) for line in condition if (match := _LIMIT.search(line))]
    if len(limits) != 1:
        raise ValueError(f"loop condition: expected one limit, got {limits}")
    return limits[0]


def _collectives(lines: list[str]) -> Iterator[tuple[str, int]]:
    """Yield kind and bytes of the result of each collective operation."""
    for line in lines:
        if match := _COLLECTIVE.search(line):
            yield match[2], sum(_num_bytes(array) for array in _ARRAY.finditer(match[1]))


def _num_bytes(array: re.Match[str]) -> int:
    bits = int(array[2] or 8)
    return math.prod(int(size) for size in array[3].split(",") if size) * bits // 8
