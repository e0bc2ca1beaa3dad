"""Models and their versions in the Vertex AI Model Registry, by Google's generated client."""

from collections.abc import Mapping
from typing import Any

from albert_core.files.atomic import hash_json
from components.service_calls import NOT_FOUND, Service, http_status
from components.vertex import REQUEST_LABEL, model_client, to_message

_UPLOAD_S = 600.0


class VertexModels:
    """The models of a project and location.

    Args:
        project: Google Cloud project.
        location: Region.
        endpoint: Address of Vertex AI; that of the location when empty.
        service: Repeats calls that fail for a moment.

    Raises:
        InputError: There are no credentials, or they would go to `endpoint` unencrypted.
    """

    def __init__(self, project: str, location: str, endpoint: str, service: Service) -> None:
        self._client = model_client(location, endpoint)
        self._parent = f"projects/{project}/locations/{location}"
        self._service = service

    def add_version(self, model_id: str, values: Mapping[str, Any]) -> str:
        """Enter a version of a model, the first or a further one, and return its full name.

        That is `projects/.../models/ID@VERSION`. The version becomes the default one. One with the
        same values, which an earlier attempt entered, is returned and not entered again; whether it
        is the default one is not looked at.

        Args:
            model_id: Last part of the model's name.
            values: JSON of the model, without id and aliases.

        Raises:
            ServiceError: Vertex AI refused, or kept failing.
        """
        digest = hash_json(values)[:32]
        labels = {**values.get("labels", {}), REQUEST_LABEL: digest}
        model = {**values, "labels": labels, "versionAliases": ["default"]}
        name = f"{self._parent}/models/{model_id}"
        return self._service.create_once(
            f"model {model_id}",
            find=lambda timeout_s: self._find_version(name, digest, timeout_s),
            create=lambda timeout_s: self._upload(name, model, timeout_s),
        )

    def _find_version(self, name: str, digest: str, timeout_s: float) -> str | None:
        """Return the full name of a model's version with this hash; None if there is none."""
        for version in self._versions(name, timeout_s):
            if version.labels.get(REQUEST_LABEL) == digest:
                return f"{name}@{version.version_id}"
        return None

    def _versions(self, name: str, timeout_s: float) -> list[Any]:
        """Return the versions of a model; empty for a model that does not exist."""
        try:
            pages = self._client.list_model_versions(name=name, retry=None, timeout=timeout_s)
            return list(pages)
        except Exception as error:
            if http_status(error) == NOT_FOUND:
                return []
            raise

    def _upload(self, name: str, values: Mapping[str, Any], timeout_s: float) -> str:
        """Enter a version, wait up to ten minutes until that is done, and return its full name.

        Raises the errors of Google's client.
        """
        from google.cloud.aiplatform_v1.types import Model, UploadModelRequest

        request = UploadModelRequest(parent=self._parent, model=to_message(Model, values))
        if self._versions(name, timeout_s):
            request.parent_model = name
        else:
            request.model_id = name.rpartition("/")[2]
        operation = self._client.upload_model(request=request, retry=None, timeout=timeout_s)
        answer = operation.result(timeout=_UPLOAD_S)
        return f"{answer.model.partition('@')[0]}@{answer.model_version_id}"
