"""Beam's options for a Flink or Spark cluster, from the settings that people set."""

import json
import re
from typing import TYPE_CHECKING

from albert_core.errors import InputError
from albert_core.progress import ReportProgress, report_message
from albert_core.storage import is_remote
from components.records.beam_options import NAME_OPTIONS, refuse_options
from components.records.clusters import Cluster, Engine, find_flink, find_spark
from components.records.job_servers import check_java, find_job_server, job_mark

if TYPE_CHECKING:
    from apache_beam.options.pipeline_options import PipelineOptions

    from components.records.runners import BeamConfig

ENGINES: tuple[Engine, ...] = ("flink", "spark")
"""The values of `beam.runner` for which these settings are."""

_HOST_PORT = r"(\[[\da-fA-F:]+\]|[^\s/:\[\]]+):\d{1,5}"
_ADDRESSES = {
    "flink_master": (re.compile(rf"(https?://)?{_HOST_PORT}/?"), "host:8081"),
    "spark_master": (re.compile(rf"spark://{_HOST_PORT}(,{_HOST_PORT})*"), "spark://host:7077"),
    "spark_page": (re.compile(rf"(https?://)?{_HOST_PORT}/?"), "host:8080"),
    "job_endpoint": (re.compile(_HOST_PORT), "host:8099"),
}
_SHARED_SETTINGS = (
    "parallelism",
    "environment_config",
    "job_server_jar",
    "java_options",
    "job_endpoint",
)
_ENVIRONMENTS = {
    "DOCKER": "an image with this package, such as the data image (docker/README.md)",
    "EXTERNAL": "the host:port of Beam's worker pools, such as localhost:50000",
    "PROCESS": "the path of the program that starts a worker, such as /opt/apache/beam/boot",
}
_KEPT_BETWEEN_STAGES_MS = 60_000
# Of Spark's parts of the work, which whoever is free takes next: with one for each core, a worker
# waits for another whose part has more shards, or that is slower.
_PARTS_PER_TASK = 4
_EXECUTOR_MEMORY = re.compile(r"-Dspark\.executor\.memory=(?P<number>\d+)(?P<unit>[kmgt]?)b?", re.I)
_MIB = {"k": 1 / 1024, "": 1, "m": 1, "g": 1024, "t": 1024**2}


def check_cluster_settings(config: "BeamConfig") -> None:
    """Refuse settings of Flink and Spark with another runner, or without an address.

    Nothing is asked of a cluster; whether the jar is there is not looked at.

    Raises:
        InputError: A setting belongs to another runner; `flink` or `spark` has no address; one is
            not in its form; `beam.options` name the job; `beam.job_endpoint` is given with what its
            job server was started without; or the jar is in no storage that this program knows.
    """
    for engine in ENGINES:
        name = f"{engine}_master"
        if bool(getattr(config, name)) != (config.runner == engine):
            raise InputError(
                f"beam.{name}: got {getattr(config, name)!r} with beam.runner="
                f"{config.runner}; expected an address such as {_ADDRESSES[name][1]} with "
                f"beam.runner={engine}, else nothing; {engine.capitalize()}Runner is set by "
                "beam.options alone"
            )
    others = [name for name in _SHARED_SETTINGS if getattr(config, name)]
    if config.environment_type != "DOCKER":
        others.append("environment_type")
    if others and config.runner not in ENGINES:
        raise InputError(
            f"beam.{others[0]}: got {getattr(config, others[0])!r} with beam.runner="
            f"{config.runner}, which does not have it; remove it, or set beam.runner to flink or "
            "spark"
        )
    if config.runner in ENGINES:
        refuse_options(config.options, NAME_OPTIONS)
    _check_job_endpoint(config)
    if config.spark_page and config.runner != "spark":
        raise InputError(f"beam.spark_page: got it with beam.runner={config.runner}; remove it")
    # For its error: it refuses the address of a storage that this program does not know.
    is_remote(config.job_server_jar)
    for name, (pattern, example) in _ADDRESSES.items():
        value = getattr(config, name)
        if value and not pattern.fullmatch(value):
            raise InputError(f"beam.{name}: got {value!r}, expected one such as {example}")


def _check_job_endpoint(config: "BeamConfig") -> None:
    """Refuse settings for the start of a job server if one that runs already is to be used.

    Raises:
        InputError: `beam.job_endpoint` is given together with `job_server_jar`, `java_options` or,
            for Spark, `parallelism`.
    """
    names = ["job_server_jar", "java_options"]
    if config.runner == "spark":
        names.append("parallelism")
    useless = [name for name in names if config.job_endpoint and getattr(config, name)]
    if useless:
        raise InputError(
            f"beam.{useless[0]}: got {getattr(config, useless[0])!r} with beam.job_endpoint, whose "
            "job server was started without it; give it to that server, or remove one of the two"
        )


