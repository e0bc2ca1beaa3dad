"""Flink and Spark: what their clusters are asked, Beam's options for them, and how a job ends.

The clusters are fakes of their REST APIs, and the job server is Beam's own in Python, which runs a
job in this process.
"""

import contextlib
import dataclasses
import functools
import json
import socket
import sys
from collections.abc import Iterator

import pytest

from albert_core.corpus import CorpusConfig, corpus_splits
from albert_core.errors import InputError, StepFailedError
from albert_core.records.config import RecordsConfig
from albert_core.tokenization.config import VocabConfig
from components.records import clusters, step
from components.records.cluster_options import cluster_options, find_cluster
from components.records.cluster_run import find_reason, run_on_cluster
from components.records.clusters import cancel_jobs
from components.records.job_servers import job_server_name
from components.records.runners import BeamConfig
from components.vocab.step import train_vocab
from tests.helpers.fakes.loopback import Answer, Call, Loopback, loopback
from tests.helpers.tiny_run import write_corpus

# Beam leaves sockets and files to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore")

IMAGE = "registry/albert-python-data:1"
WORK = {"shared_folder": "gs://bucket/work"}


@dataclasses.dataclass
class FakeCluster:
    """A cluster of either engine: what it answers, and the jobs that run on it.

    Attributes:
        version: Of the engine.
        slots: Of each TaskManager or worker.
        jobs: Name of each running job, by id.
        ends: Whether a job that is cancelled ends.
    """

    version: str = "1.19.3"
    slots: tuple[int, ...] = (2, 3)
    jobs: dict[str, str] = dataclasses.field(default_factory=dict)
    ends: bool = True

    def __call__(self, call: Call) -> Answer:
        if call.method == "PATCH":
            self._end(call.path.rpartition("/")[2])
            return Answer({}, 202)
        if call.method == "POST" and call.path == "/app/kill/":
            assert call.body.endswith("&terminate=true")
            self._end(call.body.removeprefix("id=").partition("&")[0])
            return Answer({}, 302)
        machines = [{"slotsNumber": slots, "freeSlots": slots - 1} for slots in self.slots]
        workers = [{"cores": slots, "state": "ALIVE"} for slots in self.slots]
        running = [{"id": job, "name": name} for job, name in self.jobs.items()]
        listed = [{"jid": job, "name": name, "state": "RUNNING"} for job, name in self.jobs.items()]
        ended = {"jid": "old", "name": "mine", "state": "FAILED"}
        page = f'<span class="version" style="margin-right: 15px;">{self.version}</span>'
        return {
            "/config": Answer({"flink-version": self.version}),
            "/taskmanagers": Answer({"taskmanagers": machines}),
            "/jobs/overview": Answer({"jobs": [*listed, ended]}),
            "/json/": Answer(
                {
                    "workers": [*workers, {"cores": 9, "state": "DEAD"}],
                    "activeapps": running,
                }
            ),
            "/": Answer(page.encode(), headers={"Content-Type": "text/html"}),
        }[call.path]

    def _end(self, job: str) -> None:
        if self.ends:
            del self.jobs[job]


def flink(running: Loopback, **settings) -> BeamConfig:
    master = running.address.removeprefix("http://")
    return BeamConfig(
        **{"runner": "flink", "flink_master": master, "environment_config": IMAGE, **WORK}
        | settings
    )


def spark(running: Loopback, **settings) -> BeamConfig:
    page = running.address.removeprefix("http://")
    return BeamConfig(
        **{
            "runner": "spark",
            "spark_master": "spark://127.0.0.1:7077",
            "spark_page": page,
            "environment_config": IMAGE,
            **WORK,
        }
        | settings
    )


def quiet(*_) -> None:
    """Take no notice of progress."""


def options_of(config: BeamConfig, progress=quiet) -> dict:
    cluster = find_cluster(config, progress)
    options = cluster_options(config, cluster, job_name="mine", progress=progress)
    return options.get_all_options(drop_default=True, retain_unknown_options=True)


