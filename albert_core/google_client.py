"""The client of Google Cloud Storage; its package is imported when it is first asked for."""

import functools
import os
import random
import sys
from typing import Any

# Those of Google's modules that draw random numbers, for pauses and for boundaries of uploads.
_DRAWING_MODULES = (
    "google.api_core.retry.retry_base",
    "google.auth._exponential_backoff",
    "google.cloud.storage._media._upload",
    "google.resumable_media._helpers",
    "google.resumable_media._upload",
)


def storage_client() -> Any:
    """Return the client of this process: a forked one must not share its connections."""
    return _client_of_process(os.getpid(), os.environ.get("STORAGE_EMULATOR_HOST"))


@functools.cache
def _client_of_process(_: int, emulator: str | None) -> Any:
    import google.cloud.storage as storage

    _leave_seeded_numbers_alone()
    return storage.Client.create_anonymous_client() if emulator else storage.Client()


def _leave_seeded_numbers_alone() -> None:
    """Give Google's modules random numbers of their own.

    Work in progress is uploaded beside a training, which seeds those of Python's `random` and is
    repeatable only if nobody else draws from them.
    """
    for name in _DRAWING_MODULES:
        if module := sys.modules.get(name):
            module.random = random.Random()  # type: ignore[attr-defined]
