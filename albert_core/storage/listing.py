"""Which files there are: at an address, below a folder, or by a glob."""

import contextlib
import dataclasses
import os
from collections.abc import Iterator
from pathlib import Path

from albert_core.errors import InputError, NoAccessError
from albert_core.files.folders import FOLDERS_OF_VOLUMES
from albert_core.files.globs import Parts, expand_glob, is_glob, literal_beginning, match_names
from albert_core.storage.addresses import find_storage, is_remote, storage_of


@dataclasses.dataclass(frozen=True, order=True)
class StoredFile:
    """A file and its size.

    Attributes:
        path: Its address: an absolute path or an address in a bucket.
        num_bytes: Its size.
    """

    path: str
    num_bytes: int


def find_files(pattern: str) -> list[StoredFile]:
    """Return the files that a pattern names, sorted by address.

    Args:
        pattern: A file, a folder (read recursively, hidden files too) or a glob by the rules of
            `albert_core.files.globs`. A file or folder of exactly this name wins over the glob.
            Below a local folder, links to folders are not followed.

    Raises:
        InputError: There is none; or a local folder that this goes through, or the bucket, must not
            be read.
        ServiceError: The storage failed.
    """
    files = sorted(set(_find_remote(pattern) if is_remote(pattern) else _find_local(pattern)))
    if not files:
        where = "" if is_remote(pattern) else f" (read from {Path.cwd()})"
        raise InputError(
            f"{pattern!r}: no file matches; expected a file, a folder or a glob{where}"
        )
    return files


def _find_local(pattern: str) -> Iterator[StoredFile]:
    """Yield a local file, the files of a folder at any depth, or the files that match a glob.

    Files are unsorted and have absolute paths; a glob may yield one repeatedly. Yields nothing if
    nothing matches. A pattern that exists as a file or folder is not read as a glob; an empty one
    is the current folder. Hidden files of a folder are among its files, those below links to
    folders are not. Folders that a glob matches are left out, and not looked into.

    Raises:
        InputError: A folder that this goes through must not be read.
    """
    path = Path(pattern)
    # What exists comes first: its name may have brackets, which a glob does not take literally.
    if _is_there(path):
        candidates = _paths_below(path) if path.is_dir() else iter([path])
    else:
        candidates = _glob(pattern)
    for candidate in candidates:
        if _is_file(candidate):
            yield StoredFile(str(candidate.absolute()), candidate.stat().st_size)


def _paths_below(folder: Path) -> Iterator[Path]:
    """Yield all paths below a local folder that are no folders; links to folders among them.

    Of FOLDERS_OF_VOLUMES, what must not be read is left out.

    Raises:
        InputError: A folder, or what is in it, must not be read: a part of the files would be
            missing.
    """
    # Not by Path.rglob or os.walk, which pass over what they have no right to read.
    for name in _local_names(folder.parts):
        path = folder / name
        try:
            is_folder = path.is_dir() and not path.is_symlink()
        except OSError as error:
            raise InputError(f"{folder}: {error.strerror}; expected a readable folder") from error
        if not is_folder:
            yield path
        elif name not in FOLDERS_OF_VOLUMES:
            yield from _paths_below(path)
        else:
            with contextlib.suppress(InputError):
                yield from _paths_below(path)


def find_below(folder: Path, pattern: str) -> list[Path]:
    """Return the files below a local folder that match a relative glob, sorted, each once.

    Returns an empty list where there is no such file or no folder. A path that cannot be examined
    does not count as a file.

    Raises:
        InputError: A folder that the glob goes through must not be read.
    """
    parts = Path(pattern).parts
    matches = expand_glob(parts, lambda below: _local_names((*folder.parts, *below)))
    return sorted({path for match in matches if _is_file(path := folder.joinpath(*match))})


def _is_there(path: str | Path) -> bool:
    """Return whether there is a local file or folder.

    Returns False for every OSError, such as for a name that is too long or a folder that must not
    be entered.
    """
    try:
        return Path(path).exists()
    except OSError:
        return False