@pytest.fixture
def jars(tmp_path, monkeypatch):
    """A folder of job servers, which is Beam's cache, with those of these clusters."""
    from apache_beam.utils.subprocess_server import JavaJarServer

    monkeypatch.setattr(JavaJarServer, "JAR_CACHE", str(tmp_path / "jars"))
    monkeypatch.setattr("components.records.job_servers.shutil.which", lambda name: name)
    (tmp_path / "jars").mkdir()
    with loopback(FakeCluster()) as one, loopback(FakeCluster("3.5.7")) as other:
        for config in (flink(one), spark(other)):
            name = job_server_name(find_cluster(config, quiet))
            (tmp_path / "jars" / name).write_text("java")
    return tmp_path / "jars"


def test_options_for_flink(jars):
    with loopback(FakeCluster()) as running:
        options = options_of(flink(running))
    assert options["runner"] == "FlinkRunner"
    assert f"http://{options['flink_master']}" == running.address
    assert options["flink_version"] == "1.19"
    assert options["parallelism"] == 3  # slots that are free
    assert options["sdk_worker_parallelism"] == "3"
    assert options["number_of_execution_retries"] == "3"
    assert options["job_name"] == "mine"
    assert (options["environment_type"], options["environment_config"]) == ("DOCKER", IMAGE)
    assert options["flink_job_server_jar"] == str(
        next(jars.glob("beam-runners-flink-1.19-job-server-2.*.jar"))
    )


def test_options_for_spark(jars):
    with loopback(FakeCluster("3.5.7")) as running:
        options = options_of(spark(running, java_options=("-Dspark.executor.memory=4g", "-Xmx1g")))
    assert options["runner"] == "SparkRunner"
    assert options["spark_master_url"] == "spark://127.0.0.1:7077"
    assert options["job_server_jvm_properties"] == [
        "-Dspark.default.parallelism=5",
        "-Dspark.cores.max=5",
        "-Dspark.executor.memory=4g",
        "-Xmx1g",
    ]
    assert options["spark_job_server_jar"] == str(next(jars.glob("beam-runners-spark-3-*.jar")))


def test_what_people_set_wins(jars):
    with loopback(FakeCluster()) as running:
        options = options_of(
            flink(
                running,
                parallelism=7,
                environment_type="PROCESS",
                environment_config="/opt/apache/beam/boot",
                options=("--number_of_execution_retries=9", "--experiments=mine"),
            )
        )
    assert options["parallelism"] == 7
    assert options["number_of_execution_retries"] == "9"
    assert "mine" in options["experiments"]
    assert json.loads(options["environment_config"]) == {"command": "/opt/apache/beam/boot"}


def test_a_job_server_that_runs_elsewhere_needs_neither_java_nor_a_jar(monkeypatch):
    monkeypatch.setattr("components.records.job_servers.shutil.which", lambda _: None)
    with loopback(FakeCluster()) as running:
        options = options_of(flink(running, job_endpoint="jobs:8099"))
        with pytest.raises(InputError, match=r"needs Java 11 or later.*beam\.job_endpoint"):
            options_of(flink(running))
    assert options["job_endpoint"] == "jobs:8099"
    assert "flink_job_server_jar" not in options


def test_a_job_server_is_taken_from_a_folder_or_by_its_name(jars, tmp_path):
    told = []
    with loopback(FakeCluster()) as running:
        jar = next(jars.glob("*flink*"))
        in_folder = options_of(flink(running, job_server_jar=str(jars)))
        assert in_folder["flink_job_server_jar"] == str(jar)
        older = tmp_path / "beam-runners-flink-1.19-job-server-2.62.0.jar"
        older.write_text("java")
        by_name = options_of(
            flink(running, job_server_jar=str(older)), lambda *report: told.append(report[2])
        )
        assert by_name["flink_job_server_jar"] == str(older)
    assert "is of Beam 2.62.0, not 2." in told[-1]


def test_a_job_server_in_a_bucket_is_downloaded(jars):
    from albert_core import storage
    from tests.helpers.object_storage import emulated_bucket

    with loopback(FakeCluster()) as running, emulated_bucket() as bucket:
        jar = next(jars.glob("*flink*"))
        storage.write_bytes(f"{bucket}/jars/{jar.name}", b"java of the bucket")
        options = options_of(flink(running, job_server_jar=f"{bucket}/jars"))
    with open(options["flink_job_server_jar"], "rb") as file:
        assert file.read() == b"java of the bucket"


