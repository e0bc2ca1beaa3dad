"""A Flink or Spark cluster: what is asked of it before it is given work, by its REST API."""

import dataclasses
import re
import time
import urllib.parse
from collections.abc import Sequence
from typing import Any, Literal

from albert_core.connection_failures import explain_failure
from albert_core.errors import InputError

Engine = Literal["flink", "spark"]

SPARK_VERSIONS = ("3.5",)
"""The versions of Spark that the client in Beam's job server for Spark 3 speaks to."""

_TIMEOUT_S = (3.0, 30.0)  # to connect, and to answer
_SPARK_PAGE_PORT = 8080
_SPARK_VERSION = re.compile(r'class="version"[^>]*>\s*([\d.]+[^<\s]*)')
_ENDED_STATES = ("FINISHED", "CANCELED", "FAILED")
_CANCEL_WITHIN_S = 60.0
_POLL_S = 0.5


@dataclasses.dataclass(frozen=True, kw_only=True)
class Cluster:
    """A cluster as it answered.

    Attributes:
        engine: What it runs.
        setting: The setting that names it and its address, for messages.
        page: Root of its REST API, which is also its page for people.
        version: Its version, such as 1.19.3.
        num_slots: How many tasks may run at a time: the slots of Flink, the cores of Spark.
        slots_per_machine: The most of one TaskManager or Spark worker.
        worker_mib: Memory of the largest Spark worker, in MiB; 0 where it is not known.
    """

    engine: Engine
    setting: str
    page: str
    version: str
    num_slots: int
    slots_per_machine: int
    worker_mib: int = 0

    @property
    def minor_version(self) -> str:
        """The first two numbers of the version."""
        return ".".join(self.version.split(".")[:2])


def find_flink(master: str) -> Cluster:
    """Ask a Flink cluster for its version and its task slots.

    The number of slots is that of the free ones; where none is free, that of all.

    Args:
        master: The setting `beam.flink_master`.

    Raises:
        InputError: Nothing answers there, what answers is no Flink, or Beam has no job server for
            its version.
    """
    from apache_beam.options.pipeline_options import FlinkRunnerOptions

    setting = f"beam.flink_master {master}"
    page = _root(master)
    expected = "expected the REST address of a running JobManager, such as host:8081"
    config = _get_json(page, "/config", setting, expected)
    version = config.get("flink-version")
    if not isinstance(version, str):
        raise InputError(f"{setting}: what answers is no Flink; {expected}")
    machines = _get_json(page, "/taskmanagers", setting, expected).get("taskmanagers", [])
    slots = [int(machine["slotsNumber"]) for machine in machines]
    free_slots = sum(int(machine["freeSlots"]) for machine in machines)
    cluster = Cluster(
        engine="flink",
        setting=setting,
        page=page,
        version=version,
        num_slots=free_slots or sum(slots),
        slots_per_machine=max(slots, default=1),
    )
    _check_version(cluster, FlinkRunnerOptions.PUBLISHED_FLINK_VERSIONS)
    return cluster


def find_spark(master: str, page: str) -> Cluster:
    """Ask a Spark standalone cluster for its version and the cores of its workers that are alive.

    Args:
        master: The setting `beam.spark_master`.
        page: The setting `beam.spark_page`; port 8080 of the master's host when empty.

    Raises:
        InputError: Nothing answers there, what answers is no master, or its version is another than
            that of the client in Beam's job server.
    """
    import requests

    host = urllib.parse.urlsplit(master).hostname or ""
    page = page or f"{f'[{host}]' if ':' in host else host}:{_SPARK_PAGE_PORT}"
    root, setting = _root(page), f"beam.spark_page {page}"
    expected = (
        "expected the page of the running master (port 8080 of its host unless beam.spark_page "
        "says otherwise)"
    )
    state = _get_json(root, "/json/", setting, expected)
    try:
        html = requests.get(f"{root}/", timeout=_TIMEOUT_S).text
    except requests.RequestException as error:
        raise InputError(f"{setting}: {_reason(error)}; {expected}") from error
    version = _SPARK_VERSION.search(html)
    if version is None or "workers" not in state:
        raise InputError(f"{setting}: what answers is no Spark master; {expected}")
    workers = [worker for worker in state["workers"] if worker["state"] == "ALIVE"]
    cores = [int(worker["cores"]) for worker in workers]
    cluster = Cluster(
        engine="spark",
        setting=setting,
        page=root,
        version=version[1],
        num_slots=sum(cores),
        slots_per_machine=max(cores, default=1),
        worker_mib=max((int(worker.get("memory", 0)) for worker in workers), default=0),
    )
    _check_version(cluster, SPARK_VERSIONS)
    return cluster


