"""Flink and Spark: what their clusters are asked, and Beam's options for them.

The clusters are fakes of their REST APIs.
"""

import dataclasses
import json
import socket
import sys

import pytest

from albert_core.errors import InputError
from components.records.cluster_options import cluster_options, find_cluster
from components.records.job_servers import job_server_name
from components.records.runners import BeamConfig
from tests.helpers.fakes.engine_cluster import IMAGE, WORK, FakeCluster, flink, quiet, spark
from tests.helpers.fakes.loopback import Answer, loopback

# Beam leaves sockets and files to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore")


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
    assert options["environment_cache_millis"] == "60000"
    assert options["job_name"] == "mine"
    assert (options["environment_type"], options["environment_config"]) == ("DOCKER", IMAGE)
    assert options["flink_job_server_jar"] == str(
        next(jars.glob("beam-runners-flink-1.19-job-server-2.*.jar"))
    )


def test_options_for_spark(jars):
    with loopback(FakeCluster("3.5.7")) as running:
        options = options_of(spark(running, java_options=("-Dspark.executor.memory=4g", "-Xmx1g")))
    assert options["runner"] == "SparkRunner"
    assert (options["job_name"], options["app_name"]) == ("mine", "mine")
    assert options["spark_master_url"] == "spark://127.0.0.1:7077"
    assert options["job_server_jvm_properties"] == [
        "-Dspark.default.parallelism=20",
        "-Dspark.cores.max=5",
        "-Dspark.executor.memory=4g",
        "-Xmx1g",
        "-Dalbert.job=mine",
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
        (FakeCluster("3.5.1", memory=512), spark, r"got workers of 512 MiB.*expected 1024 MiB"),
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


@pytest.mark.parametrize("memory", ["512m", "1G", "1048576kb", "1024"])
def test_an_executor_that_fits_is_taken(memory):
    with loopback(FakeCluster("3.5.1", memory=1024)) as running:
        option = f"-Dspark.executor.memory={memory}"
        assert find_cluster(spark(running, java_options=(option,)), quiet)
        with pytest.raises(InputError, match="expected 2048 MiB for an executor"):
            find_cluster(spark(running, java_options=("-Dspark.executor.memory=2g",)), quiet)


def test_slots_that_appear_on_demand_are_asked_for_by_number():
    with loopback(FakeCluster(slots=())) as running:
        cluster = find_cluster(flink(running, parallelism=4), quiet)
    assert (cluster.num_slots, cluster.slots_per_machine) == (0, 1)


def test_a_cluster_that_is_not_there_is_told():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        master = f"127.0.0.1:{unused.getsockname()[1]}"
        config = BeamConfig(runner="flink", flink_master=master, environment_config=IMAGE, **WORK)
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
            {
                "runner": "spark",
                "spark_master": "spark://h:7077",
                "job_endpoint": "h:8099",
                "parallelism": 4,
                **WORK,
            },
            r"beam\.parallelism: got 4 with beam\.job_endpoint, whose job server was started",
        ),
        (
            {"runner": "flink", "flink_master": "h:1", "options": ("--job_name", "a"), **WORK},
            r"beam\.options: got --job_name, which does not suit: jobs of the same work find each",
        ),
        (
            {
                "runner": "spark",
                "spark_master": "spark://h:1",
                "options": ("--app_name=a",),
                **WORK,
            },
            r"beam\.options: got --app_name, which does not suit",
        ),
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


def test_settings_need_no_beam(monkeypatch):
    monkeypatch.setitem(sys.modules, "apache_beam", None)
    BeamConfig(runner="flink", flink_master="host:8081", **WORK)
