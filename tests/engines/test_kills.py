"""Whatever dies while the records are made on a cluster, the same command ends with the same bytes.

`make test-engines` installs what these tests need; without it they are skipped.
"""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.engines.clusters import RunningCluster
from tests.engines.processes import WorkerPool, kill_with_children
from tests.engines.steps import finish, running_job_servers, start, wait_for_work
from tests.helpers.zygote import Fork, Zygote

Disturbed = Callable[[], tuple[Fork, Path]]


@pytest.fixture
def command(zygote: Zygote, folder: Path, tmp_path: Path, cluster: RunningCluster) -> Disturbed:
    """Starts the step and waits until it is in the middle; returns it and what it makes."""

    def begin() -> tuple[Fork, Path]:
        output = tmp_path / "records"
        process = start(zygote, folder, output, cluster)
        wait_for_work(process, output)
        return process, output

    return begin


def finish_after_failure(
    process: Fork, output: Path, again: Callable[[], Fork], folder: Path
) -> None:
    """Wait for a disturbed step; if it failed, it must say what to do, which is then done."""
    errors = process.wait(timeout=300)
    if process.returncode:
        assert "the same command goes on" in errors.splitlines()[-1], errors
        assert not output.exists()
        process = again()
    finish(process, folder, output)


def test_a_worker_killed_in_the_middle(
    cluster: RunningCluster, zygote: Zygote, folder: Path, command: Disturbed
) -> None:
    """Another takes its work over; or the job fails, and the same command goes on."""
    process, output = command()
    kill_with_children(cluster.workers.pop(0))
    cluster.start_worker()
    finish_after_failure(process, output, lambda: start(zygote, folder, output, cluster), folder)


def test_a_worker_cut_off_in_the_middle(
    cluster: RunningCluster, zygote: Zygote, folder: Path, command: Disturbed
) -> None:
    """It answers nothing, as without a network, and goes on when its work is done by another."""
    process, output = command()
    silent = cluster.workers.pop(0)
    os.killpg(silent.pid, signal.SIGSTOP)
    try:
        cluster.start_worker()
        finish_after_failure(
            process, output, lambda: start(zygote, folder, output, cluster), folder
        )
    finally:
        os.killpg(silent.pid, signal.SIGCONT)
        kill_with_children(silent)


def test_the_processes_of_python_killed_in_the_middle(
    cluster: RunningCluster, zygote: Zygote, folder: Path, command: Disturbed, pool: WorkerPool
) -> None:
    process, output = command()
    assert pool.kill_workers()
    finish_after_failure(process, output, lambda: start(zygote, folder, output, cluster), folder)


def test_the_worker_pool_killed_in_the_middle(
    cluster: RunningCluster, zygote: Zygote, folder: Path, command: Disturbed, pool: WorkerPool
) -> None:
    """The job fails, since nobody starts it again until the job has failed."""
    process, output = command()
    pool.kill()
    try:
        errors = process.wait(timeout=300)
    finally:
        pool.start()
    assert process.returncode
    assert "the same command goes on" in errors.splitlines()[-1], errors
    assert not output.exists()
    finish(start(zygote, folder, output, cluster), folder, output)


def test_the_job_server_killed_in_the_middle(folder: Path, command: Disturbed) -> None:
    """The command starts another one."""
    process, output = command()
    for server in running_job_servers():
        os.kill(server, signal.SIGKILL)
    finish(process, folder, output)


def test_the_command_killed_in_the_middle(
    cluster: RunningCluster, zygote: Zygote, folder: Path, command: Disturbed
) -> None:
    """Its job and job server go on; the same command ends them before it starts its own."""
    process, output = command()
    process.kill()
    process.wait(timeout=20)
    assert running_job_servers()
    finish(start(zygote, folder, output, cluster), folder, output)


def test_the_command_stopped_in_the_middle(
    cluster: RunningCluster, zygote: Zygote, folder: Path, command: Disturbed
) -> None:
    process, output = command()
    before = time.monotonic()
    process.send_signal(signal.SIGTERM)
    process.wait(timeout=30)
    assert time.monotonic() - before < 10
    assert process.returncode == 128 + signal.SIGTERM
    finish(start(zygote, folder, output, cluster), folder, output)
