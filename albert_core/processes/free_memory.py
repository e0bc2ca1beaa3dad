"""How much memory this process may still take, by its machine, its container and its limits."""

import dataclasses
import os
import resource
from collections.abc import Iterator
from pathlib import Path

from albert_core.processes.machine import control_group_folders, small_text

_MEMINFO = Path("/proc/meminfo")
_STATM = Path("/proc/self/statm")
# Threads reserve address space, 72 MB each, of which they use little.
_THREADS_BYTES = 256 << 20
# Files that the kernel keeps in memory count as used, and give way to programs. The second pair is
# of the first version, whose own counts leave out the groups below.
_FILE_CACHES = ("inactive_file", "active_file"), ("total_inactive_file", "total_active_file")


@dataclasses.dataclass(frozen=True, kw_only=True)
class FreeMemory:
    """Memory that may still be taken.

    Attributes:
        num_bytes: Its size; 0 at least.
        limit: What sets it, in words that follow "are free".
    """

    num_bytes: int
    limit: str


def free_memory(*, with_swap: bool = False) -> FreeMemory | None:
    """Return how much more memory this process may take; None if the system does not tell.

    It is the least of what the machine has available, what its control groups leave, those above
    them included, and what its limit on address space does (`ulimit -v`), but for the 256 MiB that
    threads may reserve. A container with a limit of 4 GB sees all of the machine's memory, and is
    killed for what goes beyond its own.

    Args:
        with_swap: Whether swap space counts as the machine's memory. Programs are far slower in it.
    """
    limits = [*_of_machine(with_swap), *_of_control_groups(), *_of_address_space()]
    if not limits:
        return None
    least = min(limits, key=lambda limit: limit.num_bytes)
    return dataclasses.replace(least, num_bytes=max(0, least.num_bytes))


def total_memory_bytes() -> int | None:
    """Return the memory of the whole machine; None where the system does not tell."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return None


def _of_machine(with_swap: bool) -> Iterator[FreeMemory]:
    """Yield what the machine has available; where it tells only of all its memory, that."""
    kilobytes = {
        name: int(value.split()[0])
        for name, _, value in (line.partition(":") for line in small_text(_MEMINFO).splitlines())
        if value.split()[:1] and value.split()[0].isdigit()
    }
    if "MemAvailable" in kilobytes:
        swap = kilobytes.get("SwapFree", 0) if with_swap else 0
        num_bytes = (kilobytes["MemAvailable"] + swap) * 1024
        yield FreeMemory(num_bytes=num_bytes, limit="on this machine")
    elif total := total_memory_bytes():
        yield FreeMemory(num_bytes=total, limit="on this machine at most")


def _of_control_groups() -> Iterator[FreeMemory]:
    """Yield what each control group with a limit leaves."""
    for folder in control_group_folders("memory"):
        # Version 2, then version 1. Without a limit the first says max, the second a huge number.
        for limit_name, used_name in (
            ("memory.max", "memory.current"),
            ("memory.limit_in_bytes", "memory.usage_in_bytes"),
        ):
            limit = small_text(folder / limit_name).strip()
            used = small_text(folder / used_name).strip()
            if limit.isdigit() and used.isdigit():
                num_bytes = int(limit) - int(used) + _file_cache_bytes(folder / "memory.stat")
                yield FreeMemory(num_bytes=num_bytes, limit="within the limit of the container")


def _file_cache_bytes(stat: Path) -> int:
    """Return the size of the files that the kernel keeps in memory for a control group.

    Args:
        stat: The group's `memory.stat`; one that does not tell it counts as 0.
    """
    counts = dict(line.split(maxsplit=1) for line in small_text(stat).splitlines() if " " in line)
    for names in reversed(_FILE_CACHES):
        if all(counts.get(name, "").isdigit() for name in names):
            return sum(int(counts[name]) for name in names)
    return 0


def _of_address_space() -> Iterator[FreeMemory]:
    """Yield what the limit on this process's address space leaves, if it has one."""
    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    pages = small_text(_STATM).split()
    if soft != resource.RLIM_INFINITY and pages:
        num_bytes = soft - int(pages[0]) * resource.getpagesize() - _THREADS_BYTES
        yield FreeMemory(num_bytes=num_bytes, limit="within the limit on address space (ulimit -v)")
