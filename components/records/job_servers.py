"""Beam's job server, a Java program between this one and a Flink or Spark cluster: where it is."""

import contextlib
import os
import re
import shlex
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from albert_core.errors import InputError, StepFailedError
from albert_core.progress import ReportProgress, report_message
from albert_core.storage import exists, join, local_file
from components.records.clusters import Cluster

if TYPE_CHECKING:
    from apache_beam.options.pipeline_options import PipelineOptions

_JAR = re.compile(
    r"beam-runners-(?P<engine>flink-(?P<minor>[\d.]+)|spark-\d+)-job-server-(?P<beam>[\w.]+)\.jar"
)
_PROCESSES = Path("/proc")
_REPOSITORY = "https://repo.maven.apache.org/maven2/org/apache/beam"


def find_job_server(cluster: Cluster, address: str, progress: ReportProgress) -> Path:
    """Return the local path of the job server for a cluster.

    One in a bucket is downloaded. None is fetched from Maven: a step on a platform may have no way
    there, and what it runs must not depend on what a repository holds that day.

    Args:
        cluster: The cluster; its version decides the name of the jar.
        address: The setting `beam.job_server_jar`: a jar, or a folder of jars; Beam's cache on this
            machine when empty.
        progress: Called with a message if the job server has another version of Beam than this
            program.

    Raises:
        InputError: There is no such jar, or it is one for another cluster.
        ServiceError: The storage of the jar failed.
    """
    import apache_beam
    from apache_beam.utils.subprocess_server import JavaJarServer

    name = job_server_name(cluster)
    jar = address if address.endswith(".jar") else join(address or JavaJarServer.JAR_CACHE, name)
    if not exists(jar):
        folder = name.removesuffix(f"-{apache_beam.__version__}.jar")
        url = f"{_REPOSITORY}/{folder}/{apache_beam.__version__}/{name}"
        raise InputError(
            f"beam.job_server_jar: got nothing at {jar}, expected Beam's job server for "
            f"{cluster.engine.capitalize()} {cluster.minor_version}; download {url} and name it, "
            "or a folder with it, in beam.job_server_jar"
        )
    _check_jar(jar, cluster, progress)
    return local_file(jar)


@contextlib.contextmanager
def running_job_server(cluster: Cluster, options: "PipelineOptions") -> Iterator["PipelineOptions"]:
    """Start Beam's job server, yield the options with its address meanwhile, and stop it then.

    Where the options name one that runs already, they are yielded as they are, and nothing is
    started or stopped. Beam itself would stop its server when the process ends, which is too late
    for its files among those of a step.

    Args:
        cluster: The cluster that it is for.
        options: Beam's, with the path of the jar. Changed in place, and yielded: they get the
            address and the port of the server, and Flink's address a scheme if it has none. They
            stay so, and are of no use once the server is stopped.

    Raises:
        StepFailedError: It does not start, or nothing answers at the address that the options name.
    """
    import grpc
    from apache_beam.options.pipeline_options import (
        FlinkRunnerOptions,
        JobServerOptions,
        PortableOptions,
    )
    from apache_beam.runners.portability.flink_runner import FlinkJarJobServer, FlinkRunner
    from apache_beam.runners.portability.spark_runner import SparkJarJobServer
    from apache_beam.utils.subprocess_server import pick_port

    if endpoint := options.view_as(PortableOptions).job_endpoint:
        try:
            yield options
        except grpc.FutureTimeoutError as error:
            raise StepFailedError(
                f"beam.job_endpoint {endpoint}: got no answer, expected Beam's job server for "
                f"{cluster.engine.capitalize()}; start it, or correct the address"
            ) from error
        return
    # Beam adds the scheme only where it starts the job server itself.
    flink = options.view_as(FlinkRunnerOptions)
    flink.flink_master = FlinkRunner.add_http_scheme(flink.flink_master)
    (port,) = pick_port(options.view_as(JobServerOptions).job_port or None)
    options.view_as(JobServerOptions).job_port = port
    server = (FlinkJarJobServer if cluster.engine == "flink" else SparkJarJobServer)(options)
    try:
        server.start()
    except Exception as error:
        command, _ = server.subprocess_cmd_and_endpoint()
        raise StepFailedError(
            f"beam.runner {cluster.engine}: Beam's job server does not start: "
            f"{' '.join(str(error).split())}; see why with: {shlex.join(map(str, command))}"
        ) from error
    try:
        options.view_as(PortableOptions).job_endpoint = f"localhost:{port}"
        yield options
    finally:
        server.stop()


def job_mark(job_name: str) -> str:
    """Return a Java option that marks the job server of a job, and sets nothing."""
    return f"-Dalbert.job={job_name}"


def end_left_servers(work_name: str) -> int:
    """Kill the job servers of a work on this machine, as killed commands leave them.

    The server of another command that does this work at the same time is killed, too, and that
    command fails. Without /proc, which other systems than Linux lack, nothing is done.

    Args:
        work_name: What the names of the work's jobs begin with.

    Returns:
        Their number.
    """
    mark, num_killed = job_mark(work_name).encode(), 0
    for path in _PROCESSES.glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):  # it has ended meanwhile, or is another user's
            if any(word.startswith(mark) for word in path.read_bytes().split(b"\0")):
                os.kill(int(path.parent.name), signal.SIGKILL)
                num_killed += 1
    return num_killed


def job_server_name(cluster: Cluster) -> str:
    """Return the file name of the job server that Beam publishes for a cluster's version."""
    import apache_beam

    engine = f"flink-{cluster.minor_version}" if cluster.engine == "flink" else "spark-3"
    return f"beam-runners-{engine}-job-server-{apache_beam.__version__}.jar"


def check_java(launcher: str) -> None:
    """Refuse to go on where there is no Java to start a job server with.

    Its version is not looked at.

    Args:
        launcher: The program, by name or path.

    Raises:
        InputError: There is no such program.
    """
    if shutil.which(launcher) is None:
        raise InputError(
            f"beam.runner: Beam's job server needs Java 11 or later, and there is no {launcher!r} "
            "on the PATH; install one, or name a job server that runs elsewhere in "
            "beam.job_endpoint"
        )


def _check_jar(jar: str, cluster: Cluster, progress: ReportProgress) -> None:
    """Refuse a job server that is, by its name, for another cluster; tell of another Beam.

    A jar of another name is taken as it is.

    Raises:
        InputError: It is for another engine or version.
    """
    import apache_beam

    name = _JAR.fullmatch(Path(jar).name)
    if name is None:
        return
    expected = job_server_name(cluster)
    wanted = _JAR.fullmatch(expected)
    if wanted is None or name["engine"] != wanted["engine"]:
        raise InputError(
            f"beam.job_server_jar: got {jar} for {cluster.engine.capitalize()} {cluster.version}, "
            f"expected {expected}"
        )
    if name["beam"] != apache_beam.__version__:
        report_message(
            progress,
            f"the job server {jar} is of Beam {name['beam']}, not {apache_beam.__version__}",
        )
