"""Read, write, copy and remove single files by their address."""

import contextlib
import io
import os
import shutil
import tempfile
from pathlib import Path
from typing import BinaryIO, cast

from albert_core.errors import InputError, NoAccessError
from albert_core.files.atomic import (
    link_or_copy,
    refuse_special_file,
    sha256_of_file,
    write_atomically,
)
from albert_core.files.checksums import FileFacts, find_file_damage
from albert_core.object_storage.errors import MissingObjectError, WriteConflictError, conflict_error
from albert_core.object_storage.interface import Generation, Version
from albert_core.storage.addresses import is_remote, storage_of

_READ_AHEAD_BYTES = 1 << 20


def open_file(path: str) -> BinaryIO:
    """Open a file for reading bytes; the file is seekable, and the caller closes it.

    While an object of the cloud is opened or read, there may be the errors of `ObjectStorage`, such
    as an InputError where it is replaced meanwhile.

    Raises:
        InputError: There is no such file, it is a folder, a pipe or a device, or must not be read.
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
    """Return the whole file.

    Raises:
        InputError: There is no such file, it is none that can be read, or in the cloud there is no
            right to.
        ServiceError: The storage failed.
    """
    if is_remote(path):
        return storage_of(path).read(path)
    with open_file(path) as file:
        return file.read()


def read_range(path: str, begin: int, end: int) -> bytes:
    """Return the bytes of a file from one place up to another; from a bucket by one request.

    No more than these are fetched from a bucket, while `open_file` reads far ahead there.

    Args:
        path: Address of the file.
        begin: Place of the first byte.
        end: Place behind the last one, after `begin`; where the file ends before, fewer bytes are
            returned, or none.

    Raises:
        InputError: There is no such file, it is none that can be read, or in the cloud there is no
            right to.
        ServiceError: The storage failed.
    """
    if is_remote(path):
        return storage_of(path).read_range(path, begin, end)
    with open_file(path) as file:
        file.seek(begin)
        return file.read(end - begin)


def exists(path: str) -> bool:
    """Return whether there is a file or an object at an address; False for a folder.

    For an object, makes one request, which may raise the errors of `ObjectStorage`; a missing right
    is such an error, not False.
    """
    if not is_remote(path):
        return Path(path).is_file()
    return storage_of(path).find(path) is not None


def content_hash(path: str) -> str:
    """Return a hash of a file's bytes: the sha256, or what its storage keeps of an object.

    Hashes of local files and of objects are not comparable: for an object it is the CRC-32C, or
    without one the generation, after the name of its kind.

    Raises:
        OSError: There is no such local file, or it must not be read.
        InputError: There is no such object.
        ServiceError: The storage failed.
    """
    # The storage's checksum costs one request; a sha256 would cost a download.
    if not is_remote(path):
        return sha256_of_file(Path(path))
    return storage_of(path).existing(path).content_hash


def find_stored_damage(path: str, facts: FileFacts) -> str | None:
    """Describe how a file at an address differs from its size and checksum, or return None.

    A local file is read only if its size is right. For an object in the cloud, the size and
    checksum that the storage keeps are compared, which takes one request; without a checksum, only
    the size. A missing file is a difference.

    Raises:
        NoAccessError: The bucket cannot be read from here.
        ServiceError: The storage failed.
    """
    if not is_remote(path):
        return find_file_damage(Path(path), facts)
    name = path.rpartition("/")[2]
    try:
        stored = storage_of(path).existing(path)
    except NoAccessError:
        raise
    except InputError:
        return f"{name} is missing"
    if stored.num_bytes == facts["bytes"] and stored.crc32c in (None, facts["crc32c"]):
        return None
    return f"{name} is another object than was written"


def generation(path: str) -> Generation:
    """Return the generation of a file, another for each write; 0 where there is no file.

    It is the generation of an object, the time of change of a local file or folder in nanoseconds.
    Makes one request for an object, which may raise the errors of `ObjectStorage`.
    """
    if is_remote(path):
        facts = storage_of(path).find(path)
        return facts.generation if facts else 0
    return Path(path).stat().st_mtime_ns if Path(path).exists() else 0


def write_bytes(
    path: str, data: bytes, *, only_new: bool = False, replaces: Generation | None = None
) -> None:
    """Write a file so that it is never seen in part; it is new, or replaces one.

    In the cloud there may also be the errors of `ObjectStorage`.

    Args:
        path: Address of the file; local folders are made, and of a link the file that it leads to
            is written.
        data: Its content.
        only_new: Refuse to replace a file; in the cloud also one that appears at the same moment,
            locally one that is there before the write. Wins over `replaces`.
        replaces: Refuse to replace a file of another `generation` than this one.

    Raises:
        WriteConflictError: The file exists with `only_new`, or is not of the generation.
        OSError: The local file or its folder cannot be written.
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

    It replaces what is there, a local link itself; missing local folders are made, and `source`
    stays. Nothing is flushed to the disk. In the cloud there may be the errors of `ObjectStorage`,
    locally OSError.
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

    Args:
        path: Address of the file.
        target: The path, where nothing should be.

    Raises:
        FileNotFoundError: There is no such local file, or no folder of `target`.
        InputError: There is no such object, or it is replaced meanwhile.
        ServiceError: The storage failed, or other bytes came.
    """
    if not is_remote(path):
        link_or_copy(path, target)
        return
    storage_of(path).download(path, target)


def copy_to_bucket(path: str, target: str) -> None:
    """Copy a file, local or in a bucket, to an address in a bucket; replaces what is there.

    Within a storage nothing is downloaded; between two it goes through a temporary file.

    Raises:
        OSError: There is no such local file, or it must not be read.
        InputError: There is no such object, `target` is no address in a bucket, or there is no
            right to read or write.
        ServiceError: The storage failed.
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
        InputError: The path is local, or the bucket cannot be read.
        ServiceError: The storage failed.
    """
    return storage_of(path).read_version(path)


def write_version(path: str, data: bytes, *, generation: Generation | None) -> Generation:
    """Write an object of the cloud if it is still of a generation; return the new generation.

    Args:
        path: Address of the object.
        data: Its new content.
        generation: The generation that must be there; 0 if there must be no object, None if there
            may be any.

    Raises:
        WriteConflictError: It is of another generation.
        InputError: The path is local, or the bucket cannot be written.
        ServiceError: The storage failed.
    """
    return storage_of(path).write_version(path, data, generation=generation)


def remove_file(path: str) -> None:
    """Remove a file or an object; a missing local file is no error.

    In the cloud there may also be the errors of `ObjectStorage`.

    Raises:
        MissingObjectError: There is no such object; S3 does not tell.
        OSError: What is at the local path is a folder, or must not be removed.
    """
    if is_remote(path):
        storage_of(path).remove(path)
    else:
        Path(path).unlink(missing_ok=True)


def remove_version(path: str, generation: Generation) -> None:
    """Remove an object of the cloud if it is still of a generation; else it stays, silently.

    With S3 an object that was written anew with the same bytes goes, too. Does nothing where there
    is no such object. Other errors of `ObjectStorage` are raised.
    """
    with contextlib.suppress(MissingObjectError, WriteConflictError):
        storage_of(path).remove(path, generation=generation)


def remove_folder(path: str) -> None:
    """Remove a local or remote folder with everything in it; does nothing where there is none.

    What cannot be removed locally stays, without an error; so does what somebody writes to the
    cloud meanwhile.

    Raises:
        InputError: The address is that of a whole bucket, of which nothing is removed; or the
            bucket does not exist, or must not be listed or changed.
        ServiceError: The storage failed.
    """
    if not is_remote(path):
        shutil.rmtree(path, ignore_errors=True)
        return
    storage = storage_of(path)
    bucket, name = storage.bucket_and_name(path)
    if not name.strip("/"):
        raise InputError(
            f"{path}: got a whole bucket to remove, expected a folder in it, "
            f"{storage.scheme}{bucket}/name; nothing was removed"
        )
    for each in list(storage.list_objects(path, f"{name.rstrip('/')}/")):
        remove_version(f"{storage.scheme}{bucket}/{each.name}", each.generation)