def cancel_jobs(cluster: Cluster, name: str, *, waits: bool = True) -> int:
    """Cancel the jobs of a name that have not ended, and return how many these were.

    Waits until none is left, unless told not to. That the cluster answers a request to cancel with
    an error is noticed by waiting only.

    Args:
        cluster: Where they run.
        name: Their name.
        waits: Whether to wait for their end.

    Raises:
        InputError: The cluster does not answer, or a job has not ended after a minute.
    """
    import requests

    cancel, find_running = _JOB_CALLS[cluster.engine]
    jobs = find_running(cluster, name)
    for job in jobs:
        try:
            cancel(cluster, job)
        except requests.RequestException as error:
            raise InputError(f"{cluster.setting}: {_reason(error)}; run again") from error
    deadline = time.monotonic() + _CANCEL_WITHIN_S
    while waits and (left := find_running(cluster, name)):
        if time.monotonic() > deadline:
            raise InputError(
                f"{cluster.setting}: its job {left[0]} ({name}) has not ended a minute after it "
                f"was cancelled; end it on {cluster.page}, then run again"
            )
        time.sleep(_POLL_S)
    return len(jobs)


def _running_flink_jobs(cluster: Cluster, name: str) -> list[str]:
    """Return the ids of a Flink cluster's jobs of a name that have not ended.

    Raises:
        InputError: The cluster does not answer.
    """
    jobs = _get_json(cluster.page, "/jobs/overview", cluster.setting, "run again")["jobs"]
    return [job["jid"] for job in jobs if job["name"] == name and job["state"] not in _ENDED_STATES]


def _cancel_flink_job(cluster: Cluster, job: str) -> None:
    """Ask Flink to cancel a job; an answer with an error is not noticed.

    Raises:
        requests.RequestException: Flink does not answer.
    """
    import requests

    requests.patch(f"{cluster.page}/jobs/{job}", timeout=_TIMEOUT_S)


def _running_spark_jobs(cluster: Cluster, name: str) -> list[str]:
    """Return the ids of a Spark cluster's applications of a name that have not ended.

    Raises:
        InputError: The master does not answer.
    """
    jobs = _get_json(cluster.page, "/json/", cluster.setting, "run again")["activeapps"]
    return [job["id"] for job in jobs if job["name"] == name]


def _cancel_spark_job(cluster: Cluster, job: str) -> None:
    """Ask Spark's master to end an application, as the button on its page does.

    An answer with an error is not noticed.

    Raises:
        requests.RequestException: The master does not answer.
    """
    import requests

    form = {"id": job, "terminate": "true"}
    requests.post(f"{cluster.page}/app/kill/", data=form, timeout=_TIMEOUT_S, allow_redirects=False)


_JOB_CALLS = {
    "flink": (_cancel_flink_job, _running_flink_jobs),
    "spark": (_cancel_spark_job, _running_spark_jobs),
}


def _root(address: str) -> str:
    """Return the root of a REST API at HOST:PORT, or at an address of http or https."""
    return (address if "://" in address else f"http://{address}").rstrip("/")


def _get_json(root: str, path: str, setting: str, expected: str) -> dict[str, Any]:
    """Return the JSON object at a path.

    Raises:
        InputError: Nothing answers there, or with a status of failure or something else than an
            object.
    """
    import requests

    try:
        answer = requests.get(f"{root}{path}", timeout=_TIMEOUT_S)
        answer.raise_for_status()
        value = answer.json()
    except requests.exceptions.JSONDecodeError:
        value = None
    except requests.RequestException as error:
        raise InputError(f"{setting}: {_reason(error)}; {expected}") from error
    if not isinstance(value, dict):
        raise InputError(f"{setting}: {path} answers with something else than JSON; {expected}")
    return value


def _reason(error: Exception) -> str:
    """Return in part of a line why a request failed."""
    failure = explain_failure(error)
    return failure.reason if failure else " ".join(str(error).split())


def _check_version(cluster: Cluster, supported: Sequence[str]) -> None:
    """Refuse a cluster of a version that Beam has no job server for.

    Raises:
        InputError: Its minor version is not among `supported`.
    """
    import apache_beam

    if cluster.minor_version not in supported:
        raise InputError(
            f"{cluster.setting}: got {cluster.engine.capitalize()} {cluster.version}, expected "
            f"{', '.join(supported)}, for which Beam {apache_beam.__version__} has job servers; "
            "use a cluster of such a version"
        )
