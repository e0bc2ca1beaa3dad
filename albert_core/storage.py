"""Files by their address: a local path, or gs://bucket/name in Google Cloud Storage.

The one module that knows where files lie. google-cloud-storage is imported when the first gs://
address is met, so that nothing on one machine needs it.
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
    fingerprint,
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
    """An object in the cloud as it was when it was read.

    Attributes:
        data: Its bytes.
        generation: The number Google gave to this write of it.
        age_s: Seconds since that write, by this machine's clock.
    """

    data: bytes
    generation: int
    age_s: float


class TakenError(InputError):
    """An address holds what another writer put there since this one looked."""


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
    named = Path(pattern)
    candidates = (
        named.rglob("*") if named.is_dir() else map(Path, glob.glob(pattern, recursive=True))
    )
    for path in candidates:
        if path.is_file():
            yield StoredFile(str(path.absolute()), path.stat().st_size)


def _find_remote(pattern: str) -> Iterator[StoredFile]:
    bucket, name = _bucket_and_name(pattern)
    literal = re.split(r"[*?\[]", name, maxsplit=1)[0]
    is_glob = literal != name
    wanted = (
        _glob_expression(name) if is_glob else re.compile(f"{re.escape(name.rstrip('/'))}(/|$)")
    )
    with _clear_errors(pattern):
        for blob in storage_client().list_blobs(
            bucket, prefix=literal if is_glob else name.rstrip("/")
        ):
            matches = wanted.fullmatch(blob.name) if is_glob else wanted.match(blob.name)
            if (matches or not name) and not blob.name.endswith("/"):
                yield StoredFile(f"{_REMOTE}{bucket}/{blob.name}", blob.size)


def _glob_expression(pattern: str) -> re.Pattern[str]:
    wild = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    parts = re.split(r"(\*\*/|\*\*|\*|\?|\[[^\]]+\])", pattern)
    return re.compile("".join(wild.get(p, p if p.startswith("[") else re.escape(p)) for p in parts))


def open_file(path: str) -> BinaryIO:
    """Open a file for reading; it can be sought in.

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
    """Return whether there is a file."""
    if not is_remote(path):
        return Path(path).is_file()
    with _clear_errors(path):
        return _blob(path).exists()


def content_hash(path: str) -> str:
    """Return a hash of a file's bytes: sha256, or the checksum Google keeps of an object."""
    if not is_remote(path):
        return sha256_of_file(Path(path))
    return f"crc32c:{_existing_blob(path).crc32c}"


def read_bytes(path: str) -> bytes:
    """Return the whole file."""
    with open_file(path) as file:
        return file.read()


def generation(path: str) -> int:
    """Return what changes whenever a file is written anew: 0 where there is none."""
    if is_remote(path):
        bucket, name = _bucket_and_name(path)
        with _clear_errors(path):
            blob = storage_client().bucket(bucket).get_blob(name)
        return int(blob.generation) if blob else 0
    return Path(path).stat().st_mtime_ns if Path(path).exists() else 0


def write_bytes(
    path: str, data: bytes, *, only_new: bool = False, replaces: int | None = None
) -> None:
    """Write a file that is either whole or not there.

    Args:
        path: Where.
        data: What.
        only_new: Refuse an address that is taken, also by a writer at the same time.
        replaces: Refuse an address that is of another `generation` than this.

    Raises:
        TakenError: It is taken.
    """
    expected = 0 if only_new else replaces
    if is_remote(path):
        with _clear_errors(path):
            _blob(path).upload_from_string(
                data,
                content_type="application/octet-stream",
                checksum="crc32c",
                if_generation_match=expected,
            )
        return
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    if expected is not None and generation(path) != expected:
        raise _taken(path)
    write_atomically(Path(path), data)


def read_version(path: str) -> Version | None:
    """Return an object of the cloud with its generation; None where there is none.

    Raises:
        TakenError: It was replaced at this very moment.
    """
    bucket, name = _bucket_and_name(path)
    with _clear_errors(path):
        blob = storage_client().bucket(bucket).get_blob(name)
        if blob is None:
            return None
        data = blob.download_as_bytes(if_generation_match=blob.generation)
    age = datetime.datetime.now(datetime.UTC) - blob.updated
    return Version(data=data, generation=blob.generation, age_s=age.total_seconds())


