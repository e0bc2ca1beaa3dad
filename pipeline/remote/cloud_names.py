"""Names as Kubernetes takes them, and kinds of GPUs that platforms have.

A platform would refuse others when a run starts, or hours later when a step does.
"""

import re
from collections.abc import Mapping

from albert_core.errors import InputError

_NAME = r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?"
_DOMAIN = r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*"
_KUBERNETES_KEY = re.compile(rf"({_DOMAIN}/)?{_NAME}")
_KUBERNETES_VALUE = re.compile(rf"({_NAME})?")
_NAMESPACE = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
# Of NVIDIA's device plugin, since the image for GPUs has CUDA. `mig-1g.5gb` is a part of a GPU.
_NVIDIA_RESOURCE = re.compile(r"nvidia\.com/(gpu|gpu\.shared|mig-\d+g\.\d+gb(\.\S+)?)")

# How many of a kind a machine can have. Source: "Machine types and GPUs" of Vertex AI.
VERTEX_GPUS: Mapping[str, tuple[int, ...]] = {
    "NVIDIA_TESLA_P4": (1, 2, 4),
    "NVIDIA_TESLA_T4": (1, 2, 4),
    "NVIDIA_TESLA_P100": (1, 2, 4),
    "NVIDIA_TESLA_V100": (1, 2, 4, 8),
    "NVIDIA_TESLA_A100": (1, 2, 4, 8, 16),
    "NVIDIA_A100_80GB": (1, 2, 4, 8),
    "NVIDIA_L4": (1, 2, 4, 8),
    "NVIDIA_H100_80GB": (1, 2, 4, 8),
    "NVIDIA_H100_MEGA_80GB": (1, 2, 4, 8),
    "NVIDIA_H200_141GB": (8,),
    "NVIDIA_B200": (8,),
    "NVIDIA_GB200": (4,),
    "NVIDIA_RTX_PRO_6000": (1, 2, 4, 8),
}


def check_kubernetes_name(setting: str, value: str) -> None:
    """Refuse what is no name of a namespace or of a service account of Kubernetes.

    Raises:
        InputError: The value is not 1 to 63 lower-case letters, digits and `-`, or begins or ends
            with a `-`.
    """
    if not _NAMESPACE.fullmatch(value):
        raise InputError(
            f"{setting}: got {value!r}, expected up to 63 lower-case letters, digits and -"
        )


def check_kubernetes_labels(setting: str, labels: Mapping[str, str]) -> None:
    """Refuse labels that Kubernetes does not take, such as one without a name.

    Raises:
        InputError: A name or a value has not the form of a label's; names the first.
    """
    for name, value in labels.items():
        if not _KUBERNETES_KEY.fullmatch(name):
            raise InputError(
                f"{setting}: got {name!r}, expected names of labels, such as "
                "cloud.google.com/gke-accelerator"
            )
        if not _KUBERNETES_VALUE.fullmatch(value):
            raise InputError(
                f"{setting}: got {value!r} for {name}, expected up to 63 letters, digits, -, _, ."
            )


def check_vertex_gpus(setting: str, kind: str, count: int) -> None:
    """Refuse a kind of GPUs that Vertex AI has not, or a number that no machine there has.

    Raises:
        InputError: The kind is unknown, or no machine has so many of it.
    """
    if kind not in VERTEX_GPUS:
        raise InputError(
            f"{setting}.type: got {kind!r}, expected a type of Vertex AI such as NVIDIA_L4, one of "
            f"{', '.join(VERTEX_GPUS)}"
        )
    if count not in VERTEX_GPUS[kind]:
        counts = ", ".join(map(str, VERTEX_GPUS[kind]))
        raise InputError(
            f"{setting}.count: got {count}, expected as many as a machine has of {kind}: {counts}"
        )


def check_kubernetes_gpus(setting: str, kind: str) -> None:
    """Refuse a kind of GPUs that NVIDIA's plugin for Kubernetes does not offer.

    Raises:
        InputError: It is none of its resources.
    """
    if not _NVIDIA_RESOURCE.fullmatch(kind):
        raise InputError(
            f"{setting}.type: got {kind!r}, expected a resource of Kubernetes such as "
            "nvidia.com/gpu, nvidia.com/gpu.shared or nvidia.com/mig-1g.5gb; choose a model of GPU "
            "by node_selectors"
        )
