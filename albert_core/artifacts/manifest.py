"""`manifest.json`: the files of a step's results, the inputs and settings they were made from."""

import dataclasses
import functools
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from albert_core.errors import InputError
from albert_core.files.atomic import hash_json, sha256_of_file, write_json
from albert_core.files.checksums import DamageError, with_checksum, without_checksum
from albert_core.settings.old_names import rename_metrics, rename_settings

MANIFEST_NAME = "manifest.json"
SCHEMA_VERSION = 1

Metrics = Mapping[str, Any]


@functools.cache
def code_version() -> str:
    """Return a hash, 12 hex digits, of the sources that decide what a step computes.

    These are all .py and .j2 files of `albert_core` and `components`, with their paths. Caches and
    image tags carry it, so that an edited package never serves a stale result. It is computed once
    in a process.
    """
    # A hash of the sources, not the package's version or the commit: an edit that is not yet
    # committed counts, and installed packages and images have no repository.
    root = Path(__file__).parents[2]
    digest = hashlib.sha256()
    for package in ("albert_core", "components"):
        for path in sorted((root / package).rglob("*")):
            if path.suffix in {".py", ".j2"}:
                # With the path, so that code moved between files counts; NUL ends it, since no
                # path has one.
                digest.update(f"{path.relative_to(root).as_posix()}\0".encode())
                digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Manifest:
    """The description of a step's results, written last.

    Attributes:
        step: Name of the step.
        fingerprint: Hash of step, config and inputs: equal means the same work.
        code_version: Hash of the sources that did the work.
        config: The settings the step used, resolved.
        inputs: Content hash of each input, by name.
        files: Size and sha256 of each file, by path relative to the folder.
        metrics: Key metrics for tables and reports.
        seconds: Wall-clock seconds of the step in the process that finished it.
        environment: Machine and versions of that process, as `describe_environment` returns them;
            empty in manifests of earlier versions.
        schema_version: Version of the manifest's form; readers refuse every other than their own.
    """

    step: str
    fingerprint: str
    code_version: str
    config: Mapping[str, Any]
    inputs: Mapping[str, str]
    files: Mapping[str, Mapping[str, Any]]
    metrics: Metrics
    seconds: float
    environment: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    schema_version: int = SCHEMA_VERSION

    @property
    def content_hash(self) -> str:
        """Hash of the files' names and sha256: the same for the same files, whatever made them."""
        # Without settings, time and code version: a step whose inputs came out the same in bytes
        # is not run again.
        return hash_json({name: entry["sha256"] for name, entry in self.files.items()})

    @property
    def num_bytes(self) -> int:
        """Size of all files together."""
        return sum(entry["bytes"] for entry in self.files.values())

    def write(self, folder: Path) -> None:
        """Write `manifest.json` into an existing folder, which marks the folder as complete.

        It appears whole, with a checksum of itself, and replaces an older one.
        """
        write_json(folder / MANIFEST_NAME, with_checksum(dataclasses.asdict(self)))


class DamagedManifestError(InputError):
    """A manifest whose content is not what was written.

    Attributes:
        fingerprint: The fingerprint it has, right or wrong; None without one.
        files: The names of files that it lists, right or wrong.
    """

    def __init__(self, message: str, values: Mapping[str, Any]) -> None:
        """Take the message, and the rest from the manifest's values, as they were read."""
        super().__init__(message)
        self.fingerprint = values.get("fingerprint")
        files = values.get("files")
        self.files = tuple(files) if isinstance(files, Mapping) else ()


def describe_files(folder: Path) -> dict[str, dict[str, Any]]:
    """Return `bytes` and `sha256` (hex) of every file below a folder, by relative path, sorted.

    Files named `manifest.json` are left out, at any depth.
    """
    return {
        path.relative_to(folder).as_posix(): {
            "bytes": path.stat().st_size,
            "sha256": sha256_of_file(path),
        }
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != MANIFEST_NAME
    }


def find_damage(folder: Path, manifest: Manifest, *, with_hashes: bool) -> str | None:
    """Describe the first difference of a folder's files from a manifest, or return None.

    Files that the manifest does not list are ignored. In the manifest's order: a file that is
    missing, or has another size or sha256.

    Args:
        folder: The folder.
        manifest: What it should hold.
        with_hashes: Whether files are compared by sha256, too, which reads all of them; else by
            size alone.
    """
    for name, entry in manifest.files.items():
        path, num_bytes = folder / name, entry["bytes"]
        if not path.is_file():
            return f"{name} is missing"
        if (actual := path.stat().st_size) != num_bytes:
            return f"{name} has {actual:,} bytes, expected {num_bytes:,}"
        if with_hashes and sha256_of_file(path) != entry["sha256"]:
            return f"{name} holds something else than was written (its sha256 differs)"
    return None


def find_manifest(folder: Path) -> Manifest | None:
    """Return the manifest in a folder, or None where there is none, or no folder.

    The files that it lists are not looked at.

    Raises:
        InputError: There is a manifest, but not one this version can read; a DamagedManifestError
            if its checksum differs.
    """
    path = folder / MANIFEST_NAME
    return parse_manifest(path.read_bytes(), str(path)) if path.is_file() else None


def parse_manifest(data: bytes, source: str) -> Manifest:
    """Return a manifest from its file's bytes; old names of metrics and settings become today's.

    Its checksum is compared; manifests of earlier versions have none.

    Raises:
        DamagedManifestError: It is whole JSON, but not what its checksum was taken of.
        InputError: It is not JSON, as when it is cut short, no manifest, or of another schema
            version. Both name `source`.
    """
    try:
        values = json.loads(data)
        if "checksum" in values:
            values = without_checksum(values)
        manifest = Manifest(**_rename_old_keys(values))
    except DamageError as error:
        raise DamagedManifestError(
            f"{source}: damaged ({error}); delete this folder and run its step, or the pipeline, "
            "again",
            values,
        ) from error
    # AttributeError: JSON, but not an object, or with metrics that are none.
    except (AttributeError, TypeError, ValueError, RecursionError) as error:
        raise InputError(f"{source}: not a manifest of this program ({error})") from error
    if manifest.schema_version != SCHEMA_VERSION:
        raise InputError(
            f"{source}: of schema version {manifest.schema_version}, this program reads "
            f"{SCHEMA_VERSION}; make the artifact anew"
        )
    return manifest


def _rename_old_keys(values: dict[str, Any]) -> dict[str, Any]:
    """Return a manifest's values under the names of this version; removes `figures` from `values`.

    `config` and `metrics` that are missing become empty.
    """
    # Manifests of earlier versions call metrics figures; people keep runs for years.
    metrics = values.pop("figures", None)
    if metrics is not None:
        values["metrics"] = metrics
    return {
        **values,
        "config": rename_settings(values.get("config", {})),
        "metrics": rename_metrics(values.get("metrics", {})),
    }


class OutputFolder(NamedTuple):
    """A folder on this machine that a step has written, and the manifest in it."""

    folder: Path
    manifest: Manifest


def read_manifest(folder: str | Path, *, step: str) -> Manifest:
    """Return the manifest of an input that a named step must have made.

    The files that it lists are not checked; `input_folder` does that.

    Raises:
        InputError: The folder is missing, has no manifest or one that cannot be read, or is another
            step's.
    """
    manifest = find_manifest(Path(folder))
    if manifest is None:
        raise InputError(
            f"{folder}: no {MANIFEST_NAME} there; expected the finished output of `albert {step}`"
        )
    if manifest.step != step:
        raise InputError(
            f"{folder}: made by `albert {manifest.step}`, expected the output of `albert {step}`"
        )
    return manifest