def write_version(path: str, data: bytes, *, generation: int) -> int:
    """Replace an object of the cloud if it is still of a generation; return the new one.

    Args:
        path: Where.
        data: What.
        generation: What must be there; 0 for nothing.

    Raises:
        TakenError: Something else is there.
    """
    blob = _blob(path)
    with _clear_errors(path):
        blob.upload_from_string(
            data,
            content_type="application/octet-stream",
            checksum="crc32c",
            if_generation_match=generation,
        )
    return blob.generation


def write_file(path: str, source: Path) -> None:
    """Put a finished local file at an address, whole or not at all."""
    if is_remote(path):
        with _clear_errors(path):
            _blob(path).upload_from_filename(
                str(source), content_type="application/octet-stream", checksum="crc32c"
            )
        return
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
    shutil.copyfile(source, partial)
    os.replace(partial, target)


def fetch_file(path: str, target: Path) -> None:
    """Bring a file to a local path, by a hard link where that is possible."""
    if not is_remote(path):
        link_or_copy(path, target)
        return
    with _clear_errors(path):
        _existing_blob(path).download_to_filename(str(target), checksum="crc32c")


def remove_folder(path: str) -> None:
    """Remove a folder and all in it; nothing happens where there is none."""
    if not is_remote(path):
        shutil.rmtree(path, ignore_errors=True)
        return
    bucket, name = _bucket_and_name(path)
    with _clear_errors(path):
        for blob in list(storage_client().list_blobs(bucket, prefix=f"{name.rstrip('/')}/")):
            blob.delete()


def has_files(folder: str) -> bool:
    """Return whether there is a file in a folder, at any depth."""
    if not is_remote(folder):
        return any(path.is_file() for path in Path(folder).rglob("*"))
    bucket, name = _bucket_and_name(folder)
    with _clear_errors(folder):
        prefix = f"{name.rstrip('/')}/" if name else ""
        return any(True for _ in storage_client().list_blobs(bucket, prefix=prefix, max_results=1))


def remove_file(path: str) -> None:
    """Remove a file.

    Raises:
        InputError: There is none.
    """
    if is_remote(path):
        with _clear_errors(path):
            _blob(path).delete()
    else:
        Path(path).unlink(missing_ok=True)


def local_folder(path: str | Path) -> Path:
    """Return a folder of that content on this machine: fetched, if it is in the cloud.

    A fetched one is kept in the folder for temporary files, by the checksums of its files.

    Raises:
        InputError: There is no such folder in the cloud, or an object's name leads out of it.
    """
    if not is_remote(path):
        return Path(path)
    address = str(path).rstrip("/")
    hashes = {file.path: content_hash(file.path) for file in find_files(address)}
    cached = Path(tempfile.gettempdir()) / "albert-fetched" / fingerprint(hashes)[:16]
    if not cached.is_dir():
        cached.parent.mkdir(exist_ok=True)
        partial = Path(tempfile.mkdtemp(dir=cached.parent))
        names = {file.removeprefix(address).lstrip("/") or Path(file).name: file for file in hashes}
        fetch_files(names, partial)
        with contextlib.suppress(OSError):  # another process was faster
            partial.rename(cached)
    return cached


def fetch_files(files: Mapping[str, str], folder: Path) -> None:
    """Bring files to a folder on this machine.

    Args:
        files: Address of each, by its name in the folder; `/` in a name makes folders.
        folder: Where to.

    Raises:
        InputError: A file is not there, or its name leads out of the folder.
    """
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
    with _clear_errors(path):
        blob = storage_client().bucket(bucket).get_blob(name)
    if blob is None:
        raise InputError(f"{path}: no such object; expected one that exists")
    return blob


def _taken(path: str) -> TakenError:
    return TakenError(f"{path}: exists already; another run was faster, whose result is complete")


@contextlib.contextmanager
def _clear_errors(path: str | Path) -> Iterator[None]:
    """Say in one line what Google Cloud Storage refused, and what helps."""
    from google.api_core import exceptions
    from google.auth.exceptions import GoogleAuthError

    try:
        yield
    except exceptions.PreconditionFailed as error:
        raise _taken(str(path)) from error
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
