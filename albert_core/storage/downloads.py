"""Local copies of files and folders in the cloud, kept while the objects stay the same."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from albert_core.errors import InputError
from albert_core.files.atomic import hash_json
from albert_core.files.checksums import (
    DamageError,
    FileFacts,
    describe_file,
    find_file_damage,
    read_sealed,
    report_damage,
    write_sealed,
)
from albert_core.files.partial_files import (
    partial_path,
    remove_staged,
    remove_whole_folder,
    replace_folder,
    staging_folder,
)
from albert_core.processes.user_folder import user_folder
from albert_core.storage.addresses import is_remote, storage_of
from albert_core.storage.contents import fetch_file
from albert_core.storage.listing import find_files


def local_folder(path: str | Path) -> Path:
    """Return a local folder with the content of an address, downloaded if it is in the cloud.

    A download stays in a folder of this user's own among the temporary files, named by size,
    checksum and generation of its objects, and is used again while these are the same. Each time,
    the files are read and compared with the objects' checksums; a damaged download is named on
    standard error and made again. For objects whose storage keeps no checksum, the checksum of the
    downloaded bytes is kept in a file beside the folder. A local path is returned as it is,
    existing or not. An address of one object gives a folder with that object.

    Raises:
        InputError: There is no such folder in the cloud, an object's name leads out of it, an
            object is replaced while it is fetched, or the folder of downloads is not this user's.
        ServiceError: The storage failed.
    """
    if not is_remote(path):
        return Path(path)
    address = str(path).rstrip("/")
    objects = {file.path: _object_facts(file.path) for file in find_files(address)}
    names = {file.removeprefix(address).lstrip("/") or Path(file).name: file for file in objects}
    facts = {name: objects[file] for name, file in names.items()}
    cached = user_folder("albert-fetched") / hash_json(objects)[:16]
    if cached.is_dir():
        damage = _find_cache_damage(cached, facts)
        if damage is None:
            remove_staged(partial_path(cached))
            return cached
        report_damage(cached, damage, f"{address} is fetched again")
        remove_whole_folder(cached)
    with staging_folder(partial_path(cached), waits=True) as partial:
        if cached.is_dir():  # another process has fetched the same content meanwhile
            return cached
        fetch_files(names, partial)
        if damage := _find_download_damage(partial, facts):
            raise InputError(f"{address}: replaced while it was fetched ({damage}); run again")
        _note_checksums(partial, cached, facts, names)
        replace_folder(partial, cached)
    return cached


def _object_facts(path: str) -> dict[str, Any]:
    """Return `bytes`, `crc32c` (maybe None) and `generation` of an object, by one request.

    Raises:
        InputError: There is no such object.
        ServiceError: The storage failed.
    """
    stored = storage_of(path).existing(path)
    return {"bytes": stored.num_bytes, "crc32c": stored.crc32c, "generation": stored.generation}


def _note_checksums(
    folder: Path, cached: Path, facts: Mapping[str, FileFacts], addresses: Mapping[str, str]
) -> None:
    """Write the CRC-32C of each downloaded file whose storage keeps no checksum.

    Args:
        folder: Folder that holds the downloaded files now.
        cached: Folder that they will be moved to. The checksums are written to a file beside it,
            unless every object has one in its storage.
        facts: Size, checksum and generation of each object before the download, by the file's name.
        addresses: Addresses of the objects, by the file's name.

    Raises:
        InputError: An object without a checksum has been replaced since its facts were read;
            nothing is written.
        ServiceError: The storage failed.
    """
    unknown = [name for name, each in facts.items() if each["crc32c"] is None]
    for name in unknown:
        if _object_facts(addresses[name]) != facts[name]:
            raise InputError(f"{addresses[name]}: replaced while it was fetched; run again")
    if unknown:
        noted = {name: describe_file(folder / name)["crc32c"] for name in unknown}
        write_sealed(_notes_path(cached), noted, work=cached.name)


def _notes_path(cached: Path) -> Path:
    return cached.with_name(f"{cached.name}.json")


def _find_cache_damage(cached: Path, facts: Mapping[str, FileFacts]) -> str | None:
    """Return how an earlier download differs from its objects, in a few words, or None.

    Files whose storage keeps no checksum are compared with the checksum that was written when they
    were downloaded; if that is missing or damaged, it is a difference.
    """
    noted: dict[str, str] = {}
    if any(each["crc32c"] is None for each in facts.values()):
        try:
            noted = read_sealed(_notes_path(cached), work=cached.name)
        except DamageError as error:
            return str(error)
    whole = {
        name: {**each, "crc32c": noted.get(name, each["crc32c"])} for name, each in facts.items()
    }
    return _find_download_damage(cached, whole)


def _find_download_damage(folder: Path, facts: Mapping[str, FileFacts]) -> str | None:
    """Return how a folder differs from the files it should hold, in a few words, or None.

    Only the first difference is named: a link to a file or a folder, else a file that should not be
    there, else a file that is missing or has another size or checksum. A checksum that is None is
    not compared. Folders without files do not count.
    """
    paths = [path for path in folder.rglob("*") if path.is_symlink() or not path.is_dir()]
    if links := sorted(path for path in paths if path.is_symlink()):
        return f"{links[0].relative_to(folder)} is a link"
    present = {path.relative_to(folder).as_posix() for path in paths}
    if foreign := sorted(present - facts.keys()):
        return f"{foreign[0]} was not fetched"
    return next(filter(None, (find_file_damage(folder / n, f) for n, f in facts.items())), None)


def local_file(path: str | Path) -> Path:
    """Return the local path of a file, downloaded as by `local_folder` if it is in the cloud.

    A local path is returned as it is, existing or not.

    Raises:
        InputError: There is no such file in the cloud, it is replaced while it is fetched, or the
            folder of downloads is not this user's.
        ServiceError: The storage failed.
    """
    return local_folder(path) / Path(path).name if is_remote(path) else Path(path)


def fetch_files(files: Mapping[str, str], folder: Path) -> None:
    """Copy or download files to a local folder, in order; after an error, earlier files stay.

    All names are checked before the first file is fetched.

    Args:
        files: Address of each file, local or in the cloud, by its name in the folder; `/` in a name
            makes folders.
        folder: The folder, made here if there is a file.

    Raises:
        InputError: A name leads out of the folder, or an object is not there.
        FileNotFoundError: A local file is not there.
        ServiceError: The storage failed.
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
