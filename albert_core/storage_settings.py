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
        if self.user_project and not _PROJECT.fullmatch(self.user_project):
            raise InputError(
                f"storage.user_project: got {self.user_project!r}, expected the id or the number "
                "of a Google Cloud project, such as my-project-1"
            )

    @classmethod
    def of_process(cls) -> "StorageConfig":
        """Return the settings that hold for this process."""
        return cls(user_project=user_project())

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
