"""Job servers of Flink and Spark: how they start and end, and what a job through one makes.

The clusters are fakes of their REST APIs, and the job server is Beam's own in Python, which runs a
job in this process.
"""

import contextlib
import functools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from albert_core.corpus import CorpusConfig, corpus_splits
from albert_core.errors import InputError, StepFailedError
from albert_core.records.config import RecordsConfig
from albert_core.tokenization.config import VocabConfig
from components.records import cluster_jobs, step
from components.records.cluster_jobs import cancel_jobs
from components.records.cluster_options import find_cluster
from components.records.job_servers import end_left_servers, job_mark, running_job_server
from components.vocab.step import train_vocab
from tests.helpers.fakes.engine_cluster import FakeCluster, flink, quiet, spark
from tests.helpers.fakes.loopback import loopback
from tests.helpers.tiny_run import write_corpus

# Beam leaves sockets and files to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore")


def test_job_servers_that_killed_commands_left_are_ended():
    """Those of the same job; what ends the others is their own command."""
    names = ("mine-1", "mine-2", "other-1")
    command = [sys.executable, "-c", "import time; print(flush=True); time.sleep(60)"]
    servers = [
        subprocess.Popen([*command, job_mark(name)], stdout=subprocess.PIPE) for name in names
    ]
    try:
        for server in servers:
            server.stdout.readline()  # until then its command line may be that of its parent
        assert end_left_servers("mine") == 2
        assert [server.wait(timeout=10) for server in servers[:2]] == [-signal.SIGKILL] * 2
        assert servers[2].poll() is None
    finally:
        for server in servers:
            server.kill()
            server.communicate()


def test_a_job_that_does_not_end_is_told(monkeypatch):
    monkeypatch.setattr(cluster_jobs, "_CANCEL_WITHIN_S", 0.05)
    with loopback(FakeCluster(jobs={"a": "mine"}, ends=False)) as running:
        found = find_cluster(flink(running), quiet)
        with pytest.raises(InputError, match=r"its job a \(mine\) has not ended a minute after"):
            cancel_jobs(found, "mine")
        assert cancel_jobs(found, "mine", waits=False) == 1


def test_applications_that_a_restarted_master_of_spark_does_not_know_yet_are_cancelled():
    cluster = FakeCluster(version="3.5.7", jobs={"a": "mine"}, state="UNKNOWN")
    with loopback(cluster) as running:
        found = find_cluster(spark(running), quiet)
        assert cancel_jobs(found, "mine") == 1
    assert cluster.ended["a"] == ("mine", "KILLED")


def test_a_job_server_that_does_not_start_or_answer_is_told(tmp_path, monkeypatch):
    from apache_beam.options.pipeline_options import PipelineOptions

    jar = tmp_path / "server.jar"
    jar.write_text("java")
    with loopback(FakeCluster()) as running:
        found = find_cluster(flink(running), quiet)
    monkeypatch.setattr(time, "sleep", lambda _: None)  # between Beam's tries to start it
    launcher = f"--job_server_java_launcher={tmp_path / 'java'}"
    options = PipelineOptions([f"--flink_job_server_jar={jar}", launcher])
    message = rf"job server does not start: .*; see why with: {tmp_path}/java -jar {jar} "
    with pytest.raises(StepFailedError, match=message), running_job_server(found, options):
        pass
    options = PipelineOptions(["--job_endpoint=jobs:8099"])
    message = r"beam\.job_endpoint jobs:8099: got no answer, expected Beam's job server for Flink"
    with pytest.raises(StepFailedError, match=message), running_job_server(found, options):
        raise grpc.FutureTimeoutError


@contextlib.contextmanager
def job_server() -> Iterator[str]:
    """Run Beam's job server in Python in this process; yield its address."""
    from apache_beam.runners.portability.local_job_service import LocalJobServicer

    server = LocalJobServicer()
    port = server.start_grpc_server()
    try:
        yield f"localhost:{port}"
    finally:
        server.stop()


@contextlib.contextmanager
def worker_pool() -> Iterator[str]:
    """Run one of Beam's worker pools in this process; yield its address."""
    from apache_beam.runners.worker.worker_pool_main import BeamFnExternalWorkerPoolServicer

    address, server = BeamFnExternalWorkerPoolServicer.start()
    try:
        yield address
    finally:
        server.stop(1)


# In place of Java: Beam's job server in Python.
LAUNCHER = """#!{python}
import os, pathlib, sys, time
from apache_beam.runners.portability.local_job_service import LocalJobServicer
pathlib.Path(__file__).with_name("server.pid").write_text(str(os.getpid()))
LocalJobServicer().start_grpc_server(int(sys.argv[sys.argv.index("--job-port") + 1]))
time.sleep(600)
"""


def started_job_server(folder: Path) -> dict:
    """Return the settings by which the step starts that job server itself."""
    launcher, jar = folder / "launcher", folder / "server.jar"
    launcher.write_text(LAUNCHER.format(python=sys.executable))
    launcher.chmod(0o755)
    jar.write_text("java")
    options = (f"--job_server_java_launcher={launcher}",)
    return {"job_server_jar": str(jar), "options": options}


@pytest.mark.parametrize("make", [flink, spark])
def test_a_job_server_and_a_worker_pool_give_the_same_bytes(make, tmp_path, monkeypatch):
    """One job server is started by the step, and has ended with it; the other one runs already."""
    splits = functools.partial(corpus_splits, target_bytes=4_000)
    monkeypatch.setattr(step, "corpus_splits", splits)
    write_corpus(tmp_path / "corpus", num_documents=100)
    corpus = CorpusConfig(files=(str(tmp_path / "corpus"),))
    train_vocab(corpus=corpus, config=VocabConfig(size=60), output=tmp_path / "vocab")
    make_records = functools.partial(
        step.make_records,
        corpus=corpus,
        vocab=tmp_path / "vocab",
        config=RecordsConfig(sequence_length=24, held_out_fraction=0.2, num_shards=3),
    )
    make_records(output=tmp_path / "here")
    version = "1.19.3" if make is flink else "3.5.7"
    with loopback(FakeCluster(version)) as running, job_server() as jobs, worker_pool() as pool:
        server = started_job_server(tmp_path) if make is flink else {"job_endpoint": jobs}
        config = make(
            running,
            **server,
            environment_type="EXTERNAL",
            environment_config=pool,
            shared_folder=str(tmp_path / "shared"),
        )
        make_records(output=tmp_path / "there", beam=config)
    for name in ("here", "there"):
        (tmp_path / name / "manifest.json").unlink()
    here, there = (
        {path.name: path.read_bytes() for path in (tmp_path / name).iterdir()}
        for name in ("here", "there")
    )
    assert here == there
    assert not list((tmp_path / "shared").iterdir())
    if make is flink:
        with pytest.raises(ProcessLookupError):
            os.kill(int((tmp_path / "server.pid").read_text()), 0)
