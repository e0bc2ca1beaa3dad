"""The client of Google Cloud Storage; imports its package at the first call."""

import functools
import os
import random
import sys
from typing import Any

# Google's modules that draw random numbers, for pauses and for boundaries of uploads.
_MODULES_USING_RANDOM = (
    "google.api_core.retry.retry_base",
    "google.auth._exponential_backoff",
    "google.cloud.storage._media._upload",
    "google.resumable_media._helpers",
    "google.resumable_media._upload",
)


def storage_client() -> Any:
    """Return the client of this process, made at the first call.

    A forked process gets a new one, as two processes must not share connections.
    """
    return _client_of_process(os.getpid(), os.environ.get("STORAGE_EMULATOR_HOST"))


@functools.cache
def _client_of_process(_: int, emulator: str | None) -> Any:
    import google.cloud.storage as storage

    _isolate_random_state()
    return storage.Client.create_anonymous_client() if emulator else storage.Client()


def _isolate_random_state() -> None:
    """Give Google's modules a random state apart from that of Python's `random`.

    A training seeds `random` and is repeatable only if nobody else draws from it, but uploads of
    its work in progress draw at times that depend on the network.
    """
    for name in _MODULES_USING_RANDOM:
        if module := sys.modules.get(name):
            module.random = random.Random()  # type: ignore[attr-defined]
