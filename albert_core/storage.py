"""Files by their address: a local path, or gs://bucket/name in Google Cloud Storage.

All access to files that may be in the cloud goes through this module. google-cloud-storage is
imported at the first gs:// address, so that work on one machine does not need it.
"""

import contextlib
import dataclasses
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, cast

from albert_core.checksums import FileFacts, find_file_damage, report_damage
from albert_core.errors import InputError
from albert_core.files import (
    hash_json,
    link_or_copy,
    refuse_special_file,
    sha256_of_file,
    write_atomically,
)
from albert_core.globs import Parts, expand_glob, is_glob, literal_beginning, match_names
from albert_core.google_storage import (
    SCHEME,
    blob_at,
    bucket_and_name,
    conflict_error,
    existing_blob,
    input_errors,
    storage_client,
    write_version,
)
from albert_core.user_folder import user_folder

# Of two letters or more: one letter is a drive.
_ANY_SCHEME = re.compile(r"\s*(?P<name>[a-z][a-z0-9+.-]+):(?P<slashes>/*)", re.IGNORECASE)
_STORAGES = {"gs", "gcs", "s3", "s3a", "s3n", "hf", "file", "hdfs", "abfs", "abfss", "az"}


@dataclasses.dataclass(frozen=True, order=True)
class StoredFile:
    """A file and its size.

    Attributes:
        path: Its address: an absolute path or a gs:// address.
        num_bytes: Its size.
    """

    path: str
    num_bytes: int


def is_remote(path: str | Path) -> bool:
    """Return whether an address is in Google Cloud Storage.

    Raises:
        InputError: It is in another kind of storage, or gs:// is misspelt. Without this, a folder
            named `gs:` would be made here.
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


def find_files(pattern: str) -> list[StoredFile]:
    """Return the files that a pattern names, sorted by address.

    Args:
        pattern: A file, a folder (read recursively) or a glob by the rules of
            `albert_core.globs`. A file or folder of exactly this name wins over the glob.

    Raises:
        InputError: There is none.
    """
    files = sorted(set(_find_remote(pattern) if is_remote(pattern) else _find_local(pattern)))
    if not files:
        where = "" if is_remote(pattern) else f" (read from {Path.cwd()})"
        raise InputError(
            f"{pattern!r}: no file matches; expected a file, a folder or a glob{where}"
        )
    return files


# In the name of a file that a list of addresses names: with no bound, lists of thousands of files
# would be looked up in millions of combinations.
_MOST_COMMAS = 7


def split_addresses(value: str) -> list[str]:
    """Split a list of addresses at its commas, but for those of names that exist.

    At each place the longest existing name wins. A name may have up to seven commas.
    """
    parts = value.split(",")
    addresses: list[str] = []
    while parts:
        # The longest name first: of a folder "a,b" and a file "a" the former is meant.
        most = min(len(parts), _MOST_COMMAS + 1)
        joined = (count for count in range(most, 1, -1) if _exists_with_commas(parts[:count]))
        count = next(joined, 1)
        addresses.append(",".join(parts[:count]))
        del parts[:count]
    return addresses


def _exists_with_commas(parts: list[str]) -> bool:
    """Return whether parts of a list, joined by commas, are one address of something that exists.

    That is a file, a folder or a glob with files. Never if a later part begins with gs://.
    """
    address = ",".join(parts)
    if any(part.startswith(SCHEME) for part in parts[1:]):
        return False
    if not address.startswith(SCHEME):
        return _is_there(address) or (is_glob(address) and any(map(_is_there, _glob(address))))
    with contextlib.suppress(InputError):
        return bool(find_files(address))
    return False


def _find_local(pattern: str) -> Iterator[StoredFile]:
    """Yield a local file, the files of a folder at any depth, or those that match a glob.

    They come unsorted, by absolute path. A pattern that exists as a file or folder is no glob.
    """
    path = Path(pattern)
    # What exists comes first: its name may have brackets, which a glob does not take literally.
    candidates = path.rglob("*") if path.is_dir() else [path] if _is_there(path) else _glob(pattern)
    for candidate in candidates:
        if candidate.is_file():
            yield StoredFile(str(candidate.absolute()), candidate.stat().st_size)


def find_below(folder: Path, pattern: str) -> list[Path]:
    """Return the files below a local folder that match a relative glob, sorted; maybe none."""
    parts = Path(pattern).parts
    matches = expand_glob(parts, lambda below: _local_names((*folder.parts, *below)))
    return sorted({path for match in matches if (path := folder.joinpath(*match)).is_file()})


def _is_there(path: str | Path) -> bool:
    """Return whether there is a local file or folder; a name that is too long has none."""
    try:
        return Path(path).exists()
    except OSError:
        return False


def _glob(pattern: str) -> Iterator[Path]:
    """Yield the local paths that match a glob, maybe repeatedly."""
    anchor, *parts = Path(pattern).absolute().parts
    return (Path(*match) for match in expand_glob(tuple(parts), _local_names, (anchor,)))


def _local_names(folder: Parts) -> list[str]:
    """Return the names in a local folder; none where there is no folder.

    Nor are there any of a link that leads to a folder it is in, which would repeat without end.

    Raises:
        InputError: The folder cannot be read.
    """
    path = Path(*folder)
    if path.is_symlink() and path.parent.resolve().is_relative_to(path.resolve()):
        return []
    try:
        return os.listdir(path)
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; expected a readable folder") from error


def _find_remote(pattern: str) -> Iterator[StoredFile]:
    """Yield the object at a gs:// address and those below it; if there is none, those of a glob."""
    bucket, name = bucket_and_name(pattern)
    folder = name.rstrip("/")
    with input_errors(pattern):
        sizes = _list_objects(bucket, folder)
        matches = [key for key in sizes if not folder or f"{key}/".startswith(f"{folder}/")]
        if not matches and is_glob(name):
            # Google filters by a prefix; the rest of the pattern is matched here.
            sizes = _list_objects(bucket, literal_beginning(name))
            matches = match_names(name, sizes)
    for key in matches:
        yield StoredFile(f"{SCHEME}{bucket}/{key}", sizes[key])


