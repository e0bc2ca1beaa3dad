"""Processes of Python that Flink, Spark or worker pools start by the boot program of Beam's images.

`make test-engines` installs what these tests need; without it they are skipped.
"""

import functools
import json
import os
import signal
from pathlib import Path

import pytest

from tests.engines.clusters import RunningCluster
from tests.engines.installation import engines_folder, find_boot
from tests.engines.pools import boot_environment, worker_pool
from tests.engines.processes import descendants
from tests.engines.steps import finish, finish_after_failure, start, wait_for_work
from tests.helpers.zygote import Zygote

Settings = dict[str, object]


@pytest.fixture
def boot() -> Path:
    """The boot program."""
    boot = find_boot(engines_folder())
    if boot is None:
        pytest.skip("no boot program (`make test-engines` builds it where there is Go)")
    return boot


@pytest.fixture
def by_boot(boot: Path) -> Settings:
    """Settings of `beam` with which the workers run the boot program in this environment."""
    return {
        "environment_type": "PROCESS",
        "environment_config": json.dumps({"command": str(boot), "env": boot_environment()}),
    }


def test_the_same_bytes(
    engine: RunningCluster, zygote: Zygote, folder: Path, tmp_path: Path, by_boot: Settings
) -> None:
    output = tmp_path / "records"
    finish(start(zygote, folder, output, engine, **by_boot), folder, output)


def test_processes_killed_in_the_middle(
    engine: RunningCluster, zygote: Zygote, folder: Path, tmp_path: Path, by_boot: Settings
) -> None:
    """The boot program starts them anew, or the job fails, and the same command goes on."""
    output = tmp_path / "records"
    begin = functools.partial(start, zygote, folder, output, engine, **by_boot)
    process = begin()
    wait_for_work(process, output)
    killed = [pid for each in engine.workers for pid in descendants(each.pid, "sdk_worker_main")]
    assert killed
    for pid in killed:
        os.kill(pid, signal.SIGKILL)
    finish_after_failure(process, output, begin, folder)


def test_a_pool_that_runs_the_boot_program(
    engine: RunningCluster, zygote: Zygote, folder: Path, tmp_path: Path, boot: Path
) -> None:
    """As the data image does with `--worker_pool`, for instance on Kubernetes."""
    output = tmp_path / "made" / "records"
    with worker_pool(tmp_path / "pool", boot=boot) as pool:
        finish(start(zygote, folder, output, engine.with_pool(pool.address)), folder, output)
