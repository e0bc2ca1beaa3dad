"""The records step on real clusters of Flink and Spark: the same bytes, whatever is killed.

`make test-engines` installs what these tests need; without it they are skipped.
"""

import contextlib
import functools
import json
import os
import signal
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from albert_core.corpus import CorpusConfig, corpus_splits
from albert_core.records.config import RecordsConfig
from albert_core.tokenization.config import VocabConfig
from components.records import step
from components.records.runners import BeamConfig
from components.vocab.step import train_vocab
from tests.engines.clusters import (
    RunningCluster,
    flink_cluster,
    kill_with_children,
    spark_cluster,
    wait_for,
    worker_pool,
)
from tests.engines.installation import engines_folder, find_job_server, find_missing
from tests.helpers.tiny_run import write_corpus
from tests.helpers.zygote import RECORDS, Fork, Zygote

MISSING = find_missing(engines_folder())
CLUSTERS = {"flink": flink_cluster, "spark": spark_cluster}

# Beam leaves sockets and files to the garbage collector.
pytestmark = [
    pytest.mark.filterwarnings("ignore"),
    pytest.mark.skipif(bool(MISSING), reason=MISSING),
]

STEP = """
import functools, json, sys
from albert_core.corpus import CorpusConfig, corpus_splits
from albert_core.records.config import RecordsConfig
from albert_core.settings import parse_settings
from albert_core.stops import answered_stops
from components.records import step
from components.records.runners import BeamConfig
if __name__ == "__main__":
    folder, output, beam = sys.argv[1:]
    step.corpus_splits = functools.partial(corpus_splits, target_bytes=20_000)
    with answered_stops(ends_process=True):
        step.make_records(
            corpus=CorpusConfig(files=(folder + "/corpus",)),
            vocab=folder + "/vocab",
            config=RecordsConfig(sequence_length=24, held_out_fraction=0.2, num_shards=3),
            output=output,
            beam=parse_settings(BeamConfig, json.loads(beam), source="beam"),
        )
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A corpus of some 100 splits, its vocabulary, and its records by the local runner."""
    folder = tmp_path_factory.mktemp("engines")
    write_corpus(folder / "corpus", num_documents=10_000)
    corpus = CorpusConfig(files=(str(folder / "corpus"),))
    train_vocab(corpus=corpus, config=VocabConfig(size=60), output=folder / "vocab")
    with pytest.MonkeyPatch.context() as patch:
        splits = functools.partial(corpus_splits, target_bytes=20_000)
        patch.setattr(step, "corpus_splits", splits)
        assert len(splits(corpus)) > 20
        step.make_records(
            corpus=corpus,
            vocab=folder / "vocab",
            config=RecordsConfig(sequence_length=24, held_out_fraction=0.2, num_shards=3),
            output=folder / "whole",
            beam=BeamConfig(mode="in_memory"),
        )
    return folder


@pytest.fixture(scope="module")
def zygote(tmp_path_factory) -> Iterator[Zygote]:
    zygote = Zygote(tmp_path_factory.mktemp("forks"), {}, modules=RECORDS)
    yield zygote
    zygote.close()


@pytest.fixture(scope="module", params=list(CLUSTERS))
def cluster(request, tmp_path_factory) -> Iterator[RunningCluster]:
    """A cluster of two workers with a worker pool; one cluster at a time."""
    engine, folder = request.param, tmp_path_factory.mktemp(request.param)
    jar = find_job_server(engines_folder(), engine)
    with (
        CLUSTERS[engine](engines_folder() / engine, folder / "cluster") as running,
        worker_pool(folder / "pool") as pool,
    ):
        java = ["-Xmx512m", "-XX:TieredStopAtLevel=1"]
        if engine == "spark":
            java.append("-Dspark.executor.memory=512m")
        running.settings |= {
            "environment_type": "EXTERNAL",
            "environment_config": pool,
            "job_server_jar": str(jar),
            "java_options": java,
        }
        yield running


def start(zygote: Zygote, folder: Path, output: Path, cluster: RunningCluster, **settings) -> Fork:
    """Start the step on a cluster in a process."""
    shared = {"shared_folder": str(output.parent / "shared")}
    beam = json.dumps({**cluster.settings, **shared, **settings})
    return zygote.start([str(folder), str(output), beam], {}, STEP)


