"""Files by their address: a local path, or gs://bucket/name in Google Cloud Storage.

All access to files that may be in the cloud goes through this module. google-cloud-storage is
imported at the first gs:// address, so that work on one machine does not need it.
"""

import contextlib
import dataclasses
import datetime
import glob
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, cast

from albert_core.errors import InputError, NoAccessError
from albert_core.files import (
    hash_json,
    link_or_copy,
    sha256_of_file,
    write_atomically,
)
from albert_core.google_client import storage_client

_SCHEME = re.compile(r"^[a-z][a-z0-9+.-]*://", re.IGNORECASE)
_REMOTE = "gs://"


@dataclasses.dataclass(frozen=True, order=True)
class StoredFile:
    """A file and its size.

    Attributes:
        path: Its address: an absolute path or a gs:// address.
        num_bytes: Its size.
    """

    path: str
    num_bytes: int


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


def is_remote(path: str | Path) -> bool:
    """Return whether an address is in Google Cloud Storage.

    Raises:
        InputError: It is in another kind of storage.
    """
    scheme = _SCHEME.match(str(path))
    if scheme and scheme[0].lower() != _REMOTE:
        raise InputError(
            f"{path}: got an address of {scheme[0]}, expected a local path or {_REMOTE}; copy the "
            "files to one of these"
        )
    return scheme is not None


def join(folder: str, name: str) -> str:
    """Return the address of a file in a folder."""
    return f"{folder.rstrip('/')}/{name}"


def find_files(pattern: str) -> list[StoredFile]:
    """Return the files that a pattern names, sorted by address.

    Args:
        pattern: A file, a folder (read recursively) or a glob; `**` stands for any folders.

    Raises:
        InputError: There is none.
    """
    found = sorted(_find_remote(pattern) if is_remote(pattern) else _find_local(pattern))
    if not found:
        where = "" if is_remote(pattern) else f" (read from {Path.cwd()})"
        raise InputError(
            f"{pattern!r}: no file matches; expected a file, a folder or a glob{where}"
        )
    return found


def _find_local(pattern: str) -> Iterator[StoredFile]:
    """Yield the files of a folder, at any depth, or of a glob; unsorted, by absolute path."""
    folder = Path(pattern)
    # A folder first: its name may have brackets, which a glob would not take literally.
    candidates = (
        folder.rglob("*") if folder.is_dir() else map(Path, glob.glob(pattern, recursive=True))
    )
    for path in candidates:
        if path.is_file():
            yield StoredFile(str(path.absolute()), path.stat().st_size)


def _find_remote(pattern: str) -> Iterator[StoredFile]:
    """Yield the objects that are, are below, or match an address; sorted by name."""
    bucket, name = _bucket_and_name(pattern)
    # Google filters by a prefix; the rest of the pattern is matched here.
    literal = re.split(r"[*?\[]", name, maxsplit=1)[0]
    is_glob = literal != name
    wanted = (
        _glob_expression(name) if is_glob else re.compile(f"{re.escape(name.rstrip('/'))}(/|$)")
    )
    with _input_errors(pattern):
        for blob in storage_client().list_blobs(
            bucket, prefix=literal if is_glob else name.rstrip("/")
        ):
            matches = wanted.fullmatch(blob.name) if is_glob else wanted.match(blob.name)
            # Consoles make empty objects with a final "/" to show folders: they are no files.
            if (matches or not name) and not blob.name.endswith("/"):
                yield StoredFile(f"{_REMOTE}{bucket}/{blob.name}", blob.size)


def _glob_expression(pattern: str) -> re.Pattern[str]:
    """Return the regular expression that matches whole names as Python's `glob` would."""
    wild = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    parts = re.split(r"(\*\*/|\*\*|\*|\?|\[[^\]]+\])", pattern)
    return re.compile("".join(wild.get(p, p if p.startswith("[") else re.escape(p)) for p in parts))


def open_file(path: str) -> BinaryIO:
    """Open a file for reading bytes; the file is seekable.

    Raises:
        InputError: There is no such file.
    """
    if is_remote(path):
        return cast(BinaryIO, _existing_blob(path).open("rb"))
    try:
        return Path(path).open("rb")
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; expected a readable file") from error


def exists(path: str) -> bool:
    """Return whether there is a file, not a folder, at an address."""
    if not is_remote(path):
        return Path(path).is_file()
    with _input_errors(path):
        return _blob(path).exists()


def content_hash(path: str) -> str:
    """Return a hash of a file's bytes: the sha256, or the crc32c that Google keeps of an object."""
    # Google's own checksum costs one request; a sha256 would cost a download.
    if not is_remote(path):
        return sha256_of_file(Path(path))
    return f"crc32c:{_existing_blob(path).crc32c}"


def read_bytes(path: str) -> bytes:
    """Return the whole file."""
    with open_file(path) as file:
        return file.read()


def generation(path: str) -> int:
    """Return a number that changes whenever a file is written again; 0 where there is no file.

    It is the generation of an object, the time of change of a local file in nanoseconds.
    """
    if is_remote(path):
        bucket, name = _bucket_and_name(path)
        with _input_errors(path):
            blob = storage_client().bucket(bucket).get_blob(name)
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
        _upload(path, data, generation=expected)
        return
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    if expected is not None and generation(path) != expected:
        raise _conflict(path)
    write_atomically(Path(path), data)


