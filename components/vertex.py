"""Google's clients of Vertex AI, which log in with Application Default Credentials."""

from typing import Any

from components.google_clients import rest_client

REQUEST_LABEL = "albert-request"
"""Label with the hash of the request that made a job, so that a repeated command finds the job."""


def pipeline_client(location: str, endpoint: str = "") -> Any:
    """Return the client of pipeline jobs in a location, or at another endpoint; makes no call.

    Raises:
        InputError: There are no credentials, or they would leave this machine unencrypted.
    """
    from google.cloud.aiplatform_v1 import PipelineServiceClient

    return _client(PipelineServiceClient, location, endpoint)


def schedule_client(location: str, endpoint: str = "") -> Any:
    """Return the client of schedules in a location, or at another endpoint; makes no call.

    Raises:
        InputError: There are no credentials, or they would leave this machine unencrypted.
    """
    from google.cloud.aiplatform_v1 import ScheduleServiceClient

    return _client(ScheduleServiceClient, location, endpoint)


def job_client(location: str, endpoint: str = "") -> Any:
    """Return the client of custom jobs in a location, or at another endpoint; makes no call.

    Raises:
        InputError: There are no credentials, or they would leave this machine unencrypted.
    """
    from google.cloud.aiplatform_v1 import JobServiceClient

    return _client(JobServiceClient, location, endpoint)


def model_client(location: str, endpoint: str = "") -> Any:
    """Return the client of the model registry in a location, or at another endpoint; makes no call.

    Raises:
        InputError: There are no credentials, or they would leave this machine unencrypted.
    """
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
    """Return a client of Vertex AI, as `rest_client` makes it, without a call.

    Args:
        kind: Class of the client.
        location: Region whose public endpoint is the default.
        endpoint: Another endpoint; that of the region when empty.

    Raises:
        InputError: There are no credentials, they cannot be read, or they would leave this machine
            unencrypted.
    """
    address = endpoint or f"{location}-aiplatform.googleapis.com"
    return rest_client(kind, address, service=f"Vertex AI in {location}", setting="vertex.endpoint")