def finish(process: Fork, folder: Path, output: Path, left: Sequence[int] = ()) -> None:
    """Wait for a step; its records must be those of the local runner, and nothing else be left.

    Args:
        process: The step.
        folder: Has the corpus and the records of the local runner.
        output: What it makes.
        left: Ids of job servers that a killed command left before.
    """
    errors = process.wait(timeout=400)
    assert process.returncode == 0, errors
    whole, made = (
        {path.name: path.read_bytes() for path in place.iterdir() if path.name != "manifest.json"}
        for place in (folder / "whole", output)
    )
    assert made == whole
    wait_for(lambda: set(running_job_servers()) <= set(left), within_s=10)
    assert not list((output.parent / "shared").iterdir())
    assert sorted(path.name for path in output.parent.iterdir()) == ["records", "shared"]


def work_files(output: Path) -> int:
    return sum(len(files) for _, _, files in os.walk(output.parent / "shared"))


def wait_for_work(process: Fork, output: Path, wanted: int = 6) -> None:
    """Wait until some files of the work are there."""
    wait_for(
        lambda: work_files(output) >= wanted or process.returncode is not None,
        within_s=200,
        poll_s=0.01,
    )
    assert process.returncode is None, process.wait(timeout=1)


def running_job_servers() -> list[int]:
    """Return the ids of all job servers on this machine."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if path.read_bytes().startswith(b"java\0") and b"-job-server-" in path.read_bytes():
                found.append(int(path.parent.name))
    return found


def job_servers(process: Fork) -> list[int]:
    """Return the ids of the job servers that a step has started."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    return [
        int(child)
        for child in children.read_text().split()
        if b"-job-server-" in Path(f"/proc/{child}/cmdline").read_bytes()
    ]


@pytest.mark.parametrize("num_workers", [2, 1])
def test_the_same_bytes(cluster, zygote, folder, tmp_path, num_workers):
    output = tmp_path / "records"
    process = start(zygote, folder, output, cluster, parallelism=num_workers)
    finish(process, folder, output)


def test_a_worker_killed_in_the_middle(cluster, zygote, folder, tmp_path):
    """Another takes its work over; or the job fails, and the same command goes on."""
    output = tmp_path / "records"
    process = start(zygote, folder, output, cluster)
    wait_for_work(process, output)
    kill_with_children(cluster.workers[0])
    cluster.start_worker()
    errors = process.wait(timeout=400)
    if process.returncode:
        assert "the same command goes on" in errors.splitlines()[-1]
        assert not output.exists()
        process = start(zygote, folder, output, cluster)
    finish(process, folder, output)


def test_the_job_server_killed_in_the_middle(cluster, zygote, folder, tmp_path):
    output = tmp_path / "records"
    process = start(zygote, folder, output, cluster)
    wait_for_work(process, output)
    for server in job_servers(process):
        os.kill(server, signal.SIGKILL)
    errors = process.wait(timeout=100)
    assert process.returncode
    assert "the same command goes on" in errors.splitlines()[-1], errors
    assert not output.exists()
    finish(start(zygote, folder, output, cluster), folder, output)


def test_the_command_killed_in_the_middle(cluster, zygote, folder, tmp_path):
    """Its job goes on without it; the same command cancels that one before it starts its own."""
    output = tmp_path / "records"
    process = start(zygote, folder, output, cluster)
    wait_for_work(process, output)
    servers = job_servers(process)
    process.kill()
    process.wait(timeout=20)
    finish(start(zygote, folder, output, cluster), folder, output, servers)
    for server in servers:
        os.kill(server, signal.SIGKILL)


def test_the_command_stopped_in_the_middle(cluster, zygote, folder, tmp_path):
    output = tmp_path / "records"
    process = start(zygote, folder, output, cluster)
    wait_for_work(process, output)
    before = time.monotonic()
    process.send_signal(signal.SIGTERM)
    process.wait(timeout=30)
    assert time.monotonic() - before < 10
    assert process.returncode == 128 + signal.SIGTERM
    finish(start(zygote, folder, output, cluster), folder, output)