def read_version(path: str) -> Version | None:
    """Return an object of the cloud with its generation; None where there is none.

    Raises:
        WriteConflictError: It was replaced between the two requests that this takes.
    """
    bucket, name = _bucket_and_name(path)
    with _input_errors(path):
        blob = storage_client().bucket(bucket).get_blob(name)
        if blob is None:
            return None
        # Generation and bytes come by two requests: they must be of the same write.
        data = blob.download_as_bytes(if_generation_match=blob.generation)
    age = datetime.datetime.now(datetime.UTC) - blob.updated
    return Version(data=data, generation=blob.generation, age_s=age.total_seconds())


def write_version(path: str, data: bytes, *, generation: int) -> int:
    """Replace an object of the cloud if it is still of a generation; return the new generation.

    Args:
        path: Address of the object.
        data: Its new content.
        generation: The generation that must be there; 0 if there must be no object.

    Raises:
        WriteConflictError: It is of another generation.
    """
    return _upload(path, data, generation=generation)


def _upload(path: str, data: bytes, *, generation: int | None) -> int:
    """Write an object, over a given generation only unless that is None; return the new one."""
    blob = _blob(path)
    with _input_errors(path):
        blob.upload_from_string(
            data,
            content_type="application/octet-stream",
            checksum="crc32c",
            if_generation_match=generation,
        )
    return blob.generation


def write_file(path: str, source: Path) -> None:
    """Copy a finished local file to an address, where it appears whole or not at all."""
    if is_remote(path):
        with _input_errors(path):
            _blob(path).upload_from_filename(
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
    """Bring a file to a local path: by a hard link where possible, a copy, or a download."""
    if not is_remote(path):
        link_or_copy(path, target)
        return
    with _input_errors(path):
        _existing_blob(path).download_to_filename(str(target), checksum="crc32c")


def remove_folder(path: str) -> None:
    """Remove a folder with everything in it; does nothing where there is none."""
    if not is_remote(path):
        shutil.rmtree(path, ignore_errors=True)
        return
    bucket, name = _bucket_and_name(path)
    with _input_errors(path):
        for blob in list(storage_client().list_blobs(bucket, prefix=f"{name.rstrip('/')}/")):
            blob.delete()


def has_files(folder: str) -> bool:
    """Return whether there is a file in a folder, at any depth."""
    if not is_remote(folder):
        return any(path.is_file() for path in Path(folder).rglob("*"))
    bucket, name = _bucket_and_name(folder)
    with _input_errors(folder):
        prefix = f"{name.rstrip('/')}/" if name else ""
        return any(True for _ in storage_client().list_blobs(bucket, prefix=prefix, max_results=1))


def remove_file(path: str) -> None:
    """Remove a file; does nothing where there is no local one.

    Raises:
        InputError: There is no such object in the cloud.
    """
    if is_remote(path):
        with _input_errors(path):
            _blob(path).delete()
    else:
        Path(path).unlink(missing_ok=True)


def local_folder(path: str | Path) -> Path:
    """Return a local folder with the content of an address, downloaded if it is in the cloud.

    A download stays in the folder for temporary files, named by the checksums of its files, and
    is used again while these are the same. A local path is returned as it is, existing or not.

    Raises:
        InputError: There is no such folder in the cloud, or an object's name leads out of it.
    """
    if not is_remote(path):
        return Path(path)
    address = str(path).rstrip("/")
    hashes = {file.path: content_hash(file.path) for file in find_files(address)}
    cached = Path(tempfile.gettempdir()) / "albert-fetched" / hash_json(hashes)[:16]
    if not cached.is_dir():
        cached.parent.mkdir(exist_ok=True)
        partial = Path(tempfile.mkdtemp(dir=cached.parent))
        names = {file.removeprefix(address).lstrip("/") or Path(file).name: file for file in hashes}
        fetch_files(names, partial)
        # The rename fails if another process has fetched the same content meanwhile.
        with contextlib.suppress(OSError):
            partial.rename(cached)
    return cached


def fetch_files(files: Mapping[str, str], folder: Path) -> None:
    """Bring files to a local folder.

    Args:
        files: Address of each file, by its name in the folder; `/` in a name makes folders.
        folder: The folder, made here.

    Raises:
        InputError: A file is not there, or its name leads out of the folder.
    """
    # Before the first download. Names come from listings and indexes that others can write, and
    # must not overwrite files elsewhere on this machine.
    for name, address in files.items():
        if ".." in Path(name).parts or Path(name).is_absolute():
            raise InputError(f"{address}: its name, {name}, leads out of the folder; rename it")
    for name, address in files.items():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        fetch_file(address, target)


def _bucket_and_name(path: str) -> tuple[str, str]:
    bucket, _, name = path[len(_REMOTE) :].partition("/")
    if not bucket:
        raise InputError(f"{path}: got no bucket, expected {_REMOTE}bucket/name")
    return bucket, name


def _blob(path: str) -> Any:
    bucket, name = _bucket_and_name(path)
    return storage_client().bucket(bucket).blob(name)


def _existing_blob(path: str) -> Any:
    bucket, name = _bucket_and_name(path)
    with _input_errors(path):
        blob = storage_client().bucket(bucket).get_blob(name)
    if blob is None:
        raise InputError(f"{path}: no such object; expected one that exists")
    return blob


def _conflict(path: str) -> WriteConflictError:
    return WriteConflictError(
        f"{path}: exists already; another run was faster, whose result is complete"
    )


@contextlib.contextmanager
def _input_errors(path: str | Path) -> Iterator[None]:
    """Turn errors of Google Cloud Storage into errors of one line that name a remedy.

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
        raise _conflict(str(path)) from error
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
