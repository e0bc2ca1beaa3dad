"""A corpus with its records by the local runner, and clusters, one at a time, for all tests."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engines.clusters import QUICK_JAVA, RunningCluster, flink_cluster, spark_cluster
from tests.engines.installation import engines_folder, find_job_server, find_missing
from tests.engines.networks import Network
from tests.engines.pools import WorkerPool, worker_pool
from tests.engines.steps import MARK, end_all, make_expected_records
from tests.helpers.zygote import RECORDS, Zygote

CLUSTERS = {"flink": flink_cluster, "spark": spark_cluster}
SPARK_OPTIONS = (
    # How soon a silent executor is given up.
    "-Dspark.executor.heartbeatInterval=5s",
    "-Dspark.network.timeout=30s",
    "-Dspark.network.timeoutInterval=10s",
    # Tasks wait 3 s for the executor that has their input, which so short a job spends on the
    # executor that was the first to start: the others would get no work.
    "-Dspark.locality.wait=0s",
    "-Dspark.ui.enabled=false",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip the tests of this folder where something is missing to start the engines."""
    missing = find_missing(engines_folder())
    for item in items:
        if Path(__file__).parent in item.path.parents:
            # Beam leaves sockets and files to the garbage collector.
            item.add_marker(pytest.mark.filterwarnings("ignore"))
            if missing:
                item.add_marker(pytest.mark.skip(reason=missing))


@pytest.fixture(scope="session")
def zygote(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Zygote]:
    """A process that has imported the records step and what Beam's workers need."""
    worker = [f"apache_beam.runners.worker.{name}" for name in ("sdk_worker", "worker_pool_main")]
    zygote = Zygote(tmp_path_factory.mktemp("forks"), {}, modules=(*RECORDS, *worker))
    yield zygote
    zygote.close()


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory, zygote: Zygote) -> Path:
    """A corpus, its vocabulary, and its records by the local runner."""
    folder = tmp_path_factory.mktemp("engines")
    make_expected_records(zygote, folder)
    return folder


@pytest.fixture(autouse=True)
def no_process_left() -> Iterator[None]:
    """End what a test that failed leaves: steps and job servers."""
    yield
    end_all()


@pytest.fixture(scope="session")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WorkerPool]:
    """Beam's worker pool on this machine, which the workers of both clusters share."""
    with worker_pool(tmp_path_factory.mktemp("pool")) as pool:
        yield pool


@pytest.fixture(scope="session")
def network() -> Iterator[Network | None]:
    """A network beside this machine's, which the clusters have an address on; None without root."""
    try:
        network = Network()
    except (OSError, subprocess.CalledProcessError):
        yield None
        return
    yield network
    network.remove()


@pytest.fixture(scope="session", params=list(CLUSTERS))
def engine(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    network: Network | None,
) -> Iterator[RunningCluster]:
    """A cluster of two workers, one cluster at a time; its settings tell of no environment."""
    name, host = request.param, network.outside if network else "127.0.0.1"
    jar = find_job_server(engines_folder(), name)
    java = ["-Xmx512m", *QUICK_JAVA, MARK]
    if name == "spark":
        java += ["-Dspark.executor.memory=512m", f"-Dspark.driver.host={host}", *SPARK_OPTIONS]
        java += [f"-Dspark.executor.extraJavaOptions={' '.join(QUICK_JAVA)}"]
    start = CLUSTERS[name]
    with start(engines_folder() / name, tmp_path_factory.mktemp(name), host=host) as running:
        running.settings |= {"job_server_jar": str(jar), "java_options": java}
        yield running


@pytest.fixture
def cluster(engine: RunningCluster, pool: WorkerPool) -> RunningCluster:
    """The cluster, whose workers have their processes of Python from the worker pool."""
    return engine.with_pool(pool.address)
