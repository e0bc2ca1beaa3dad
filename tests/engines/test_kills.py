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
from components.records.clusters import Cluster
from components.records.runners import BeamConfig
from tests.engines.clusters import RunningCluster
from tests.engines.networks import Network
from tests.engines.pools import WorkerPool, worker_pool
from tests.engines.processes import kill_with_children, wait_for
from tests.engines.steps import (
    finish,
    finish_after_failure,
    running_job_servers,
    start,
    wait_for_work,
    wait_while_running,
)
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


def check_resubmission(process: Fork, cluster: RunningCluster) -> None:
    """Check that the command told of another try, where the cluster does not repair the job."""
    if "flink_master" in cluster.settings:
        assert "; trying again, from what is done" in process.wait(timeout=1)


def ask(cluster: RunningCluster) -> Cluster:
    """Ask the cluster as the command does."""
    settings = {**cluster.settings, "shared_folder": "/"}
    return find_cluster(parse_settings(BeamConfig, settings, source="beam"), quiet)


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


def test_the_network_of_a_worker_cut_in_the_middle(
    cluster: RunningCluster,
    zygote: Zygote,
    folder: Path,
    command: Disturbed,
    pool: WorkerPool,
    network: Network | None,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """What is sent to it and what it sends is dropped, and it works on; then packets pass again."""
    if network is None:
        pytest.skip("a network of its own needs the program ip and the rights of root")
    with worker_pool(tmp_path_factory.mktemp("inner"), port=pool.port, network=network) as inner:
        cluster.start_worker(network)
        worker = cluster.workers.pop()
        try:
            wait_for(lambda: ask(cluster).num_slots == len(cluster.workers) + 1)
            process, output = command()
            wait_while_running(process, inner.workers, poll_s=0.01)
            network.cut()
            try:
                finish_after_failure(
                    process, output, lambda: start(zygote, folder, output, cluster), folder
                )
            finally:
                network.mend()
            check_resubmission(process, cluster)
        finally:
            kill_with_children(worker)


def test_the_processes_of_python_killed_in_the_middle(
    cluster: RunningCluster, zygote: Zygote, folder: Path, command: Disturbed, pool: WorkerPool
) -> None:
    process, output = command()
    assert pool.kill_workers()
    finish_after_failure(process, output, lambda: start(zygote, folder, output, cluster), folder)
    check_resubmission(process, cluster)


def test_the_worker_pool_killed_and_started_again_in_the_middle(
    cluster: RunningCluster, folder: Path, command: Disturbed, pool: WorkerPool
) -> None:
    """As Kubernetes does it: the same command goes on by itself."""
    process, output = command()
    pool.kill()
    pool.start()
    finish(process, folder, output)
    check_resubmission(process, cluster)


def test_the_worker_pool_killed_for_good(
    cluster: RunningCluster, zygote: Zygote, folder: Path, command: Disturbed, pool: WorkerPool
) -> None:
    """The command fails and says what to do; it goes on when somebody has started the pool."""
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
    asked = ask(cluster)  # imports Beam, which takes as long as the job
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
