"""Google's clients of Vertex AI, which log in with Application Default Credentials."""

import urllib.parse
from typing import Any

from albert_core.errors import InputError
from albert_core.google_client import find_credentials, login_remedy
from albert_core.google_sessions import mount_adapters

REQUEST_LABEL = "albert-request"
"""Label with the hash of the request that made a job, so that a repeated command finds the job."""

_SCOPE = "https://www.googleapis.com/auth/cloud-platform"
_LOOPBACK = ("localhost", "127.0.0.1")


def pipeline_client(location: str, endpoint: str = "") -> Any:
    """Return the client of pipeline jobs in a location; arguments and errors as of `_client`."""
    from google.cloud.aiplatform_v1 import PipelineServiceClient

    return _client(PipelineServiceClient, location, endpoint)


def schedule_client(location: str, endpoint: str = "") -> Any:
    """Return the client of schedules in a location; arguments and errors as of `_client`."""
    from google.cloud.aiplatform_v1 import ScheduleServiceClient

    return _client(ScheduleServiceClient, location, endpoint)


def job_client(location: str, endpoint: str = "") -> Any:
    """Return the client of custom jobs in a location; arguments and errors as of `_client`."""
    from google.cloud.aiplatform_v1 import JobServiceClient

    return _client(JobServiceClient, location, endpoint)


def model_client(location: str, endpoint: str = "") -> Any:
    """Return the client of the model registry in a location; as `_client`."""
    from google.cloud.aiplatform_v1 import ModelServiceClient

    return _client(ModelServiceClient, location, endpoint)


def to_message(message: Any, values: Any) -> Any:
    """Return a message of the API with the values of its JSON.

    Args:
        message: Type of the message, of `google.cloud.aiplatform_v1.types`.
        values: The JSON.

    Raises:
        google.protobuf.json_format.ParseError: A field is unknown, or of another type.
    """
    from google.protobuf import json_format

    return message.wrap(json_format.ParseDict(values, message.pb(message())))


def _client(kind: Any, location: str, endpoint: str) -> Any:
    """Return a client that speaks REST, with Application Default Credentials; makes no call.

    A server on this machine may be reached by plain http, and then gets no credentials.

    Args:
        kind: Class of the client.
        location: Region whose public endpoint is the default.
        endpoint: Another endpoint; that of the region when empty.

    Raises:
        InputError: There are no credentials, they cannot be read, or they would leave this machine
            unencrypted.
    """
    from google.auth.credentials import AnonymousCredentials

    address = endpoint or f"{location}-aiplatform.googleapis.com"
    is_plain = address.startswith("http://")
    if is_plain and urllib.parse.urlsplit(address).hostname not in _LOOPBACK:
        raise InputError(
            f"vertex.endpoint: got {endpoint}, expected https, or a server on this machine: "
            "credentials are not sent in the clear"
        )
    credentials = AnonymousCredentials() if is_plain else find_credentials((_SCOPE,))
    if credentials is None:
        raise InputError(f"Vertex AI in {location}: no Google credentials; {login_remedy()}")
    client = kind(
        credentials=credentials, transport="rest", client_options={"api_endpoint": address}
    )
    # Google's transport has no time-out of its own for connecting.
    mount_adapters(client.transport._session, f"Vertex AI in {location}")
    return client
