"""Damage in the folder of a run: found before its steps start, so that they make it again."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from albert_core.artifacts.inputs import is_worth_hashing
from albert_core.artifacts.manifest import MANIFEST_NAME, find_damage, find_manifest
from albert_core.errors import InputError
from albert_core.files.checksums import (
    DamageError,
    FileFacts,
    describe_file,
    find_file_damage,
    parse_object,
    read_sealed,
    report_damage,
    write_sealed,
)
from albert_core.files.partial_files import remove_leftovers, remove_whole_folder
from albert_core.storage import is_remote

# kfp reads files of the cache by their names, which are hashes with the ending .json.
_CHECKSUMS_NAME, _WORK = "checksums", "kfp's cache"


def remove_damaged(folder: Path) -> None:
    """Remove damaged artifacts of a run, and entries of kfp's cache that cannot be right.

    Each is named on standard error. kfp takes what is not there for not done and starts the step,
    which publishes its results from the work folder or computes them again. Artifacts are compared
    with their manifests, by sha256 if they have less than 4 GiB. What a killed run was writing or
    removing goes without a word.

    Args:
        folder: The run's folder, in which no step is at work.
    """
    remove_leftovers(folder / "artifacts")
    _remove_empty_folders(folder / "artifacts")
    for path in (folder / "cache").glob(".kfp_cache_*.tmp"):
        path.unlink()
    for path in sorted((folder / "artifacts").rglob(MANIFEST_NAME)):
        if damage := _find_artifact_damage(path.parent):
            report_damage(path.parent, damage, "made again")
            # kfp takes a part of it for an artifact.
            remove_whole_folder(path.parent, last=MANIFEST_NAME)
    checksums = _read_checksums(folder / "cache")
    for entry in sorted((folder / "cache").glob("*.json")):
        facts = checksums.get(entry.name)
        damage = find_file_damage(entry, facts) if facts else None
        if damage := damage or _find_entry_damage(entry, folder):
            report_damage(entry, damage, "its step starts again")
            entry.unlink()


def _remove_empty_folders(folder: Path) -> None:
    """Remove empty folders below a folder, left by killed removals; kfp takes them for results."""
    for root, _, _ in os.walk(folder, topdown=False):
        if Path(root) != folder and not os.listdir(root):
            os.rmdir(root)


def record_cache(folder: Path) -> None:
    """Write the checksums of all entries of kfp's cache, for `remove_damaged` of the next run.

    For entries that a killed run left unrecorded, only the form and the addresses are checked.
    Nothing is written where there is no cache.

    Args:
        folder: The run's folder; its cache is the folder `cache` in it.
    """
    cache = folder / "cache"
    if cache.is_dir():
        entries = {path.name: describe_file(path) for path in sorted(cache.glob("*.json"))}
        write_sealed(cache / _CHECKSUMS_NAME, {"entries": entries}, work=_WORK)


def _read_checksums(cache: Path) -> dict[str, FileFacts]:
    """Return the checksums of a cache's entries, by name; none where none are recorded.

    If they are damaged, all entries are removed, which costs each step a look into its work folder.
    """
    path = cache / _CHECKSUMS_NAME
    if not path.exists():
        return {}
    try:
        return read_sealed(path, work=_WORK)["entries"]
    except DamageError as error:
        report_damage(path, error, "all steps look for their work again")
        for entry in cache.glob("*.json"):
            entry.unlink()
        return {}


def _find_artifact_damage(artifact: Path) -> str | None:
    """Return how an artifact differs from its manifest, or None; a missing manifest is damage.

    Hashes of the files are compared only where `is_worth_hashing` says so.
    """
    try:
        manifest = find_manifest(artifact)
    except InputError as error:
        return str(error)
    if manifest is None:
        return f"{MANIFEST_NAME} is missing"
    return find_damage(artifact, manifest, with_hashes=is_worth_hashing(manifest))


def _find_entry_damage(entry: Path, folder: Path) -> str | None:
    """Return why an entry of kfp's cache cannot be right, or None.

    It is no JSON object, or names a local artifact that is not below the run's folder: an entry of
    another run's cache. Artifacts in the cloud pass.
    """
    try:
        values = parse_object(entry.read_bytes())
    except DamageError as error:
        return str(error)
    foreign = (uri for uri in _uris(values) if not _may_be_of_run(uri, folder))
    uri = next(foreign, None)
    return f"it names {json.dumps(uri)}, which is no artifact of this run" if uri else None


def _uris(value: Any) -> Iterator[str]:
    """Yield the addresses of all artifacts in a JSON value.

    They are the texts under the key `uri` in its objects, at any depth.
    """
    if isinstance(value, dict):
        if isinstance(value.get("uri"), str):
            yield value["uri"]
        for item in value.values():
            yield from _uris(item)
    elif isinstance(value, list):
        for item in value:
            yield from _uris(item)


def _may_be_of_run(uri: str, folder: Path) -> bool:
    """Return whether an address is in any bucket, gs:// or s3://, or below a run's folder.

    Local ones are compared as they are spelt: links and `..` are not resolved. The folder itself is
    not below it; false for addresses of other storages, too.
    """
    try:
        return is_remote(uri) or folder in Path(uri).parents
    except InputError:  # of a storage that no run uses
        return False
