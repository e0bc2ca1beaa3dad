"""A compiled pipeline as `albert compile` writes it: its images, its parameters."""

import contextlib
import dataclasses
import re
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from albert_core.errors import InputError
from albert_core.storage import read_bytes

PIPELINE_NAME = "albert"
_MOST_VALUES = 1_000_000
_COMPILE = "compile it with `albert compile`"
_TARGET = re.compile(r"Compiled for (.+)\.")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Package:
    """A compiled pipeline.

    Attributes:
        source: Where it was read.
        spec: The pipeline.
        platform: Settings for Kubernetes; None in a package for Vertex AI.
    """

    source: str
    spec: Mapping[str, Any]
    platform: Mapping[str, Any] | None

    @property
    def target(self) -> str:
        """Title of the platform that it says it is for; empty if an earlier version compiled it."""
        info = self.spec["pipelineInfo"]
        description = info.get("description") if isinstance(info, Mapping) else None
        found = _TARGET.search(str(description or ""))
        return found[1] if found else ""

    def images(self) -> list[str]:
        """Return the names of the images of tasks and of jobs they start: sorted, each one once."""
        return sorted(set(_images_in(self.spec)))

    def parameters(self) -> dict[str, Any]:
        """Return the values of the pipeline's parameters, which are their defaults in the package.

        Raises:
            InputError: One has no value. The platforms' clients do not check this, so the run would
                start and fail.
        """
        definitions = self.spec["root"].get("inputDefinitions", {}).get("parameters", {})
        if missing := sorted(
            name for name, entry in definitions.items() if "defaultValue" not in entry
        ):
            raise InputError(
                f"{self.source}: got no value of {', '.join(missing)}, expected a value of every "
                f"parameter; {_COMPILE}"
            )
        return {name: entry["defaultValue"] for name, entry in definitions.items()}

    def with_job_settings(self, settings: Mapping[str, Any]) -> "Package":
        """Return the package with settings of the jobs on TPUs that its tasks start.

        Args:
            settings: Fields of `components.tpu_job.TpuJob` by name; a job that has a value of one
                keeps it.
        """
        return dataclasses.replace(self, spec=_with_job_settings(self.spec, settings))


def with_target(description: str, title: str) -> str:
    """Return a pipeline's description that also names its platform, which `Package.target` reads.

    Args:
        description: The description.
        title: The platform's title.
    """
    return f"{description} Compiled for {title}."


def _images_in(value: Any) -> Iterator[str]:
    """Yield the text of every key `image` in nested mappings and lists, but where it is empty."""
    if isinstance(value, Mapping):
        # A setting that is not set, such as the image of Dataflow's workers, is empty.
        if isinstance(image := value.get("image"), str) and image:
            yield image
        for item in value.values():
            yield from _images_in(item)
    elif isinstance(value, list):
        for item in value:
            yield from _images_in(item)


def _with_job_settings(value: Any, settings: Mapping[str, Any]) -> Any:
    """Return nested mappings and lists in which jobs on TPUs have the settings they are without."""
    if isinstance(value, list):
        return [_with_job_settings(item, settings) for item in value]
    if not isinstance(value, Mapping):
        return value
    if {"machine_type", "tpu_topology"} <= value.keys():
        return {**value, **{name: value.get(name) or settings[name] for name in settings}}
    return {name: _with_job_settings(item, settings) for name, item in value.items()}


def is_own_package(data: bytes) -> bool:
    """Return whether a file is a pipeline of this program, by its name, for either platform."""
    with contextlib.suppress(InputError):
        info = parse_package(data, source="").spec["pipelineInfo"]
        return isinstance(info, Mapping) and info.get("name") == PIPELINE_NAME
    return False


def _has_too_many_values(documents: list[Any]) -> bool:
    """Return whether nested values are endless or too many: anchors in a circle, or multiplied.

    What an alias stands for counts each time.
    """
    remaining, num_values = list(documents), 0
    while remaining and num_values <= _MOST_VALUES:
        value = remaining.pop()
        num_values += 1
        if isinstance(value, Mapping | list):
            remaining += value.values() if isinstance(value, Mapping) else value
    return num_values > _MOST_VALUES


def read_package(path: str) -> Package:
    """Read a compiled pipeline.

    Raises:
        InputError: It is missing, or is no compiled pipeline.
        ServiceError: The storage failed.
    """
    return parse_package(read_bytes(path), source=f"--package {path}")


def parse_package(text: str | bytes, *, source: str) -> Package:
    """Return a compiled pipeline from its text.

    Args:
        text: One YAML document, or two where the second has settings for Kubernetes.
        source: Where the text comes from, for messages.

    Raises:
        InputError: It is not YAML, or no compiled pipeline, or has over a million values, those of
            aliases counted each time; what is in it is checked no further.
    """
    try:
        documents = list(yaml.safe_load_all(text))
    except (yaml.YAMLError, ValueError, OverflowError, RecursionError) as error:
        raise InputError(f"{source}: not YAML; {_COMPILE}") from error
    is_package = (
        1 <= len(documents) <= 2
        and all(isinstance(document, dict) for document in documents)
        and {"root", "pipelineInfo"} <= documents[0].keys()
        and all("platforms" in document for document in documents[1:])
    )
    if not is_package:
        raise InputError(f"{source}: not a compiled pipeline; {_COMPILE}")
    if _has_too_many_values(documents):
        raise InputError(
            f"{source}: got over {_MOST_VALUES:,} values, or an anchor that contains itself, "
            f"expected fewer; {_COMPILE}"
        )
    platform = documents[1] if len(documents) == 2 else None
    return Package(source=source, spec=documents[0], platform=platform)