def find_cluster(config: "BeamConfig", progress: ReportProgress) -> Cluster:
    """Ask the cluster that the settings name for its version and for its slots or cores.

    Args:
        config: Where the work is done; `runner` is one of ENGINES.
        progress: Called with a message about the cluster.

    Raises:
        InputError: `beam.environment_config` is not set; or the cluster does not answer, is of a
            version without a job server, has no room for a task and no `parallelism` is set, or
            its workers have too little memory.
    """
    if not config.environment_config:
        raise InputError(
            f"beam.environment_config: got nothing with beam.environment_type="
            f"{config.environment_type}; expected {_ENVIRONMENTS[config.environment_type]}"
        )
    if config.runner == "flink":
        cluster = find_flink(config.flink_master)
    else:
        cluster = find_spark(config.spark_master, config.spark_page)
        _check_executor_memory(config, cluster)
    places = "task slots" if cluster.engine == "flink" else "cores of live workers"
    if not cluster.num_slots and not config.parallelism:
        raise InputError(
            f"{cluster.setting}: {cluster.engine.capitalize()} {cluster.version} has no {places}; "
            "start its workers, or set beam.parallelism where it starts them on demand"
        )
    report_message(
        progress,
        f"{cluster.engine.capitalize()} {cluster.version} on {cluster.page}: {cluster.num_slots} "
        f"{places}",
    )
    return cluster


def cluster_options(
    config: "BeamConfig", cluster: Cluster, *, job_name: str, progress: ReportProgress
) -> "PipelineOptions":
    """Return Beam's options for a cluster; those in `beam.options` come last and win.

    Without `beam.job_endpoint` they name a job server to start, which is downloaded if it is in a
    bucket; with it, neither a job server nor Java is looked for. Nothing is started.

    Args:
        config: Where the work is done.
        cluster: The cluster, as it answered.
        job_name: The name that the cluster's page shows.
        progress: Called with a message if the job server has another version of Beam.

    Raises:
        InputError: The job server to start, or Java for it, is missing; or the job server is for
            another engine, or another version of it.
        ServiceError: The storage of the job server failed.
    """
    from apache_beam.options.pipeline_options import JobServerOptions, PipelineOptions

    options = [
        f"--job_name={job_name}",
        f"--environment_type={config.environment_type}",
        f"--environment_config={_environment(config)}",
        # A process of Python for each task at a time, since threads of one share its lock.
        f"--sdk_worker_parallelism={cluster.slots_per_machine}",
        # Else Spark starts the workers' processes of Python anew for every stage.
        f"--environment_cache_millis={_KEPT_BETWEEN_STAGES_MS}",
        # Beam's list of the packages here would have to be in a folder that all workers reach.
        "--experiments=disable_logging_submission_environment",
    ]
    tasks = config.parallelism or cluster.num_slots
    java_options = list(config.java_options)
    if cluster.engine == "flink":
        options += [
            "--runner=FlinkRunner",
            f"--flink_master={config.flink_master}",
            f"--flink_version={cluster.minor_version}",
            f"--parallelism={tasks}",
        ]
    else:
        options += [
            "--runner=SparkRunner",
            f"--spark_master_url={config.spark_master}",
            f"--app_name={job_name}",
        ]
        java_options = [
            f"-Dspark.default.parallelism={_PARTS_PER_TASK * tasks}",
            f"-Dspark.cores.max={tasks}",
            *java_options,
        ]
    if config.job_endpoint:
        options.append(f"--job_endpoint={config.job_endpoint}")
    else:
        given = PipelineOptions(list(config.options)).view_as(JobServerOptions)
        check_java(given.job_server_java_launcher)
        jar = find_job_server(cluster, config.job_server_jar, progress)
        options.append(f"--{cluster.engine}_job_server_jar={jar}")
        java_options.append(job_mark(job_name))
        options += [f"--job_server_jvm_properties={option}" for option in java_options]
    return PipelineOptions([*options, *config.options])


def _check_executor_memory(config: "BeamConfig", cluster: Cluster) -> None:
    """Refuse a Spark cluster without a worker that has the memory which an executor asks for.

    The job would wait for such a worker forever. Asked for is what `beam.java_options` set, the
    last one of several, or else 1 GiB. Nothing is refused with `beam.job_endpoint`, or where the
    workers' memory is not known.

    Raises:
        InputError: No worker of the cluster has so much memory.
    """
    if config.job_endpoint or not cluster.worker_mib:
        return
    asked_mib = 1024.0
    for option in config.java_options:
        if memory := _EXECUTOR_MEMORY.fullmatch(option):
            asked_mib = int(memory["number"]) * _MIB[memory["unit"].lower()]
    if asked_mib > cluster.worker_mib:
        raise InputError(
            f"{cluster.setting}: got workers of {cluster.worker_mib} MiB at most, expected "
            f"{asked_mib:g} MiB for an executor; set less in beam.java_options, such as "
            "-Dspark.executor.memory=512m (1g by default), or give the workers more"
        )


def _environment(config: "BeamConfig") -> str:
    """Return the setting `environment_config` as Beam takes it: for PROCESS a JSON object.

    One that is written as such an object already stays as it is.
    """
    value = config.environment_config
    if config.environment_type == "PROCESS" and not value.startswith("{"):
        return json.dumps({"command": value})
    return value
