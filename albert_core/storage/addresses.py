"""Addresses of files: a local path, or gs://bucket/name in Google Cloud Storage."""

import re
from pathlib import Path

from albert_core.errors import InputError
from albert_core.google_storage import SCHEME

# Of two letters or more: one letter is a drive.
_ANY_SCHEME = re.compile(r"\s*(?P<name>[a-z][a-z0-9+.-]+):(?P<slashes>/*)", re.IGNORECASE)
_STORAGES = {"gs", "gcs", "s3", "s3a", "s3n", "hf", "file", "hdfs", "abfs", "abfss", "az"}


def is_remote(path: str | Path) -> bool:
    """Return whether an address is in Google Cloud Storage.

    Raises:
        InputError: It is in another kind of storage (it begins with any scheme and a slash, or the
            name of a known one and a colon), or gs:// is misspelt. Without this, a folder named
            `gs:` would be made here.
    """
    address = str(path)
    if address.startswith(SCHEME):
        return True
    scheme = _ANY_SCHEME.match(address)
    if scheme is None or not (scheme["slashes"] or scheme["name"].lower() in _STORAGES):
        return False
    if scheme["name"].lower() in ("gs", "gcs"):
        raise InputError(
            f"{path}: got an address that begins with {scheme[0].strip()!r}, expected "
            f"{SCHEME}bucket/name; a local folder of that name is ./{address.strip()}"
        )
    remedy = "leave this out" if scheme["name"].lower() == "file" else "copy the files there"
    raise InputError(
        f"{path}: got an address of {scheme['name']}://, expected a local path or {SCHEME}; "
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
            "to there with `gcloud storage cp`"
        )
    return Path(path)


def join(folder: str, name: str) -> str:
    """Return the address of a file in a folder."""
    return f"{folder.rstrip('/')}/{name}"
