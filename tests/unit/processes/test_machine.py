"""What a process may use: bound cores, limits of containers, machines that tell nothing."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from albert_core.processes import machine
from albert_core.processes.machine import can_share_semaphores, limit_threads, num_usable_cores


@pytest.fixture
def groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for the machine's control groups; 64 cores that the process is bound to."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(64)), raising=False)
    monkeypatch.setattr(machine, "_CGROUPS", tmp_path / "cgroup")
    monkeypatch.setattr(machine, "_CGROUP_ROOT", tmp_path / "fs")
    return tmp_path


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.mark.parametrize(
    ("name", "limits", "expected"),
    [
        ("/", {"": "200000 100000"}, 2),
        ("/", {"": "150000 100000"}, 2),
        ("/", {"": "5000 100000"}, 1),
        ("/", {"": "max 100000"}, 64),
        ("/", {"": "9900000 100000"}, 64),
        ("/kubepods/pod", {"kubepods": "400000 100000", "kubepods/pod": "max 100000"}, 4),
        ("/kubepods/pod", {"kubepods": "400000 100000", "kubepods/pod": "100000 100000"}, 1),
        ("/docker/of-the-machine", {"": "300000 100000"}, 3),
        ("/", {"": "damaged"}, 64),
    ],
)
def test_a_limit_of_a_container_counts(
    name: str, limits: dict[str, str], expected: int, groups: Path
) -> None:
    write(groups / "cgroup", f"0::{name}\n")
    for folder, limit in limits.items():
        write(groups / "fs" / folder / "cpu.max", f"{limit}\n")
    assert num_usable_cores() == expected


@pytest.mark.parametrize(("quota", "expected"), [("300000", 3), ("-1", 64)])
def test_a_limit_of_the_first_version_counts(quota: str, expected: int, groups: Path) -> None:
    write(groups / "cgroup", "9:memory:/docker/x\n4:cpu,cpuacct:/docker/x\n")
    write(groups / "fs/cpu,cpuacct/docker/x/cpu.cfs_quota_us", f"{quota}\n")
    write(groups / "fs/cpu,cpuacct/docker/x/cpu.cfs_period_us", "100000\n")
    assert num_usable_cores() == expected


def test_a_machine_without_groups_or_bound_cores_has_those_that_it_has(
    groups: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert num_usable_cores() == 64
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    assert num_usable_cores() == 8
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert num_usable_cores() == 1


def test_threads_are_limited_as_the_container_is(
    groups: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("TF_NUM_INTEROP_THREADS", "NPROC"):
        monkeypatch.setenv(name, "1")
        monkeypatch.delenv(name)
    monkeypatch.setenv("TF_NUM_INTRAOP_THREADS", "1")
    limit_threads()
    assert "NPROC" not in os.environ
    write(groups / "cgroup", "0::/\n")
    write(groups / "fs/cpu.max", "200000 100000\n")
    limit_threads()
    assert os.environ["NPROC"] == "2"
    assert os.environ["TF_NUM_INTRAOP_THREADS"] == "1"


def test_a_machine_without_shared_memory_has_no_pools(monkeypatch: pytest.MonkeyPatch) -> None:
    assert can_share_semaphores()

    def refuse(*_: object, **__: object) -> None:
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr("multiprocessing.synchronize.Lock", refuse)
    assert not can_share_semaphores()


def test_semaphores_that_a_process_leaves_are_removed_without_a_word() -> None:
    program = (
        "import multiprocessing, os\n"
        "from albert_core.processes.machine import can_share_semaphores\n"
        "assert can_share_semaphores()\n"
        "lock = multiprocessing.get_context('spawn').Lock()\n"
        "print(lock._semlock.name, flush=True)\n"
        "os._exit(0)"  # as a process that is stopped ends
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert ended.stderr == ""
    assert (name := ended.stdout.strip().removeprefix("/"))
    # Standard output has ended, which whoever removes it holds open, too.
    assert not Path(f"/dev/shm/sem.{name}").exists()
