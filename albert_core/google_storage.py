"""Google Cloud Storage: its client, objects by address and by generation, its errors.

Imports google-cloud-storage at the first call.
"""

import contextlib
import dataclasses
import datetime
import functools
import os
import random
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from albert_core.errors import InputError, NoAccessError

SCHEME = "gs://"

# Google's modules that draw random numbers, for pauses and for boundaries of uploads.
_MODULES_USING_RANDOM = (
    "google.api_core.retry.retry_base",
    "google.auth._exponential_backoff",
    "google.cloud.storage._media._upload",
    "google.resumable_media._helpers",
    "google.resumable_media._upload",
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Version:
    """The content of an object in the cloud at one moment.

    Attributes:
        data: Its bytes.
        generation: The number that Google gave to the write of this content.
        age_s: Seconds since that write, by this machine's clock.
    """

    data: bytes
    generation: int
    age_s: float


class WriteConflictError(InputError):
    """Object changed since it was read (generation precondition failed)."""


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
    its work in progress draw at times that depend on the network. Modules that are not imported yet
    are left as they are.
    """
    for name in _MODULES_USING_RANDOM:
        if module := sys.modules.get(name):
            module.random = random.Random()  # type: ignore[attr-defined]


def bucket_and_name(path: str) -> tuple[str, str]:
    """Split a gs:// address; the name is empty for a whole bucket.

    Raises:
        InputError: The address names no bucket.
    """
    bucket, _, name = path[len(SCHEME) :].partition("/")
    if not bucket:
        raise InputError(f"{path}: got no bucket, expected {SCHEME}bucket/name")
    return bucket, name


def blob_at(path: str) -> Any:
    """Return the client's blob of an address, without a request: there may be no object."""
    bucket, name = bucket_and_name(path)
    return storage_client().bucket(bucket).blob(name)


def existing_blob(path: str) -> Any:
    """Return the client's blob of an object, with its size, checksum and generation.

    Raises:
        InputError: There is no such object.
    """
    bucket, name = bucket_and_name(path)
    with input_errors(path):
        blob = storage_client().bucket(bucket).get_blob(name)
    if blob is None:
        raise InputError(f"{path}: no such object; expected one that exists")
    return blob


def copy_object(path: str, target: str) -> None:
    """Copy an object to another address in the cloud, without a download; replaces what is there.

    Raises:
        InputError: There is no such object, or no right to read or write.
    """
    bucket, name = bucket_and_name(target)
    with input_errors(path):
        destination = storage_client().bucket(bucket).blob(name)
        token = None
        while True:  # a large object, or one of another region, takes several calls
            token, _, _ = destination.rewrite(existing_blob(path), token=token)
            if token is None:
                return


def conflict_error(path: str) -> WriteConflictError:
    """Return the error of a write that came after another process's."""
    return WriteConflictError(
        f"{path}: exists already; another run was faster, whose result is complete"
    )


@contextlib.contextmanager
def input_errors(path: str | Path) -> Iterator[None]:
    """Turn errors of Google Cloud Storage into errors of one line that name a remedy.

    Any other error passes as it is.

    Raises:
        WriteConflictError: A generation precondition failed.
        NoAccessError: There are no credentials, or they have no right to this.
        InputError: There is no such bucket or object.
    """
    from google.api_core import exceptions
    from google.auth.exceptions import GoogleAuthError

    try:
        yield
    except exceptions.PreconditionFailed as error:
        raise conflict_error(str(path)) from error
    except exceptions.NotFound as error:
        raise InputError(f"{path}: no such bucket or object; check the address") from error
    except (exceptions.Forbidden, exceptions.Unauthorized) as error:
        raise NoAccessError(
            f"{path}: permission denied; give this account a role such as Storage Object Admin"
        ) from error
    except GoogleAuthError as error:
        raise NoAccessError(
            f"{path}: no usable Google credentials; run `gcloud auth application-default login`"
        ) from error


def read_version(path: str) -> Version | None:
    """Return an object of the cloud with its generation; None where there is none.

    Raises:
        WriteConflictError: It was replaced between the two requests that this takes.
    """
    bucket, name = bucket_and_name(path)
    with input_errors(path):
        blob = storage_client().bucket(bucket).get_blob(name)
        if blob is None:
            return None
        # Generation and bytes come by two requests: they must be of the same write.
        data = blob.download_as_bytes(if_generation_match=blob.generation)
    age = datetime.datetime.now(datetime.UTC) - blob.updated
    return Version(data=data, generation=blob.generation, age_s=age.total_seconds())


def write_version(path: str, data: bytes, *, generation: int | None) -> int:
    """Write an object of the cloud if it is still of a generation; return the new generation.

    Args:
        path: Address of the object.
        data: Its new content.
        generation: The generation that must be there; 0 if there must be no object, None if there
            may be any.

    Raises:
        WriteConflictError: It is of another generation.
    """
    blob = blob_at(path)
    with input_errors(path):
        blob.upload_from_string(
            data,
            content_type="application/octet-stream",
            checksum="crc32c",
            if_generation_match=generation,
        )
    return blob.generation
