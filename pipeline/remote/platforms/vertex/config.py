"""Where Vertex AI Pipelines is, and as whom it is called."""

import dataclasses
from collections.abc import Mapping

from albert_core.errors import InputError
from albert_core.storage import GOOGLE_STORAGE, check_bucket, find_storage
from components.google_names import (
    check_google_labels,
    check_google_project,
    check_identity,
    check_region,
)
from components.vertex import REQUEST_LABEL


@dataclasses.dataclass(frozen=True, kw_only=True)
class VertexConfig:
    """Vertex AI: where, and as whom.

    A root that is not in gs://, and names that Google Cloud does not take, raise InputError.

    Attributes:
        project: Google Cloud project.
        location: Region, such as us-central1.
        root: gs:// folder for artifacts and work in progress.
        service_account: What the steps run as; the default of Vertex AI when empty.
        network: VPC network to peer with, as `projects/NUMBER/global/networks/NAME`.
        encryption_key: Cloud KMS key for what runs keep, by its full name.
        labels: Labels of the runs, for bills and searches.
        endpoint: Address of the service, such as that of a private endpoint; the public one of
            the location when empty.
    """

    project: str = ""
    location: str = ""
    root: str = ""
    service_account: str = ""
    network: str = ""
    encryption_key: str = ""
    labels: Mapping[str, str] = dataclasses.field(default_factory=dict)
    endpoint: str = ""

    def __post_init__(self) -> None:
        """Refuse a root that is not in gs://, and names that Google Cloud does not take.

        Raises:
            InputError: A setting is refused, or a label has the name that the submission itself
                sets.
        """
        if self.root and find_storage(self.root) is not GOOGLE_STORAGE:
            raise InputError(f"vertex.root: got {self.root!r}, expected a gs:// folder")
        check_bucket(self.root)
        if self.project:
            check_google_project("vertex.project", self.project)
        if self.location:
            check_region("vertex.location", self.location)
        check_identity("vertex", self.service_account, self.network, self.encryption_key)
        check_google_labels("vertex.labels", self.labels)
        if REQUEST_LABEL in self.labels:
            raise InputError(f"vertex.labels: {REQUEST_LABEL} is set by the submission itself")
