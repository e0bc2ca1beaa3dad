"""The table of platforms. A new one is a module beside this one, and what this one says of it."""

from collections.abc import Mapping
from typing import Any, Literal

from albert_core.errors import InputError
from albert_core.network.certificates import trust_certificates
from components.service_calls import CallConfig
from pipeline.config import RunConfig
from pipeline.remote.platforms.kubeflow.client import KubeflowPlatform
from pipeline.remote.platforms.kubeflow.config import KubeflowConfig
from pipeline.remote.platforms.platform import Platform
from pipeline.remote.platforms.vertex.client import VertexPlatform
from pipeline.remote.platforms.vertex.config import VertexConfig

PlatformName = Literal["kubeflow", "vertex"]

PLATFORMS: Mapping[PlatformName, type[Platform]] = {
    "kubeflow": KubeflowPlatform,
    "vertex": VertexPlatform,
}


def connect(
    *, target: PlatformName, kubeflow: KubeflowConfig, vertex: VertexConfig, calls: CallConfig
) -> Platform:
    """Return a platform that can be called, without calling it yet.

    From now on this process trusts the certificates that `calls` names, in all its calls.
    Keyword-only parameters are options on the command line, of every command that passes them on.

    Args:
        target: The platform.
        kubeflow: Kubeflow Pipelines: where, and as whom.
        vertex: Vertex AI: where, and as whom.
        calls: Time-outs, retries and certificates of calls to the platform and the registry.

    Raises:
        InputError: Settings of the platform are missing, there are some of another, or there are no
            certificates where `calls` says.
    """
    settings: Mapping[PlatformName, Any] = {"kubeflow": kubeflow, "vertex": vertex}
    for name, config in settings.items():
        if name != target and config != type(config)():
            raise InputError(f"{name}: got settings of {name} with --target {target}; remove them")
    if calls.ca_certificates:
        trust_certificates(calls.ca_certificates, setting="calls.ca_certificates")
    return PLATFORMS[target](settings[target], calls)


def connect_for_run(
    *,
    target: PlatformName,
    kubeflow: KubeflowConfig,
    vertex: VertexConfig,
    calls: CallConfig,
    **settings: Any,
) -> tuple[Platform, RunConfig]:
    """Return a platform that can be called, without calling it yet, and the configuration of a run.

    From now on this process trusts the certificates that `calls` names, in all its calls.

    Args:
        target: The platform.
        kubeflow: Kubeflow Pipelines: where, and as whom.
        vertex: Vertex AI: where, and as whom.
        calls: Time-outs, retries and certificates of calls to the platform and the registry.
        **settings: The sections of the run's configuration.

    Raises:
        InputError: Settings of the platform are missing, there are some of another, there are no
            certificates where `calls` says, or the run's settings contradict each other.
    """
    platform = connect(target=target, kubeflow=kubeflow, vertex=vertex, calls=calls)
    return platform, RunConfig(**settings)