def _list_objects(bucket: str, prefix: str) -> dict[str, int]:
    """Return the sizes in bytes of a bucket's objects whose names begin with `prefix`, by name.

    Objects whose names end in "/" are left out.
    """
    blobs = storage_client().list_blobs(bucket, prefix=prefix)
    # Consoles make empty objects with a final "/" to show folders: they are no files.
    return {blob.name: blob.size for blob in blobs if not blob.name.endswith("/")}


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

    A local file is read once. Of an object in the cloud Google's own size and checksum are
    compared, which takes one request.
    """
    if not is_remote(path):
        return find_file_damage(Path(path), facts)
    name = path.rpartition("/")[2]
    with contextlib.suppress(InputError):
        blob = existing_blob(path)
        if (blob.size, blob.crc32c) == (facts["bytes"], facts["crc32c"]):
            return None
        return f"{name} is another object than was written"
    return f"{name} is missing"


def read_bytes(path: str) -> bytes:
    """Return the whole file."""
    with open_file(path) as file:
        return file.read()


def generation(path: str) -> int:
    """Return a number that changes whenever a file is written again; 0 where there is no file.

    It is the generation of an object, the time of change of a local file in nanoseconds.
    """
    if is_remote(path):
        bucket, name = bucket_and_name(path)
        with input_errors(path):
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
        write_version(path, data, generation=expected)
        return
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    if expected is not None and generation(path) != expected:
        raise conflict_error(path)
    write_atomically(Path(path), data)


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
    """Bring a file to a local path: by a hard link where possible, a copy, or a download."""
    if not is_remote(path):
        link_or_copy(path, target)
        return
    with input_errors(path):
        existing_blob(path).download_to_filename(str(target), checksum="crc32c")


def remove_folder(path: str) -> None:
    """Remove a local or remote folder with everything in it; does nothing where there is none.

    What cannot be removed locally stays, without an error.
    """
    if not is_remote(path):
        shutil.rmtree(path, ignore_errors=True)
        return
    bucket, name = bucket_and_name(path)
    with input_errors(path):
        for blob in list(storage_client().list_blobs(bucket, prefix=f"{name.rstrip('/')}/")):
            blob.delete()


def has_files(folder: str) -> bool:
    """Return whether there is a file in a folder, at any depth."""
    if not is_remote(folder):
        return any(path.is_file() for path in Path(folder).rglob("*"))
    bucket, name = bucket_and_name(folder)
    with input_errors(folder):
        prefix = f"{name.rstrip('/')}/" if name else ""
        return any(True for _ in storage_client().list_blobs(bucket, prefix=prefix, max_results=1))


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


def local_folder(path: str | Path) -> Path:
    """Return a local folder with the content of an address, downloaded if it is in the cloud.

    A download stays in a folder of this user's own among the temporary files, named by size,
    checksum and generation of its objects, and is used again while these are the same. Its files
    are compared with them each time, which reads them once; a damaged download is made again. A
    local path is returned as it is, existing or not.

    Raises:
        InputError: There is no such folder in the cloud, an object's name leads out of it, an
            object is replaced while it is fetched, or the folder of downloads is not this user's.
    """
    if not is_remote(path):
        return Path(path)
    address = str(path).rstrip("/")
    objects = {file.path: _object_facts(file.path) for file in find_files(address)}
    names = {file.removeprefix(address).lstrip("/") or Path(file).name: file for file in objects}
    facts = {name: objects[file] for name, file in names.items()}
    cached = user_folder("albert-fetched") / hash_json(objects)[:16]
    if cached.is_dir():
        damage = _find_download_damage(cached, facts)
        if damage is None:
            return cached
        report_damage(cached, damage, f"{address} is fetched again")
        shutil.rmtree(cached)
    partial = Path(tempfile.mkdtemp(dir=cached.parent))
    fetch_files(names, partial)
    if damage := _find_download_damage(partial, facts):
        shutil.rmtree(partial)
        raise InputError(f"{address}: replaced while it was fetched ({damage}); run again")
    try:
        partial.rename(cached)
    except OSError:  # another process has fetched the same content meanwhile
        shutil.rmtree(partial)
    return cached


def _object_facts(path: str) -> dict[str, Any]:
    """Return size, checksum and generation of an object in the cloud, by one request."""
    blob = existing_blob(path)
    return {"bytes": blob.size, "crc32c": blob.crc32c, "generation": blob.generation}


def _find_download_damage(folder: Path, facts: Mapping[str, FileFacts]) -> str | None:
    """Return how a folder differs from the files it should hold, and no others; or None."""
    present = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if not p.is_dir()}
    if foreign := sorted(present - facts.keys()):
        return f"{foreign[0]} was not fetched"
    if links := [name for name in sorted(present) if (folder / name).is_symlink()]:
        return f"{links[0]} is a link"
    return next(filter(None, (find_file_damage(folder / n, f) for n, f in facts.items())), None)


def local_file(path: str | Path) -> Path:
    """Return the local path of a file, downloaded as by `local_folder` if it is in the cloud.

    A local path is returned as it is, existing or not.

    Raises:
        InputError: There is no such file in the cloud.
    """
    return local_folder(path) / Path(path).name if is_remote(path) else Path(path)


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
