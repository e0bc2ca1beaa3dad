"""Google Cloud Storage: buckets, objects by address and by generation.

Imports google-cloud-storage at the first call.
"""

import dataclasses
import datetime
import re
from typing import Any

from albert_core.errors import InputError
from albert_core.google_client import storage_client
from albert_core.google_errors import input_errors
from albert_core.storage_settings import user_project

SCHEME = "gs://"

# Google's rules for names of buckets; those with dots may be longer.
_BUCKET = re.compile(r"[a-z0-9]([a-z0-9._-]*[a-z0-9])?")
_LONGEST_PART, _LONGEST_BUCKET, _SHORTEST_BUCKET = 63, 222, 3


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


def bucket_and_name(path: str) -> tuple[str, str]:
    """Split a gs:// address; the name is empty for a whole bucket.

    Raises:
        InputError: The address names no bucket, or one of a name that Google does not give.
    """
    bucket, _, name = path[len(SCHEME) :].partition("/")
    if not bucket:
        raise InputError(f"{path}: got no bucket, expected {SCHEME}bucket/name")
    longest = _LONGEST_BUCKET if "." in bucket else _LONGEST_PART
    if not _BUCKET.fullmatch(bucket) or not _SHORTEST_BUCKET <= len(bucket) <= longest:
        raise InputError(
            f"{path}: got the bucket {bucket!r}, expected 3 to 63 lower-case letters, digits, -, _ "
            "and ., a letter or digit first and last; correct its name"
        )
    return bucket, name


def bucket_of(name: str) -> Any:
    """Return the client's bucket of a name, with the project that pays; makes no request.

    Raises:
        NoAccessError: There are credentials that cannot be read.
    """
    return storage_client().bucket(name, user_project=user_project() or None)


def blob_at(path: str) -> Any:
    """Return the client's blob of an address, without a request: there may be no object."""
    bucket, name = bucket_and_name(path)
    return bucket_of(bucket).blob(name)


def existing_blob(path: str) -> Any:
    """Return the client's blob of an object, with its size, checksum and generation.

    Raises:
        InputError: There is no such object.
    """
    bucket, name = bucket_and_name(path)
    with input_errors(path):
        blob = bucket_of(bucket).get_blob(name)
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
        destination = bucket_of(bucket).blob(name)
        token = None
        while True:  # a large object, or one of another region, takes several calls
            token, _, _ = destination.rewrite(existing_blob(path), token=token)
            if token is None:
                return


def read_version(path: str) -> Version | None:
    """Return an object of the cloud with its generation; None where there is none.

    Raises:
        WriteConflictError: It was replaced between the two requests that this takes.
    """
    bucket, name = bucket_and_name(path)
    with input_errors(path):
        blob = bucket_of(bucket).get_blob(name)
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
