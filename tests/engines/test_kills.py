"""Whatever dies while the records are made on a cluster, the same command ends with the same bytes.

`make test-engines` installs what these tests need; without it they are skipped.
"""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from albert_core.progress import quiet
from albert_core.settings import parse_settings
from components.records.cluster_jobs import cancel_jobs
from components.records.cluster_options import find_cluster
from components.records.runners import BeamConfig
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


def check_resubmission(process: Fork, cluster: RunningCluster) -> None:
    """Check that the command told of another try, where the cluster does not repair the job."""
    if "flink_master" in cluster.settings:
        assert "; trying again, from what is done" in process.wait(timeout=1)


def test_a_worker_killed_in_the_middle(
    cluster: RunningCluster, zygote: Zygote, folder: Path, command: Disturbed
) -> None:
    """Another takes its work over; or the job fails, and the same command goes on."""
    process, output = command()
    kill_with_children(cluster.workers.pop(0))
    cluster.start_worker()
    finish_after_failure(process, output, lambda: start(zygote, folder, output, cluster), folder)
    check_resubmission(process, cluster)


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
    check_resubmission(process, cluster)


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
    """The command starts another one, on both engines."""
    process, output = command()
    for server in running_job_servers():
        os.kill(server, signal.SIGKILL)
    finish(process, folder, output)
    assert "job server is gone" in process.wait(timeout=1)


def test_the_command_killed_in_the_middle(
    cluster: RunningCluster, zygote: Zygote, folder: Path, command: Disturbed
) -> None:
    """Its job and job server go on; the same command ends them before it starts its own."""
    process, output = command()
    process.kill()
    process.wait(timeout=20)
    assert running_job_servers()
    again = start(zygote, folder, output, cluster)
    finish(again, folder, output)
    assert "jobs of the same work cancelled" in again.wait(timeout=1)


def test_the_job_cancelled_in_the_middle(
    cluster: RunningCluster, zygote: Zygote, folder: Path, command: Disturbed
) -> None:
    """As a person does it on the cluster's page: the command says so and submits no other."""
    config = parse_settings(BeamConfig, {**cluster.settings, "shared_folder": "/"}, source="beam")
    asked = find_cluster(config, quiet)  # imports Beam, which takes as long as the job
    process, output = command()
    assert cancel_jobs(asked, "albert-records-", waits=False) == 1
    errors = process.wait(timeout=60)
    assert process.returncode
    assert "was cancelled, by a person or by another command" in errors.splitlines()[-1], errors
    assert "trying again" not in errors
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
