"""What this process may use of its machine: cores, GPUs, and semaphores between processes."""

import contextlib
import math
import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from albert_core.processes import standard_error

NVIDIA_FOLDER = Path("/proc/driver/nvidia/gpus")
_CGROUPS = Path("/proc/self/cgroup")
_CGROUP_ROOT = Path("/sys/fs/cgroup")
# The last is XLA's, for its pool of threads on the CPU.
_THREAD_VARIABLES = ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "NPROC")


def num_usable_cores() -> int:
    """Return how many cores this process may use, 1 at least.

    It is the least of the machine's cores, those the process is bound to (`taskset`), and the time
    that its control groups allow, rounded up: a container with a limit of 2 cores sees all of the
    machine's, and threads for all of them would only take turns.
    """
    return max(1, min([_num_bound_cores(), *(math.ceil(quota) for quota in _quotas())]))


def _num_bound_cores() -> int:
    """Return how many cores this process is bound to; if that is not known, the machine's."""
    if hasattr(os, "sched_getaffinity"):  # macOS has none
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def limit_threads() -> None:
    """Have TensorFlow and XLA use no more threads than this process may use cores.

    They see the cores that it is bound to, and not the limits of its container: only where these
    are lower, TF_NUM_INTRAOP_THREADS, TF_NUM_INTEROP_THREADS and NPROC are set in the environment,
    for children too, unless they are already. It must precede their first computation.
    """
    if (num_cores := num_usable_cores()) < _num_bound_cores():
        for name in _THREAD_VARIABLES:
            os.environ.setdefault(name, str(num_cores))


def nvidia_gpu_names(folder: Path = NVIDIA_FOLDER) -> list[str]:
    """Return the model of each of the machine's NVIDIA GPUs; empty without any, or their driver.

    In the order of the names of the driver's folders. No library is imported, and no device is
    asked.

    Args:
        folder: Folder in which NVIDIA's driver has a folder for each GPU.
    """
    lines = (line for path in sorted(folder.glob("*/information")) for line in _lines(path))
    return [value.strip() for name, _, value in lines if name.strip() == "Model"]


def can_share_semaphores() -> bool:
    """Return whether pools of processes work here: whether a semaphore can be made.

    Semaphores are in /dev/shm, which some containers lack. Starts the process of `multiprocessing`
    that removes what a process has left of them.
    """
    import multiprocessing

    _start_resource_tracker()
    try:
        multiprocessing.get_context("spawn").Lock()
    except (ImportError, OSError):
        return False
    return True


def _start_resource_tracker() -> None:
    """Start the process that cleans up after `multiprocessing`, with its standard error turned off.

    It would warn of what it removes after a process that was stopped. Does nothing if it is at
    work already, or cannot be started so.
    """
    from multiprocessing import resource_tracker

    with (
        contextlib.suppress(OSError),
        open(os.devnull, "wb") as nowhere,
        standard_error.sent_to(nowhere.fileno()),
    ):
        resource_tracker.ensure_running()


def _quotas() -> Iterator[float]:
    """Yield the limits that this process's control groups and those above them set, in cores."""
    for folder in control_group_folders("cpu"):
        # Version 2: "200000 100000", or "max 100000" without a limit.
        fields = small_text(folder / "cpu.max").split()
        if not fields:  # version 1: -1 without a limit
            names = [f"cpu.cfs_{name}_us" for name in ("quota", "period")]
            fields = [small_text(folder / name).strip() for name in names]
        if len(fields) == 2 and all(field.isdigit() for field in fields) and int(fields[1]):
            yield int(fields[0]) / int(fields[1])


def control_group_folders(controller: str) -> Iterator[Path]:
    """Yield the folders, existing or not, of this process's control groups.

    After each come all above it, up to the root.

    Args:
        controller: What the groups limit, `cpu` or `memory`: the first version has groups of their
            own for each.
    """
    for line in small_text(_CGROUPS).splitlines():
        number, _, rest = line.partition(":")
        controllers, _, name = rest.partition(":")
        if number != "0" and controller not in controllers.split(","):
            continue
        # Of version 1 each set of controllers has a folder. A container's name may be that of the
        # machine, while the folders that it sees begin with its own: the root is among them.
        root = _CGROUP_ROOT if number == "0" else _CGROUP_ROOT / controllers
        path = PurePosixPath(name.lstrip("/"))
        yield from (root / below for below in (path, *path.parents))


def _lines(path: Path) -> Iterator[tuple[str, str, str]]:
    """Yield the lines of a small file, each divided at its first colon as by `str.partition`."""
    yield from (line.partition(":") for line in small_text(path).splitlines())


def small_text(path: Path) -> str:
    """Return a small file's text; empty if it cannot be read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
