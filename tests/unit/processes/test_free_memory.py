"""How much memory a process may still take: the machine's, a container's limit, its own limit."""

import subprocess
import sys
from pathlib import Path

import pytest

from albert_core.processes import free_memory as module
from albert_core.processes import machine
from albert_core.processes.free_memory import FreeMemory, free_memory

GIB = 1 << 30
MEMINFO = (
    "MemTotal:  16777216 kB\nMemAvailable: 8388608 kB\nHugePages_Total: 0\nSwapFree: {swap} kB\n"
)


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The files of a machine with 8 GiB available and no control groups."""
    monkeypatch.setattr(machine, "_CGROUPS", tmp_path / "cgroup")
    monkeypatch.setattr(machine, "_CGROUP_ROOT", tmp_path / "fs")
    monkeypatch.setattr(module, "_MEMINFO", tmp_path / "meminfo")
    write(tmp_path / "meminfo", MEMINFO.format(swap=0))
    return tmp_path


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_what_the_machine_has_available_is_free(files: Path) -> None:
    assert free_memory() == FreeMemory(num_bytes=8 * GIB, limit="on this machine")


def test_swap_space_counts_where_it_is_asked_for(files: Path) -> None:
    write(files / "meminfo", MEMINFO.format(swap=1 << 20))
    for with_swap, expected in ((False, 8 * GIB), (True, 9 * GIB)):
        assert (free := free_memory(with_swap=with_swap))
        assert free.num_bytes == expected


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        ({"": ("4294967296", "1073741824")}, 3 * GIB),
        ({"": ("max", "1073741824")}, 8 * GIB),
        ({"kubepods": ("2147483648", "0"), "kubepods/pod": ("max", "0")}, 2 * GIB),
        ({"kubepods": ("4294967296", "0"), "kubepods/pod": ("1073741824", "0")}, GIB),
        ({"": ("1073741824", "2147483648")}, 0),
        ({"": ("damaged", "0")}, 8 * GIB),
    ],
)
def test_a_container_has_what_its_limit_leaves(
    limits: dict[str, tuple[str, str]], expected: int, files: Path
) -> None:
    write(files / "cgroup", "0::/kubepods/pod\n")
    for folder, (limit, used) in limits.items():
        write(files / "fs" / folder / "memory.max", f"{limit}\n")
        write(files / "fs" / folder / "memory.current", f"{used}\n")
    assert (free := free_memory())
    assert free.num_bytes == expected
    assert ("container" in free.limit) == (expected < 8 * GIB)


def test_files_that_the_kernel_keeps_for_a_container_are_free(files: Path) -> None:
    write(files / "cgroup", "0::/\n")
    write(files / "fs/memory.max", f"{4 * GIB}\n")
    write(files / "fs/memory.current", f"{3 * GIB}\n")
    write(files / "fs/memory.stat", f"anon {GIB}\ninactive_file {GIB}\nactive_file {GIB}\n")
    assert (free := free_memory())
    assert free.num_bytes == 3 * GIB


@pytest.mark.parametrize(("limit", "expected"), [(2 * GIB, GIB), (9223372036854771712, 8 * GIB)])
def test_a_limit_of_the_first_version_counts(limit: int, expected: int, files: Path) -> None:
    write(files / "cgroup", "9:memory:/docker/x\n4:cpu,cpuacct:/docker/x\n")
    group = files / "fs/memory/docker/x"
    write(group / "memory.limit_in_bytes", f"{limit}\n")
    write(group / "memory.usage_in_bytes", f"{GIB + 4096}\n")
    write(group / "memory.stat", "inactive_file 0\nactive_file 0\n")
    with (group / "memory.stat").open("a") as stat:
        stat.write("total_inactive_file 4096\ntotal_active_file 0\n")
    assert (free := free_memory())
    assert free.num_bytes == expected


def test_a_system_that_tells_only_of_all_its_memory_has_that_at_most(files: Path) -> None:
    (files / "meminfo").unlink()
    assert (free := free_memory())
    assert free.num_bytes == module.total_memory_bytes()
    assert free.limit == "on this machine at most"


def test_a_limit_on_address_space_counts() -> None:
    program = (
        "import resource\n"
        "from albert_core.processes.free_memory import free_memory\n"
        f"resource.setrlimit(resource.RLIMIT_AS, ({2 * GIB}, {2 * GIB}))\n"
        "free = free_memory()\n"
        "print(free.num_bytes, free.limit)\n"
    )
    printed = subprocess.check_output([sys.executable, "-c", program], text=True)
    num_bytes, _, limit = printed.strip().partition(" ")
    assert GIB < int(num_bytes) < 2 * GIB - (256 << 20)
    assert limit == "within the limit on address space (ulimit -v)"
