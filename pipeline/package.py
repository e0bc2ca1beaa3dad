"""A compiled pipeline, as `albert compile` writes it: what it needs before it can be submitted."""

import copy
import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from albert_core.errors import InputError

_COMPILE = "compile it with `albert compile`"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Package:
    """A compiled pipeline.

    Attributes:
        source: Where it was read.
        spec: The pipeline.
        platform: What is for Kubernetes only; None in a package for Vertex AI.
    """

    source: str
    spec: Mapping[str, Any]
    platform: Mapping[str, Any] | None

    def images(self) -> list[str]:
        """Return the images of all tasks, each once."""
        executors = self.spec.get("deploymentSpec", {}).get("executors", {}).values()
        return sorted({entry["container"]["image"] for entry in executors if "container" in entry})

    def check_parameters(self, parameters: Mapping[str, Any], *, max_bytes: int | None) -> None:
        """Refuse parameters that the platform would refuse, or only miss when tasks need them.

        Args:
            parameters: Values by name.
            max_bytes: Most bytes of all of them as JSON; None where there is no limit.

        Raises:
            InputError: One is missing or unknown, or they are too large.
        """
        known = self.spec["root"].get("inputDefinitions", {}).get("parameters", {})
        required = {
            name
            for name, entry in known.items()
            if not entry.get("isOptional") and "defaultValue" not in entry
        }
        if missing := sorted(required - parameters.keys()):
            raise InputError(
                f"{self.source}: needs {', '.join(missing)}, which this version does not give; "
                f"{_COMPILE} of this version"
            )
        if unknown := sorted(parameters.keys() - known.keys()):
            raise InputError(
                f"{self.source}: has no parameter {', '.join(unknown)}; {_COMPILE} of this version"
            )
        num_bytes = len(json.dumps(parameters).encode())
        if max_bytes is not None and num_bytes > max_bytes:
            sizes = {name: len(json.dumps(value)) for name, value in parameters.items()}
            largest = max(sizes, key=lambda name: sizes[name])
            raise InputError(
                f"parameters: got {num_bytes:,} bytes as JSON, expected at most {max_bytes:,}; the "
                f"largest is {largest} ({sizes[largest]:,} bytes): name fewer files or tasks, or "
                "raise MAX_PARAMETER_BYTES of the API server and kubeflow.max_parameter_bytes"
            )

    def without_caching(self) -> "Package":
        """Return the same pipeline with every step run anew."""
        spec = copy.deepcopy(dict(self.spec))
        graphs = [spec["root"], *spec.get("components", {}).values()]
        for graph in graphs:
            for task in graph.get("dag", {}).get("tasks", {}).values():
                task["cachingOptions"] = {}
        return dataclasses.replace(self, spec=spec)


def read_package(path: str | Path) -> Package:
    """Read a compiled pipeline.

    Raises:
        InputError: It is missing, or something else.
    """
    try:
        documents = list(yaml.safe_load_all(Path(path).read_text(encoding="utf-8")))
    except OSError as error:
        raise InputError(f"--package {path}: {error.strerror}; {_COMPILE}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"--package {path}: not YAML; {_COMPILE}") from error
    is_package = (
        1 <= len(documents) <= 2
        and all(isinstance(document, dict) for document in documents)
        and {"root", "pipelineInfo"} <= documents[0].keys()
        and all("platforms" in document for document in documents[1:])
    )
    if not is_package:
        raise InputError(f"--package {path}: not a compiled pipeline; {_COMPILE}")
    platform = documents[1] if len(documents) == 2 else None
    return Package(source=f"--package {path}", spec=documents[0], platform=platform)
