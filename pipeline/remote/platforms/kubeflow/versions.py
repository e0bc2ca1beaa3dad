"""Which versions of Kubeflow Pipelines' backend run the pipeline."""

import re
import sys
from collections.abc import Mapping
from typing import Any

from albert_core.errors import InputError

# Before, the results of a loop that has a name are looked for under a number, and not found.
# dsl.Collected itself, and names of tasks for the pages, are known since 2.14.0.
_OLDEST = (2, 16, 0)
_VERSION = re.compile(r"v?(\d+)\.(\d+)(?:\.(\d+))?")


def version_in(health: Mapping[str, Any]) -> str:
    """Return the backend's version from its own answer or that of its pages; empty if unknown.

    The backend gives it as `apiServerTagName`, the server of the pages as `tag_name`.
    """
    tag = health.get("apiServerTagName") or health.get("tag_name") or ""
    return "" if tag == "unknown" else str(tag)


def check_version(version: str, server: str) -> None:
    """Refuse a version that cannot run the pipeline; tells on standard error of an unknown one.

    Args:
        version: Name of the server's release, such as 2.16.0; may be empty.
        server: The server, for messages.

    Raises:
        InputError: It is older than what is needed.
    """
    match = _VERSION.match(version)
    needed = ".".join(map(str, _OLDEST))
    if match is None:
        answer = f"tells the version {version!r}" if version else "does not tell its version"
        print(f"{server} {answer}; the pipeline needs {needed} or newer", file=sys.stderr)
    elif tuple(int(part or 0) for part in match.groups()) < _OLDEST:
        raise InputError(
            f"{server} is version {version}, expected {needed} or newer: older ones do not find "
            "the results of named loops (records, fine-tuned tasks); upgrade it, or, if it has "
            "that, set kubeflow.check_version to false"
        )