def test_a_missing_job_server_is_named_with_its_place_and_never_fetched(jars, monkeypatch):
    def fetch(*_, **__):
        raise AssertionError("fetched")

    monkeypatch.setattr("apache_beam.utils.subprocess_server.JavaJarServer.local_jar", fetch)
    next(jars.glob("*flink*")).unlink()
    wrong = jars / "beam-runners-flink-2.0-job-server-2.77.0.jar"
    wrong.write_text("java")
    with loopback(FakeCluster()) as running:
        with pytest.raises(InputError) as caught:
            options_of(flink(running))
        with pytest.raises(InputError, match=r"got .*flink-2\.0.* for Flink 1\.19\.3, expected"):
            options_of(flink(running, job_server_jar=str(wrong)))
    message = str(caught.value)
    assert f"got nothing at {jars}/beam-runners-flink-1.19-job-server-2." in message
    assert "download https://repo.maven.apache.org/maven2/org/apache/beam/beam-run" in message


@pytest.mark.parametrize(
    ("cluster", "make", "said"),
    [
        (FakeCluster("1.17.2"), flink, r"got Flink 1\.17\.2, expected 1\.19, 1\.20, 2\.0"),
        (FakeCluster("3.2.2"), spark, r"got Spark 3\.2\.2, expected 3\.5, for which Beam"),
        (FakeCluster(slots=()), flink, r"Flink 1\.19\.3 has no task slots; start its workers, or"),
        (FakeCluster("3.5.1", slots=()), spark, r"has no cores of live workers"),
        (lambda _: Answer({}), flink, r"what answers is no Flink"),
        (lambda _: Answer({}), spark, r"what answers is no Spark master"),
        (lambda _: Answer(b"<html>"), flink, r"answers with something else than JSON"),
        (lambda _: Answer({}, 404), flink, r"404 Client Error"),
    ],
)
def test_a_cluster_that_will_not_do_is_refused(cluster, make, said):
    with loopback(cluster) as running, pytest.raises(InputError, match=said) as caught:
        find_cluster(make(running), quiet)
    name = "flink_master" if make is flink else "spark_page"
    assert str(caught.value).startswith(f"beam.{name} 127.0.0.1:{running.port}: ")


def test_slots_that_appear_on_demand_are_asked_for_by_number():
    with loopback(FakeCluster(slots=())) as running:
        cluster = find_cluster(flink(running, parallelism=4), quiet)
    assert (cluster.num_slots, cluster.slots_per_machine) == (0, 1)


def test_a_cluster_that_is_not_there_is_told():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        master = f"127.0.0.1:{unused.getsockname()[1]}"
        config = BeamConfig(
            runner="flink", flink_master=master, environment_config=IMAGE, shared_folder="/shared"
        )
        with pytest.raises(InputError, match=r"nothing listens there.*a running JobManager"):
            find_cluster(config, quiet)


