"""What the processes of a command and of a cluster use: CPU, memory, open files, files made."""

import contextlib
import dataclasses
import json
import os
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


@dataclasses.dataclass
class Usage:
    """What processes have used while a command ran.

    Attributes:
        wall_s: Seconds that it ran.
        cpu_s: CPU seconds of all of them.
        command_mib: The largest memory of the command's own process.
        python_mib: The largest memory of any other process of Python.
        java_mib: The largest memory of any process of Java.
        num_open_files: The most descriptors that one process held.
        num_work_files: The most files in the workers' folder.
    """

    wall_s: float = 0.0
    cpu_s: float = 0.0
    command_mib: int = 0
    python_mib: int = 0
    java_mib: int = 0
    num_open_files: int = 0
    num_work_files: int = 0

    def note(self, process: int, command: int) -> None:
        """Take in what a process has used so far; `command` is the id of the command's own."""
        mib = _peak_mib(process)
        if process == command:
            self.command_mib = max(self.command_mib, mib)
        elif _program(process) == "java":
            self.java_mib = max(self.java_mib, mib)
        else:
            self.python_mib = max(self.python_mib, mib)
        with contextlib.suppress(OSError):  # it has ended
            self.num_open_files = max(self.num_open_files, len(os.listdir(f"/proc/{process}/fd")))


def watch_usage(process: subprocess.Popen, sessions: set[int], work: Path) -> Usage:
    """Wait for a command; return what all processes of some sessions used meanwhile.

    They are looked at every fifth of a second, so that little of a process that ends is missed.

    Args:
        process: The command.
        sessions: Ids of sessions, the command's among them.
        work: Folder of the workers' files, which need not exist.

    Raises:
        SystemExit: The command fails.
    """
    first, usage, begin = _cpu_seconds(sessions), Usage(), time.monotonic()
    last: dict[tuple[int, str], float] = {}
    while process.poll() is None:
        last |= _cpu_seconds(sessions)
        for pid, _ in last:
            usage.note(pid, process.pid)
        num_files = sum(len(files) for _, _, files in os.walk(work))
        usage.num_work_files = max(usage.num_work_files, num_files)
        time.sleep(0.2)
    if process.returncode:
        raise SystemExit(f"albert records ended with status {process.returncode}")
    usage.wall_s = time.monotonic() - begin
    usage.cpu_s = sum(seconds - first.get(pid, 0.0) for pid, seconds in last.items())
    return usage


def flink_shuffle_bytes(page: str) -> int:
    """Return how many bytes the tasks of all jobs of a Flink cluster have sent to one another."""

    jobs = [_ask(page, f"/jobs/{job['jid']}") for job in _ask(page, "/jobs/overview")["jobs"]]
    return sum(vertex["metrics"]["write-bytes"] for job in jobs for vertex in job["vertices"])


def flink_shares(page: str, name: str) -> list[int]:
    """Return how many records each task of an operation has read, in the newest job.

    Args:
        page: Root of the cluster's REST API.
        name: A part of the operation's name, which no other one has.
    """
    job = max(_ask(page, "/jobs/overview")["jobs"], key=lambda job: job["start-time"])["jid"]
    vertices = _ask(page, f"/jobs/{job}")["vertices"]
    (vertex,) = (vertex["id"] for vertex in vertices if name in vertex["name"])
    tasks = _ask(page, f"/jobs/{job}/vertices/{vertex}")["subtasks"]
    return [task["metrics"]["read-records"] for task in tasks]


def spark_shuffle_bytes(events: Path) -> int:
    """Return how many bytes the tasks of all applications wrote for one another.

    Args:
        events: The folder of `spark.eventLog.dir`, not compressed.
    """
    num_bytes = 0
    for path in events.iterdir():
        for line in path.read_text().splitlines():
            if '"Shuffle Bytes Written"' in line:
                task = json.loads(line).get("Task Metrics") or {}
                num_bytes += task.get("Shuffle Write Metrics", {}).get("Shuffle Bytes Written", 0)
    return num_bytes


def _ask(page: str, path: str) -> dict:
    """Return what a cluster's REST API answers."""
    with urllib.request.urlopen(f"{page}{path}", timeout=30) as answer:
        return json.load(answer)


def _cpu_seconds(sessions: set[int]) -> dict[tuple[int, str], float]:
    """Return the CPU seconds of the processes of sessions, by their ids and moments of start."""
    return {
        (pid, fields[19]): (int(fields[11]) + int(fields[12])) / _TICKS_PER_S
        for pid, fields in _statistics()
        if int(fields[3]) in sessions
    }


def _statistics() -> Iterator[tuple[int, list[str]]]:
    """Yield the id of each process and its fields of /proc/PID/stat from the third on."""
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            text = path.read_text()
            yield int(path.parent.name), text[text.rindex(")") + 2 :].split()


def _program(pid: int) -> str:
    """Return the name of a process's program; empty if it has ended."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/comm").read_text().strip()
    return ""


def _peak_mib(pid: int) -> int:
    """Return the largest memory that a process has had, in MiB; 0 if it has ended."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) >> 10
    return 0
