"""Addresses of files: a local path, or one in a bucket, gs://bucket/name or s3://bucket/name."""

import os
import re
from collections.abc import Sequence
from pathlib import Path

from albert_core.errors import InputError
from albert_core.object_storage.google.storage import GoogleStorage
from albert_core.object_storage.interface import ObjectStorage
from albert_core.object_storage.s3.storage import S3Storage

GOOGLE_STORAGE, S3_STORAGE = GoogleStorage(), S3Storage()
STORAGES: Sequence[ObjectStorage] = (GOOGLE_STORAGE, S3_STORAGE)
"""The storages of objects, by the schemes that addresses begin with."""

SCHEMES = " or ".join(storage.scheme for storage in STORAGES)
"""What an address in a bucket begins with, for messages."""

# Of two letters or more: one letter is a drive.
_ANY_SCHEME = re.compile(r"\s*(?P<name>[a-z][a-z0-9+.-]+):(?P<slashes>/*)", re.IGNORECASE)
_KNOWN = {"gs", "gcs", "s3", "s3a", "s3n", "hf", "file", "hdfs", "abfs", "abfss", "az"}
# What other tools call the same storages.
_OTHER_NAMES = {"gs": "gs", "gcs": "gs", "s3": "s3", "s3a": "s3", "s3n": "s3"}


def find_storage(path: str | Path) -> ObjectStorage | None:
    """Return the storage of objects that an address is in; None for any other address."""
    return next((each for each in STORAGES if str(path).startswith(each.scheme)), None)


def storage_of(path: str | Path) -> ObjectStorage:
    """Return the storage of objects of an address that `is_remote`.

    A local path raises, too.

    Raises:
        InputError: The address is in no known storage.
    """
    storage = find_storage(path)
    if storage is None:
        raise InputError(f"{path}: got no address in a bucket, expected {SCHEMES}bucket/name")
    return storage


def check_bucket(path: str | Path) -> None:
    """Refuse an address in a bucket of a name that its storage does not give; others pass.

    Raises:
        InputError: The address names no bucket, or one of such a name.
    """
    if storage := find_storage(path):
        storage.bucket_and_name(str(path))


def is_remote(path: str | Path) -> bool:
    """Return whether an address is in a bucket, not a local path.

    Raises:
        InputError: It is in another kind of storage (it begins with any scheme and a slash, or the
            name of a known one and a colon), or gs:// or s3:// is misspelt; or it begins with `~`
            for a home folder. Without this, a folder named `gs:` or `~` would be made here.
    """
    if find_storage(path):
        return True
    address = str(path)
    if address == "~" or address.startswith("~/"):
        raise InputError(
            f"{path}: got a path that begins with '~', which is not replaced here, as a shell does "
            f"at the beginning of an argument; expected {os.path.expanduser(address)}"
        )
    scheme = _ANY_SCHEME.match(address)
    if scheme is None or not (scheme["slashes"] or scheme["name"].lower() in _KNOWN):
        return False
    if meant := _OTHER_NAMES.get(scheme["name"].lower()):
        raise InputError(
            f"{path}: got an address that begins with {scheme[0].strip()!r}, expected "
            f"{meant}://bucket/name; a local folder of that name is ./{address.strip()}"
        )
    remedy = "leave this out" if scheme["name"].lower() == "file" else "copy the files there"
    raise InputError(
        f"{path}: got an address of {scheme['name']}://, expected a local path or {SCHEMES}; "
        f"{remedy} (a local folder of that name is ./{address.strip()})"
    )


def local_path(path: str | Path, name: str) -> Path:
    """Return the path of a setting that cannot be in the cloud.

    Args:
        path: The value.
        name: The setting.

    Raises:
        InputError: The value is an address of any storage.
    """
    if is_remote(path):
        raise InputError(
            f"{name} {path}: got an address in the cloud, expected a local path; copy it from or "
            f"to there with `{storage_of(path).copy_command}`"
        )
    return Path(path)


def join(folder: str, name: str) -> str:
    """Return the address of a file in a folder, local or not; slashes at its end do not count."""
    return f"{folder.rstrip('/')}/{name}"
