"""How buckets are called: settings that hold for a whole process.

They live in environment variables, so that the processes of a run's steps have them, too.
"""

import contextlib
import dataclasses
import os
import re
import urllib.parse

from albert_core.errors import InputError

USER_PROJECT_VARIABLE = "ALBERT_STORAGE_USER_PROJECT"
ENDPOINT_VARIABLE = "AWS_ENDPOINT_URL_S3"
STORAGE_VARIABLES = (USER_PROJECT_VARIABLE, ENDPOINT_VARIABLE)
"""Environment variables that hold the settings."""

# As Amazon's tools read them; the first one that is set counts.
_ENDPOINT_VARIABLES = (ENDPOINT_VARIABLE, "AWS_ENDPOINT_URL")

# Ids of projects, also those of an organisation with a domain; or their numbers.
_PROJECT = re.compile(r"([a-z][a-z0-9.-]*:)?[a-z][a-z0-9-]{4,28}[a-z0-9]|\d+")


@dataclasses.dataclass(frozen=True, kw_only=True)
class StorageConfig:
    """How buckets are called.

    What is no project's id or number, or no address of a server, is refused with an InputError.

    Attributes:
        user_project: Google Cloud project that pays for all requests to buckets in gs://, which
            buckets with Requester Pays ask for; the environment's ALBERT_STORAGE_USER_PROJECT when
            empty.
        endpoint: Server of s3://, such as https://minio.example.org:9000; the environment's
            AWS_ENDPOINT_URL_S3 or AWS_ENDPOINT_URL when empty, else Amazon's.
    """

    user_project: str = ""
    endpoint: str = ""

    def __post_init__(self) -> None:
        """Refuse what is no project's id or number, and no address of a server.

        Raises:
            InputError: There is one of these.
        """
        _check_project(self.user_project, setting="storage.user_project")
        _check_endpoint(self.endpoint, setting="storage.endpoint")

    @classmethod
    def from_environment(cls) -> "StorageConfig":
        """Return the settings that the environment has for this process.

        The endpoint is AWS_ENDPOINT_URL_S3, else AWS_ENDPOINT_URL; what is not set is empty.

        Raises:
            InputError: The environment names what is no project, or no address of a server.
        """
        _check_project(user_project(), setting=USER_PROJECT_VARIABLE)
        endpoint = ""
        for name in reversed(_ENDPOINT_VARIABLES):
            _check_endpoint(os.environ.get(name, ""), setting=name)
            endpoint = os.environ.get(name) or endpoint
        return cls(user_project=user_project(), endpoint=endpoint)

    def or_from_environment(self) -> "StorageConfig":
        """Return these settings, with those of `from_environment` in place of empty ones.

        Raises:
            InputError: The environment names what is no project, or no address of a server.
        """
        given = {name: value for name, value in dataclasses.asdict(self).items() if value}
        return dataclasses.replace(self.from_environment(), **given)

    @property
    def environment(self) -> dict[str, str]:
        """Environment variables that say the same to another process; none for the default."""
        values = {USER_PROJECT_VARIABLE: self.user_project, ENDPOINT_VARIABLE: self.endpoint}
        return {name: value for name, value in values.items() if value}

    def apply(self) -> None:
        """Put the settings that are not empty into this process's environment, for children, too.

        Variables of empty settings stay as they are.
        """
        os.environ.update(self.environment)


def user_project() -> str:
    """Return the project that pays for requests to buckets, by ALBERT_STORAGE_USER_PROJECT.

    Empty where the variable is not set: the buckets' owners pay. Nothing is checked.
    """
    return os.environ.get(USER_PROJECT_VARIABLE, "")


def _check_project(project: str, *, setting: str) -> None:
    """Refuse what is no project's id or number; empty is fine.

    Raises:
        InputError: The text is not the id or number of a project.
    """
    if project and not _PROJECT.fullmatch(project):
        raise InputError(
            f"{setting}: got {project!r}, expected the id or the number of a Google Cloud project, "
            "such as my-project-1"
        )


def _check_endpoint(endpoint: str, *, setting: str) -> None:
    """Refuse an endpoint that is not the address of a server; an empty one is fine.

    Raises:
        InputError: The address does not begin with http:// or https://, has no host or an
            impossible port, or holds a user, a password, a query, a fragment or white space.
    """
    if not endpoint:
        return
    with contextlib.suppress(ValueError):
        parts = urllib.parse.urlsplit(endpoint)
        is_address = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
        has_user = "@" in parts.netloc
        has_more = parts.query or parts.fragment or any(map(str.isspace, endpoint))
        if is_address and not has_user and not has_more:
            return
    shown = endpoint.rpartition("@")[2]
    raise InputError(
        f"{setting}: got {shown!r}, expected the address of a server of S3 without user and "
        "password, such as https://minio.example.org:9000"
    )
