"""Read, write, copy and remove single files by their address."""

import io
import os
import shutil
from pathlib import Path
from typing import Any, BinaryIO, cast

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

_READ_AHEAD_BYTES = 1 << 20


class _ObjectReader(io.RawIOBase):
    """An object of the cloud as a file; errors of reading are those of `input_errors`."""

    def __init__(self, path: str) -> None:
        """Look for the object; reads nothing yet.

        Raises:
            InputError: There is no such object.
        """
        self._path = path
        self._file: Any = existing_blob(path).open("rb")

    def readinto(self, buffer: Any) -> int:
        """Read up to the length of a buffer into it; return how many bytes these are."""
        with input_errors(self._path):
            data = self._file.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def readall(self) -> bytes:
        """Return all that is left, by one download."""
        with input_errors(self._path):
            return bytes(self._file.read())

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to another place, at most to the end; return it."""
        with input_errors(self._path):
            return int(self._file.seek(offset, whence))

    def tell(self) -> int:
        """Return the place of the next byte."""
        return int(self._file.tell())

    def readable(self) -> bool:
        """Return that it can be read."""
        return True

    def seekable(self) -> bool:
        """Return that it can be read at any place."""
        return True


def open_file(path: str) -> BinaryIO:
    """Open a file for reading bytes; the file is seekable.

    Reading an object of the cloud raises the errors of `input_errors`.

    Raises:
        InputError: There is no such file, or a folder, a pipe or a device.
    """
    if is_remote(path):
        return cast(BinaryIO, io.BufferedReader(_ObjectReader(path), _READ_AHEAD_BYTES))
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
