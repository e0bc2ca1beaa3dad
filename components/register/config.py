"""Which accepted models are entered into the Vertex AI Model Registry, and under which name."""

import dataclasses
import re
from collections.abc import Mapping

from albert_core.errors import InputError
from components.google_names import check_google_labels, check_google_project, check_region

_NAME = re.compile(r"[a-z][a-z0-9-]{0,30}")


@dataclasses.dataclass(frozen=True, kw_only=True)
class VertexModelsConfig:
    """The Vertex AI Model Registry: where, and what is entered.

    A project without location, settings without a project, and impossible names are refused with an
    InputError.

    Attributes:
        project: Google Cloud project of the registry. Empty: nothing is entered.
        location: Region of the registry, such as us-central1.
        name: First part of the models' names, which are NAME-TASK.
        format: Export format of the models; the first of `export.formats` when empty.
        image: Image with `albert serve` that answers for them; the trainer's of ALBERT_REGISTRY
            when empty.
        labels: Labels of the models.
        endpoint: Address of the service, such as that of a private endpoint; the public one of
            the location when empty.
    """

    project: str = ""
    location: str = ""
    name: str = "albert"
    format: str = ""
    image: str = ""
    labels: Mapping[str, str] = dataclasses.field(default_factory=dict)
    endpoint: str = ""

    def __post_init__(self) -> None:
        """Refuse a project without location, settings without a project, and impossible names.

        Raises:
            InputError: A setting is refused.
        """
        optional = ("location", "format", "image", "labels", "endpoint")
        given = [name for name in optional if getattr(self, name)]
        given += ["name"] if self.name != VertexModelsConfig.name else []
        if not self.project and given:
            raise InputError(
                f"vertex_models.project: got nothing with vertex_models.{given[0]}, expected the "
                "registry's project; set it, or remove the other settings"
            )
        if self.project and not self.location:
            raise InputError(
                "vertex_models.location: got nothing, expected the region of the registry, such as "
                "us-central1"
            )
        if self.project:
            check_google_project("vertex_models.project", self.project)
            check_region("vertex_models.location", self.location)
        check_google_labels("vertex_models.labels", self.labels)
        if not _NAME.fullmatch(self.name):
            raise InputError(
                f"vertex_models.name: got {self.name!r}, expected at most 31 lower-case letters, "
                "digits and -, a letter first"
            )