def _is_file(path: Path) -> bool:
    """Return whether there is a local file at a path.

    Returns False for every OSError, such as for a name that is too long, or in a folder that this
    process has no right to enter.
    """
    try:
        return path.is_file()
    except OSError:
        return False


def _glob(pattern: str) -> Iterator[Path]:
    """Yield the absolute local paths that match a glob, unsorted, maybe repeatedly.

    A glob whose last part has no wildcard also yields paths that do not exist.
    """
    anchor, *parts = Path(pattern).absolute().parts
    return (Path(*match) for match in expand_glob(tuple(parts), _local_names, (anchor,)))


def _local_names(folder: Parts) -> list[str]:
    """Return the names in a local folder; none where there is no folder.

    A link to a folder that contains the link has no names either: they would repeat without end.

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
    """Yield the object at an address and the objects below it; if there are none, a glob's matches.

    Yields nothing if nothing matches. From a bucket that may be read but not listed, as some public
    ones, it yields only the object at the address.

    Raises:
        InputError: Nothing may be listed, and the address is a glob or a whole bucket; there is no
            such bucket; or, without a right to list, no such object.
    """
    storage = storage_of(pattern)
    bucket, name = storage.bucket_and_name(pattern)
    folder = name.rstrip("/")
    try:
        sizes = _object_sizes(pattern, folder)
    except NoAccessError:
        if is_glob(name) or not folder:
            raise
        yield StoredFile(pattern, storage.existing(pattern).num_bytes)
        return
    matches = [key for key in sizes if not folder or f"{key}/".startswith(f"{folder}/")]
    if not matches and is_glob(name):
        # Storages filter by a prefix; the rest of the pattern is matched here.
        sizes = _object_sizes(pattern, literal_beginning(name))
        matches = match_names(name, sizes)
    for key in matches:
        yield StoredFile(f"{storage.scheme}{bucket}/{key}", sizes[key])


def _object_sizes(path: str, prefix: str) -> dict[str, int]:
    """Return the sizes in bytes of the objects whose names begin with `prefix`, by name.

    Lists the bucket of `path`; objects whose names end in "/" are left out.
    """
    objects = storage_of(path).list_objects(path, prefix)
    # Consoles make empty objects with a final "/" to show folders: they are no files.
    return {each.name: each.num_bytes for each in objects if not each.name.endswith("/")}


def has_files(folder: str) -> bool:
    """Return whether there is a file in a folder, at any depth; False where there is no folder.

    In the cloud an empty object that stands for a folder counts, too. There may be the errors of
    `ObjectStorage` then.

    Raises:
        InputError: A local folder that this goes through must not be read.
    """
    if not is_remote(folder):
        return any(map(_is_file, _paths_below(Path(folder))))
    storage = storage_of(folder)
    _, name = storage.bucket_and_name(folder)
    prefix = f"{name.rstrip('/')}/" if name else ""
    return any(True for _ in storage.list_objects(folder, prefix, limit=1))


# In the name of a file that a list of addresses names: with no bound, lists of thousands of files
# would be looked up in millions of combinations.
_MOST_COMMAS = 7


def split_addresses(value: str) -> list[str]:
    """Split a list of addresses at its commas, except at commas in the name of an existing file.

    A name is that of a file, a folder or a glob with files, and may have up to seven commas; from
    left to right, the longest one that exists is taken. White space stays. Files are looked up only
    for values with commas; an empty value gives one empty address.
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

    It may be a file, a folder or a glob with files. Returns False if a part after the first is
    itself an address in a bucket.
    """
    address = ",".join(parts)
    if any(map(find_storage, parts[1:])):
        return False
    if not find_storage(address):
        return _is_there(address) or (is_glob(address) and any(map(_is_there, _glob(address))))
    with contextlib.suppress(InputError):
        return bool(find_files(address))
    return False
