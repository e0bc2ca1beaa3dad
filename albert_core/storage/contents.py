"""Read, write, copy and remove single files by their address."""

import os
import shutil
from pathlib import Path
from typing import BinaryIO, cast

from albert_core.checksums import FileFacts, find_file_damage
from albert_core.errors import InputError, NoAccessError
from albert_core.files import (
    link_or_copy,
    refuse_special_file,
    sha256_of_file,
    write_atomically,
)
from albert_core.google_errors import conflict_error, input_errors
from albert_core.google_storage import (
    blob_at,
    bucket_and_name,
    bucket_of,
    existing_blob,
    write_version,
)
from albert_core.storage.addresses import is_remote


def open_file(path: str) -> BinaryIO:
    """Open a file for reading bytes; the file is seekable.

    Raises:
        InputError: There is no such file, or a folder, a pipe or a device.
    """
    if is_remote(path):
        return cast(BinaryIO, existing_blob(path).open("rb"))
    refuse_special_file(path)
    try:
        return Path(path).open("rb")
    except (OSError, ValueError) as error:  # ValueError: of a path with a null character
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{path}: {reason}; expected a readable file") from error


def read_bytes(path: str) -> bytes:
    """Return the whole file."""
    with open_file(path) as file:
        return file.read()


def exists(path: str) -> bool:
    """Return whether there is a file (or object) at an address; False for a folder."""
    if not is_remote(path):
        return Path(path).is_file()
    with input_errors(path):
        return blob_at(path).exists()


def content_hash(path: str) -> str:
    """Return a hash of a file's bytes: the sha256, or the crc32c that Google keeps of an object."""
    # Google's own checksum costs one request; a sha256 would cost a download.
    if not is_remote(path):
        return sha256_of_file(Path(path))
    return f"crc32c:{existing_blob(path).crc32c}"


def find_stored_damage(path: str, facts: FileFacts) -> str | None:
    """Return how a file at an address differs from its size and checksum, or None.

    A local file is read only if its size is right. Of an object in the cloud Google's own size and
    checksum are compared, which takes one request.

    Raises:
        NoAccessError: The bucket cannot be read from here.
    """
    if not is_remote(path):
        return find_file_damage(Path(path), facts)
    name = path.rpartition("/")[2]
    try:
        blob = existing_blob(path)
    except NoAccessError:
        raise
    except InputError:
        return f"{name} is missing"
    if (blob.size, blob.crc32c) == (facts["bytes"], facts["crc32c"]):
        return None
    return f"{name} is another object than was written"


def generation(path: str) -> int:
    """Return a number that changes whenever a file is written again; 0 where there is no file.

    It is the generation of an object, the time of change of a local file in nanoseconds.
    """
    if is_remote(path):
        bucket, name = bucket_and_name(path)
        with input_errors(path):
            blob = bucket_of(bucket).get_blob(name)
        return int(blob.generation) if blob else 0
    return Path(path).stat().st_mtime_ns if Path(path).exists() else 0


def write_bytes(
    path: str, data: bytes, *, only_new: bool = False, replaces: int | None = None
) -> None:
    """Write a file that is either whole or not there.

    Args:
        path: Address of the file; local folders are made.
        data: Its content.
        only_new: Refuse to replace a file, also one that appears at the same moment in the cloud.
        replaces: Refuse to replace a file of another `generation` than this one.

    Raises:
        WriteConflictError: The file exists with `only_new`, or is not of the generation.
    """
    expected = 0 if only_new else replaces
    if is_remote(path):
        write_version(path, data, generation=expected)
        return
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    if expected is not None and generation(path) != expected:
        raise conflict_error(path)
    # Where the path is a link, the file that it leads to.
    write_atomically(Path(os.path.realpath(path)), data)


def write_file(path: str, source: Path) -> None:
    """Copy a finished local file to an address, where it appears whole or not at all.

    It replaces what is there; missing local folders are made, and `source` stays.
    """
    if is_remote(path):
        with input_errors(path):
            blob_at(path).upload_from_filename(
                str(source), content_type="application/octet-stream", checksum="crc32c"
            )
        return
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    # A copy beside the target, then a rename: the source may be on another file system.
    partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
    shutil.copyfile(source, partial)
    os.replace(partial, target)


def fetch_file(path: str, target: Path) -> None:
    """Bring a file to a local path: by a hard link where possible, a copy, or a download.

    The folder of `target` must exist. A download is checked by its CRC-32C.
    """
    if not is_remote(path):
        link_or_copy(path, target)
        return
    with input_errors(path):
        existing_blob(path).download_to_filename(str(target), checksum="crc32c")


def remove_file(path: str) -> None:
    """Remove a file; does nothing where there is no local one.

    Raises:
        InputError: There is no such object in the cloud.
    """
    if is_remote(path):
        with input_errors(path):
            blob_at(path).delete()
    else:
        Path(path).unlink(missing_ok=True)


def remove_folder(path: str) -> None:
    """Remove a local or remote folder with everything in it; does nothing where there is none.

    What cannot be removed locally stays, without an error.
    """
    if not is_remote(path):
        shutil.rmtree(path, ignore_errors=True)
        return
    bucket, name = bucket_and_name(path)
    with input_errors(path):
        for blob in list(bucket_of(bucket).list_blobs(prefix=f"{name.rstrip('/')}/")):
            blob.delete()
