"""Where an artifact of Kubeflow is, as the steps take addresses."""

from typing import Any

_GCS_MOUNT = "/gcs/"


def address_of(artifact: Any) -> str:
    """Return the address of an artifact's folder.

    That of an artifact in Google Cloud Storage is its gs:// address, and steps read and write it
    there: on Vertex AI its path is below a mount that knows neither renames of folders nor hard
    links. Any other has a local path, from and to which the platform copies.
    """
    return artifact.uri if artifact.path.startswith(_GCS_MOUNT) else artifact.path
