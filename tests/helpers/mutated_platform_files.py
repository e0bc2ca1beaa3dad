"""Files for platforms with seeded mistakes: tables of resources, compiled pipelines, prices."""

import json
import random
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

from albert_core.estimation.prices import Prices
from albert_core.settings import parse_settings
from pipeline.config_files import read_section
from pipeline.remote.package import read_package
from pipeline.remote.plan import planned_tasks, refuse_other_forms
from pipeline.remote.platforms.registry import PLATFORMS
from pipeline.remote.resources import read_resources
from tests.helpers.mutations import mutate_yaml

Kind = tuple[Callable[[random.Random], bytes], Callable[[bytes], object]]

_RESOURCES: Mapping[str, Any] = {
    "all_steps": {"env": {"HF_HOME": "/tmp"}, "retries": 3},
    "records": {"cpus": 8, "memory_gib": 32, "timeout_s": 600},
    "pretrain": {"tpu": {"machine": "ct5lp-hightpu-4t", "topology": "2x2"}, "spot": True},
    "finetune": {
        "tpu": None,
        "accelerator": {"type": "nvidia.com/gpu", "count": 1},
        "tolerations": [{"key": "team", "operator": "Equal", "value": "a", "effect": "NoExecute"}],
        "pod_labels": {"team": "language"},
        "image_pull_secrets": ["registry-login"],
        "env_from_secrets": {"HF_TOKEN": {"secret": "hugging-face", "key": "token"}},
        "volume_claims": [{"claim": "data", "path": "/data", "sub_path": "glue"}],
    },
    "parallel_tasks": 2,
    "notification_emails": [],
}
_SPEC: Mapping[str, Any] = {
    "pipelineInfo": {"name": "albert"},
    "root": {
        "dag": {
            "tasks": {
                "for-task": {
                    "componentRef": {"name": "comp-loop"},
                    "parameterIterator": {"items": {"inputParameter": "pipelinechannel--jobs"}},
                    "taskInfo": {"name": "tasks"},
                    "dependentTasks": ["vocab"],
                },
                "vocab": {"componentRef": {"name": "comp-vocab"}, "taskInfo": {"name": "vocab"}},
            }
        },
        "inputDefinitions": {
            "parameters": {
                "title": {"defaultValue": "a", "parameterType": "STRING"},
                "jobs": {"defaultValue": [{"data": "gs://b/d"}], "parameterType": "LIST"},
            }
        },
    },
    "components": {
        "comp-vocab": {"executorLabel": "exec-vocab"},
        "comp-loop": {
            "dag": {
                "tasks": {
                    "finetune": {
                        "componentRef": {"name": "comp-vocab"},
                        "taskInfo": {"name": "finetune"},
                        "inputs": {
                            "artifacts": {"model": {"componentInputArtifact": "model"}},
                            "parameters": {
                                "jobs": {"componentInputParameter": "pipelinechannel--jobs"},
                                "job": {
                                    "runtimeValue": {
                                        "constant": {
                                            "machine_type": "ct5lp-hightpu-4t",
                                            "tpu_topology": "2x4",
                                            "image": "gcr.io/a/b:1",
                                        }
                                    }
                                },
                            },
                        },
                    }
                }
            }
        },
    },
    "deploymentSpec": {
        "executors": {
            "exec-vocab": {
                "container": {
                    "image": "gcr.io/a/b:1",
                    "resources": {
                        "resourceCpuLimit": "4",
                        "resourceMemoryLimit": "16Gi",
                        "accelerator": {"resourceType": "google.com/tpu", "resourceCount": "4"},
                    },
                }
            }
        }
    },
}
_LABELS = {
    "cloud.google.com/gke-tpu-accelerator": "tpu-v5-lite-podslice",
    "cloud.google.com/gke-tpu-topology": "2x2",
}
_PLATFORM: Mapping[str, Any] = {
    "platforms": {
        "kubernetes": {
            "deploymentSpec": {"executors": {"exec-vocab": {"nodeSelector": {"labels": _LABELS}}}}
        }
    }
}
_PRICES: Mapping[str, Any] = {
    "date": "2026-11-01",
    "source": "list",
    "currency": "USD",
    "per_chip_hour": {"v5e": 1.2, "v6e": 2.7},
}


def resources(folder: Path) -> Kind:
    """Return what makes a table of resources with mistakes, and what reads it for each platform."""
    path = folder / "resources.yaml"

    def read(data: bytes) -> None:
        path.write_bytes(data)
        read_resources(PLATFORMS["kubeflow"].rules, str(path))

    return lambda rng: mutate_yaml(_RESOURCES, rng), read


def package(folder: Path) -> Kind:
    """Return what makes a compiled pipeline with mistakes, and what is done with it before it runs.

    Half of them have the second document, with settings for Kubernetes.
    """
    path = folder / "albert.yaml"

    def make(rng: random.Random) -> bytes:
        documents = [mutate_yaml(_SPEC, rng)]
        if rng.random() < 0.5:
            is_spec_whole = rng.random() < 0.5
            documents = [
                yaml.safe_dump(_SPEC).encode() if is_spec_whole else documents[0],
                mutate_yaml(_PLATFORM, rng),
            ]
        return b"---\n".join(documents)

    def read(data: bytes) -> None:
        path.write_bytes(data)
        made = read_package(str(path))
        refuse_other_forms(made)
        planned_tasks(made)
        json.dumps([made.parameters(), made.images()])

    return make, read


def prices(folder: Path) -> Kind:
    """Return what makes a file of prices with mistakes, and what reads it."""
    path = folder / "prices.yaml"

    def read(data: bytes) -> None:
        path.write_bytes(data)
        values = read_section(path, Prices, option="--prices")
        parse_settings(Prices, values, source=f"--prices {path}")

    return lambda rng: mutate_yaml(_PRICES, rng), read