def test_no_image_and_no_worker_pool_is_told_before_the_cluster_is_asked():
    config = BeamConfig(runner="flink", flink_master="host:8081", **WORK)
    with pytest.raises(InputError, match=r"beam\.environment_config: got nothing .*DOCKER; expect"):
        find_cluster(config, quiet)
    assert config.with_worker_image(IMAGE).environment_config == IMAGE
    pools = dataclasses.replace(config, environment_type="EXTERNAL")
    assert pools.with_worker_image(IMAGE) == pools


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"runner": "flink"}, r"beam\.flink_master: got ''.* such as host:8081"),
        ({"runner": "spark"}, r"beam\.spark_master: got ''.* such as spark://host:7077"),
        ({"flink_master": "host:8081"}, r"beam\.flink_master: got 'host:8081' with beam\.runner=l"),
        ({"runner": "flink", "flink_master": "host"}, r"beam\.flink_master: got 'host', expected"),
        ({"runner": "spark", "spark_master": "host:7077"}, r"beam\.spark_master: got 'host:7077'"),
        ({"parallelism": 3}, r"beam\.parallelism: got 3 with beam\.runner=local"),
        ({"parallelism": -1}, r"beam\.parallelism: got -1, expected 0"),
        ({"environment_type": "PROCESS"}, r"beam\.environment_type: got 'PROCESS' with beam\.run"),
        (
            {"runner": "flink", "flink_master": "h:1", "spark_page": "h:8080", **WORK},
            r"beam\.spark_page: got it with beam\.runner=flink",
        ),
        ({"runner": "flink", "flink_master": "host:8081"}, r"beam\.shared_folder: got nothing"),
        (
            {"runner": "flink", "flink_master": "h:1", "num_workers": 2, **WORK},
            r"beam\.num_workers, which are for local workers",
        ),
        (
            {"runner": "flink", "flink_master": "h:1", "job_server_jar": "hdfs://a/b.jar", **WORK},
            r"hdfs://a/b\.jar: got an address of hdfs",
        ),
    ],
)
def test_settings_that_do_not_go_together_are_refused(settings, message):
    with pytest.raises(InputError, match=message):
        BeamConfig(**settings)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (
            "org.apache.flink.JobException: Job failed.\n\tat x\nCaused by: java.lang.Exception: "
            "Error received from SDK harness for instruction 4: Traceback (most recent call last):"
            '\n  File "a.py", line 2, in process\n    read()\n\nDuring handling of the above '
            "exception, another exception occurred:\n\nTraceback (most recent call last):\n  File "
            '"b.py", line 1\nOSError: [Errno 5] disk gone [while running '
            "'EncodeSplit-ptransform-12']\n\n\tat org.apache.beam\n",
            "OSError: [Errno 5] disk gone (in EncodeSplit)",
        ),
        (
            "a\nCaused by: b\n\tat y\nCaused by: java.util.concurrent.TimeoutException: no slots\n",
            "java.util.concurrent.TimeoutException: no slots",
        ),
        ("Pipeline failed in state FAILED", "Pipeline failed in state FAILED"),
        ("", "RuntimeError"),
    ],
)
def test_the_reason_of_a_failed_job_is_one_line(text, reason):
    assert find_reason(RuntimeError(text)) == reason


@pytest.mark.parametrize("make", [flink, spark])
def test_a_job_that_a_killed_command_left_is_cancelled_first(make):
    version = "1.19.3" if make is flink else "3.5.7"
    cluster = FakeCluster(version, jobs={"a": "mine", "b": "other", "c": "mine"})
    told = []
    with loopback(cluster) as running:
        found = find_cluster(make(running), quiet)
        run_on_cluster(
            found,
            "mine",
            lambda: told.append(dict(cluster.jobs)),
            lambda *report: told.append(report[2]),
        )
    assert told == ["cancelled 2 job that a command which was killed had left", {"b": "other"}]


@pytest.mark.parametrize("error", [RuntimeError("Caused by: lost\n"), KeyboardInterrupt()])
def test_a_job_that_fails_or_is_interrupted_is_cancelled(error):
    cluster = FakeCluster()

    def run():
        cluster.jobs["a"] = "mine"
        raise error

    with loopback(cluster) as running:
        found = find_cluster(flink(running), quiet)
        with pytest.raises((StepFailedError, KeyboardInterrupt)) as caught:
            run_on_cluster(found, "mine", run, quiet)
    assert not cluster.jobs
    if isinstance(error, RuntimeError):
        assert str(caught.value) == (
            f"beam.runner flink: lost; see {running.address}; the same command goes on from what "
            "is done"
        )


def test_a_job_that_does_not_end_is_told(monkeypatch):
    monkeypatch.setattr(clusters, "_CANCEL_WITHIN_S", 0.05)
    with loopback(FakeCluster(jobs={"a": "mine"}, ends=False)) as running:
        found = find_cluster(flink(running), quiet)
        with pytest.raises(InputError, match=r"its job a \(mine\) has not ended a minute after"):
            cancel_jobs(found, "mine")
        assert cancel_jobs(found, "mine", waits=False) == 1


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


@pytest.mark.parametrize("make", [flink, spark])
def test_a_job_server_and_a_worker_pool_give_the_same_bytes(make, tmp_path, monkeypatch):
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
        config = make(
            running,
            job_endpoint=jobs,
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


def test_settings_need_no_beam(monkeypatch):
    monkeypatch.setitem(sys.modules, "apache_beam", None)
    BeamConfig(runner="flink", flink_master="host:8081", **WORK)
