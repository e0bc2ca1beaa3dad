"""Read, write, copy and remove single files by their address."""

import contextlib
import io
import os
import shutil
import tempfile
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
from albert_core.object_storage import Generation, Version
from albert_core.storage.addresses import is_remote, storage_of
from albert_core.storage_errors import MissingObjectError, WriteConflictError, conflict_error

_READ_AHEAD_BYTES = 1 << 20


def open_file(path: str) -> BinaryIO:
    """Open a file for reading bytes; the file is seekable.

    Reading an object of the cloud raises what `ObjectStorage` says.

    Raises:
        InputError: There is no such file, or a folder, a pipe or a device.
    """
    if is_remote(path):
        return cast(BinaryIO, io.BufferedReader(storage_of(path).open(path), _READ_AHEAD_BYTES))
    refuse_special_file(path)
    try:
        return Path(path).open("rb")
    except (OSError, ValueError) as error:  # ValueError: of a path with a null character
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{path}: {reason}; expected a readable file") from error


def read_bytes(path: str) -> bytes:
    """Return the whole file."""
    if is_remote(path):
        return storage_of(path).read(path)
    with open_file(path) as file:
        return file.read()


def exists(path: str) -> bool:
    """Return whether there is a file (or object) at an address; False for a folder."""
    if not is_remote(path):
        return Path(path).is_file()
    return storage_of(path).find(path) is not None


def content_hash(path: str) -> str:
    """Return a hash of a file's bytes: the sha256, or what its storage keeps of an object."""
    # The storage's checksum costs one request; a sha256 would cost a download.
    if not is_remote(path):
        return sha256_of_file(Path(path))
    return storage_of(path).existing(path).content_hash


def find_stored_damage(path: str, facts: FileFacts) -> str | None:
    """Return how a file at an address differs from its size and checksum, or None.

    A local file is read only if its size is right. Of an object in the cloud the storage's size and
    checksum are compared, which takes one request; where it keeps no checksum, the size.

    Raises:
        NoAccessError: The bucket cannot be read from here.
    """
    if not is_remote(path):
        return find_file_damage(Path(path), facts)
    name = path.rpartition("/")[2]
    try:
        kept = storage_of(path).existing(path)
    except NoAccessError:
        raise
    except InputError:
        return f"{name} is missing"
    if kept.num_bytes == facts["bytes"] and kept.crc32c in (None, facts["crc32c"]):
        return None
    return f"{name} is another object than was written"


def generation(path: str) -> Generation:
    """Return what tells the writes of a file apart; 0 where there is no file.

    It is the generation of an object, the time of change of a local file in nanoseconds.
    """
    if is_remote(path):
        facts = storage_of(path).find(path)
        return facts.generation if facts else 0
    return Path(path).stat().st_mtime_ns if Path(path).exists() else 0


def write_bytes(
    path: str, data: bytes, *, only_new: bool = False, replaces: Generation | None = None
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
        storage_of(path).write_version(path, data, generation=expected)
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
        storage_of(path).upload(path, source)
        return
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    # A copy beside the target, then a rename: the source may be on another file system.
    partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
    shutil.copyfile(source, partial)
    os.replace(partial, target)


def fetch_file(path: str, target: Path) -> None:
    """Bring a file to a local path: by a hard link where possible, a copy, or a download.

    The folder of `target` must exist. A download is checked by its CRC-32C where the storage keeps
    one.
    """
    if not is_remote(path):
        link_or_copy(path, target)
        return
    storage_of(path).download(path, target)


def copy_to_bucket(path: str, target: str) -> None:
    """Copy a file, local or in a bucket, to an address in a bucket; replaces what is there.

    Within a storage nothing is downloaded.

    Raises:
        InputError: There is no such file, or no right to read or write.
    """
    if not is_remote(path):
        storage_of(target).upload(target, Path(path))
        return
    source = storage_of(path)
    if storage_of(target) is source:
        source.copy(path, target)
        return
    with tempfile.TemporaryDirectory() as folder:
        local = Path(folder) / "object"
        source.download(path, local)
        storage_of(target).upload(target, local)


def read_version(path: str) -> Version | None:
    """Return an object of the cloud with its generation; None where there is none.

    Raises:
        WriteConflictError: It was replaced meanwhile.
    """
    return storage_of(path).read_version(path)


def write_version(path: str, data: bytes, *, generation: Generation | None) -> Generation:
    """Write an object of the cloud if it is still of a generation; return the new generation.

    The arguments are those of `ObjectStorage.write_version`.

    Raises:
        WriteConflictError: It is of another generation.
    """
    return storage_of(path).write_version(path, data, generation=generation)


def remove_file(path: str) -> None:
    """Remove a file; does nothing where there is no local one.

    Raises:
        MissingObjectError: There is no such object in the cloud; S3 does not tell.
    """
    if is_remote(path):
        storage_of(path).remove(path)
    else:
        Path(path).unlink(missing_ok=True)


def remove_version(path: str, generation: Generation) -> None:
    """Remove an object of the cloud if it is still of a generation; else it stays, silently.

    With S3 an object that was written anew with the same bytes goes, too.
    """
    with contextlib.suppress(MissingObjectError, WriteConflictError):
        storage_of(path).remove(path, generation=generation)


def remove_folder(path: str) -> None:
    """Remove a local or remote folder with everything in it; does nothing where there is none.

    What cannot be removed locally stays, without an error; so does what somebody writes to the
    cloud meanwhile.
    """
    if not is_remote(path):
        shutil.rmtree(path, ignore_errors=True)
        return
    storage = storage_of(path)
    bucket, name = storage.bucket_and_name(path)
    for each in list(storage.list_objects(path, f"{name.rstrip('/')}/")):
        remove_version(f"{storage.scheme}{bucket}/{each.name}", each.generation)
