"""A Flink or Spark cluster: what is asked of it before it is given work, by its REST API."""

import dataclasses
import re
import urllib.parse
from collections.abc import Sequence
from typing import Any, Literal

from albert_core.errors import InputError
from albert_core.network.connection_failures import explain_failure

Engine = Literal["flink", "spark"]

SPARK_VERSIONS = ("3.5",)
"""The versions of Spark that the client in Beam's job server for Spark 3 speaks to."""

TIMEOUT_S = (3.0, 30.0)
"""Seconds in which a cluster must be connected to, and answer a request."""

_SPARK_PAGE_PORT = 8080
_SPARK_VERSION = re.compile(r'class="version"[^>]*>\s*([\d.]+[^<\s]*)')


@dataclasses.dataclass(frozen=True, kw_only=True)
class Cluster:
    """A cluster as it answered.

    Attributes:
        engine: What it runs.
        setting: The setting that names it and its address, for messages.
        page: Root of its REST API, which is also its page for people.
        version: Its version, such as 1.19.3.
        num_slots: How many tasks may run at a time: the free slots of Flink (all, where none is
            free), or the cores of all live workers of Spark.
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
    config = get_json(page, "/config", setting, expected)
    version = config.get("flink-version")
    if not isinstance(version, str):
        raise InputError(f"{setting}: what answers is no Flink; {expected}")
    machines = get_json(page, "/taskmanagers", setting, expected).get("taskmanagers", [])
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
    state = get_json(root, "/json/", setting, expected)
    # From the page for people: the JSON of a master does not tell its version.
    try:
        html = requests.get(f"{root}/", timeout=TIMEOUT_S).text
    except requests.RequestException as error:
        raise InputError(f"{setting}: {describe_error(error)}; {expected}") from error
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


def get_json(root: str, path: str, setting: str, expected: str) -> dict[str, Any]:
    """Return the JSON object at a path of a cluster's REST API.

    Args:
        root: Address of the API.
        path: The path below it, with a slash first.
        setting: Setting that names the cluster, for messages.
        expected: End of the messages: what the setting should be.

    Raises:
        InputError: Nothing answers there, or with a status of failure or something else than an
            object.
    """
    import requests

    try:
        answer = requests.get(f"{root}{path}", timeout=TIMEOUT_S)
        answer.raise_for_status()
        value = answer.json()
    # Before RequestException, of which it is a subclass: a server did answer, but not with JSON.
    except requests.exceptions.JSONDecodeError:
        value = None
    except requests.RequestException as error:
        raise InputError(f"{setting}: {describe_error(error)}; {expected}") from error
    if not isinstance(value, dict):
        raise InputError(f"{setting}: {path} answers with something else than JSON; {expected}")
    return value


def describe_error(error: Exception) -> str:
    """Return in part of a line why a request failed."""
    failure = explain_failure(error)
    return failure.reason if failure else " ".join(str(error).split())


def _root(address: str) -> str:
    """Return the root of a REST API at HOST:PORT, or at an address of http or https."""
    return (address if "://" in address else f"http://{address}").rstrip("/")


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
