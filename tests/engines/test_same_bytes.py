"""The records step on real clusters of Flink and Spark makes the bytes of the local runner.

`make test-engines` installs what these tests need; without it they are skipped.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engines.clusters import RunningCluster
from tests.engines.pools import forked_pool
from tests.engines.processes import slowed
from tests.engines.steps import NUM_SHARDS, finish, make_locally, start
from tests.engines.usage import flink_shares
from tests.helpers.zygote import Zygote

NEAR_DUPLICATES = {"near_duplicate_threshold": 0.6, "near_duplicate_ngram": 2}


@pytest.fixture(scope="module")
def address(zygote: Zygote) -> Iterator[str]:
    """Address of a worker pool of forks, which costs less than one of new processes."""
    with forked_pool(zygote) as address:
        yield address


@pytest.fixture
def cluster(engine: RunningCluster, address: str) -> RunningCluster:
    """The cluster, whose workers have their processes of Python from that pool."""
    return engine.with_pool(address)


@pytest.mark.parametrize("num_workers", [2, 1])
def test_the_same_bytes(
    cluster: RunningCluster, zygote: Zygote, folder: Path, tmp_path: Path, num_workers: int
) -> None:
    output = tmp_path / "records"
    process = start(zygote, folder, output, cluster, parallelism=num_workers)
    finish(process, folder, output)
    if cluster.settings["runner"] == "flink":  # Spark's workers take what is next when they can
        shares = flink_shares(cluster.page, "BuildShard")
        assert shares == [NUM_SHARDS // num_workers] * num_workers


def test_workers_of_different_speed_make_the_same_bytes(
    cluster: RunningCluster, zygote: Zygote, folder: Path, tmp_path: Path
) -> None:
    output = tmp_path / "records"
    with slowed(cluster.workers[0]):
        finish(start(zygote, folder, output, cluster), folder, output)


def test_near_duplicates_are_left_out_with_the_same_bytes(
    cluster: RunningCluster, zygote: Zygote, folder: Path, tmp_path: Path
) -> None:
    expected, output = f"unlike-{cluster.settings['runner']}", tmp_path / "records"
    make_locally(zygote, folder, folder / expected, NEAR_DUPLICATES)
    report = json.loads((folder / expected / "records_report.json").read_text())
    assert report["num_near_duplicate_documents"] > 100
    process = start(zygote, folder, output, cluster, cleaning=NEAR_DUPLICATES)
    finish(process, folder, output, expected=expected)
