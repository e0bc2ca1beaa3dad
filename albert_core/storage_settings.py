"""How buckets of Google Cloud Storage are called: settings that hold for a whole process.

They live in an environment variable, so that the processes of a run's steps have them, too.
"""

import dataclasses
import os
import re

from albert_core.errors import InputError

USER_PROJECT_VARIABLE = "ALBERT_STORAGE_USER_PROJECT"

# Ids of projects, also those of an organisation with a domain; or their numbers.
_PROJECT = re.compile(r"([a-z][a-z0-9.-]*:)?[a-z][a-z0-9-]{4,28}[a-z0-9]|\d+")


@dataclasses.dataclass(frozen=True, kw_only=True)
class StorageConfig:
    """How buckets are called.

    Attributes:
        user_project: Google Cloud project that pays for all requests to buckets, which buckets
            with Requester Pays ask for; the environment's ALBERT_STORAGE_USER_PROJECT when empty.
    """

    user_project: str = ""

    def __post_init__(self) -> None:
        """Refuse what is no project's id or number.

        Raises:
            InputError: It is none.
        """
        _check_project(self.user_project, setting="storage.user_project")

    @classmethod
    def of_process(cls) -> "StorageConfig":
        """Return the settings that hold for this process.

        Raises:
            InputError: The environment names what is no project.
        """
        _check_project(user_project(), setting=USER_PROJECT_VARIABLE)
        return cls(user_project=user_project())

    def or_of_process(self) -> "StorageConfig":
        """Return these settings, where they are empty those that hold for this process.

        Raises:
            InputError: The environment names what is no project.
        """
        return self if self.user_project else self.of_process()

    @property
    def environment(self) -> dict[str, str]:
        """Environment variables that say the same to another process; none for the default."""
        return {USER_PROJECT_VARIABLE: self.user_project} if self.user_project else {}

    def apply(self) -> None:
        """Let this process and those it starts use the settings; what is empty stays as it is."""
        os.environ.update(self.environment)


def user_project() -> str:
    """Return the project that pays for requests to buckets; empty: their owners pay."""
    return os.environ.get(USER_PROJECT_VARIABLE, "")


def _check_project(project: str, *, setting: str) -> None:
    """Refuse what is no project's id or number; empty is fine.

    Raises:
        InputError: It is none.
    """
    if project and not _PROJECT.fullmatch(project):
        raise InputError(
            f"{setting}: got {project!r}, expected the id or the number of a Google Cloud project, "
            "such as my-project-1"
        )
