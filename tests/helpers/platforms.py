"""Both platforms on this machine's loopback, and something small to submit to them."""

import contextlib
import dataclasses
from collections.abc import Iterator
from typing import Any, Literal

from components.service_calls import CallConfig
from pipeline.remote.cron import CronSchedule
from pipeline.remote.package import Package
from pipeline.remote.platforms.kubeflow.client import KubeflowPlatform
from pipeline.remote.platforms.kubeflow.config import KubeflowConfig
from pipeline.remote.platforms.platform import Platform, Submission
from pipeline.remote.platforms.registry import PlatformName
from pipeline.remote.platforms.vertex.client import VertexPlatform
from pipeline.remote.platforms.vertex.config import VertexConfig
from tests.helpers.fakes.kubeflow import Kubeflow
from tests.helpers.fakes.loopback import Loopback, loopback
from tests.helpers.fakes.vertex import Vertex

PLATFORMS: tuple[PlatformName, ...] = ("kubeflow", "vertex")
# For calls that work in the end, on a busy machine too; and for those that never do.
CALLS = CallConfig(timeout_s=1.5, retry_for_s=30.0, first_pause_s=0.02)
SHORT_TIMEOUTS = CallConfig(timeout_s=0.3, retry_for_s=1.0, first_pause_s=0.02)
MONDAYS = CronSchedule(cron="0 3 * * 1")
RUNS = {"kubeflow": "/runs", "vertex": "/pipelineJobs"}
SCHEDULES = {"kubeflow": "/recurringruns", "vertex": "/schedules"}
NAMES = {"kubeflow": "display_name", "vertex": "displayName"}


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunningPlatform:
    """A platform's server, what it stores, and the client that calls it."""

    name: PlatformName
    server: Loopback
    service: Any
    client: Platform

    def stored(self, kind: Literal["runs", "schedules"]) -> list[dict[str, Any]]:
        if self.name == "kubeflow":
            stored = self.service.resources[{"schedules": "recurringruns"}.get(kind, kind)]
            return list(stored.values())
        folder = {"runs": "/pipelineJobs/", "schedules": "/schedules/"}[kind]
        return [value for name, value in self.service.resources.items() if folder in name]


@contextlib.contextmanager
def running(
    name: PlatformName, calls: CallConfig = CALLS, **settings: Any
) -> Iterator[RunningPlatform]:
    """Start a platform's server; `settings` are those of its configuration."""
    service = Kubeflow() if name == "kubeflow" else Vertex()
    with loopback(service) as server:
        client: Platform
        if name == "kubeflow":
            kubeflow = KubeflowConfig(host=server.address, root="gs://bucket/albert", **settings)
            client = KubeflowPlatform(kubeflow, calls)
        else:
            vertex = VertexConfig(
                project="proj",
                location="us-central1",
                root="gs://bucket/albert",
                endpoint=server.address,
                **settings,
            )
            client = VertexPlatform(vertex, calls)
        yield RunningPlatform(name=name, server=server, service=service, client=client)


def connection(platform: RunningPlatform) -> list[str]:
    """Return the options of a command that name the platform and how it is called."""
    settings: Any = platform.client.config
    names = {"kubeflow": ("host", "root"), "vertex": ("project", "location", "root", "endpoint")}
    places = [
        f"--{platform.name}.{name}={getattr(settings, name)}" for name in names[platform.name]
    ]
    times = [
        f"--calls.{name}={getattr(CALLS, name)}"
        for name in ("timeout_s", "retry_for_s", "first_pause_s")
    ]
    return ["--target", platform.name, *places, *times]


def small_package(*, for_kubernetes: bool = False) -> Package:
    """A pipeline of one step, in the shape that kfp compiles."""
    parameters = {"title": {"parameterType": "STRING"}, "jobs": {"parameterType": "LIST"}}
    step = {
        "cachingOptions": {"enableCache": True},
        "componentRef": {"name": "comp-report"},
        "inputs": {"parameters": {"title": {"componentInputParameter": "title"}}},
        "taskInfo": {"name": "report"},
    }
    image = "us-docker.pkg.dev/proj/albert/albert-python-trainer:src-0123456789ab"
    spec = {
        "components": {"comp-report": {"executorLabel": "exec-report"}},
        "deploymentSpec": {
            "executors": {"exec-report": {"container": {"image": image, "command": ["report"]}}}
        },
        "pipelineInfo": {"name": "albert"},
        "root": {
            "dag": {"tasks": {"report": step}},
            "inputDefinitions": {"parameters": parameters},
        },
        "schemaVersion": "2.1.0",
        "sdkVersion": "kfp-2.17.0",
    }
    platform = None
    if for_kubernetes:
        selector = {"labels": {"cloud.google.com/gke-tpu-topology": "4x4"}}
        executors = {"exec-report": {"nodeSelector": selector}}
        platform = {"platforms": {"kubernetes": {"deploymentSpec": {"executors": executors}}}}
    return Package(source="--package albert.yaml", spec=spec, platform=platform)


def submission(title: str = "tiny", **changes: Any) -> Submission:
    """What is submitted: the package for one platform, or with `for_kubernetes` for the other."""
    return Submission(
        title=title,
        package=small_package(**changes),
        parameters={"title": title, "jobs": [{"task": "cola", "num_epochs": 3}]},
    )
