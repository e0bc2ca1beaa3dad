"""A step's inputs: brought to this machine, and compared with their manifests."""

import dataclasses
import tempfile
from pathlib import Path

from albert_core.artifacts.manifest import (
    MANIFEST_NAME,
    DamagedManifestError,
    Manifest,
    find_damage,
    find_manifest,
)
from albert_core.artifacts.remote_output import RemoteOutput
from albert_core.errors import InputError
from albert_core.storage import fetch_files, join, local_folder

# Hashing 1 GB takes one to two seconds. All weights of ALBERT are below this. Of larger records
# each has a checksum of its own, which their readers compare, so that they are not read twice.
_MAX_HASHED_BYTES = 4 << 30


def is_worth_hashing(manifest: Manifest) -> bool:
    """Return whether all files are less than 4 GiB together; more are compared by size alone."""
    return manifest.num_bytes < _MAX_HASHED_BYTES


def input_folder(address: str | Path) -> Path:
    """Return the local path of an input, fetched if it is in the cloud, and check its files.

    The output of a step, or a part of it, as one format of an export, is compared with its
    manifest: sizes always, sha256 if it has less than 4 GiB. What was fetched has been compared
    with its storage's checksums besides. A folder or file without a manifest is returned unchecked;
    a local one need not exist.

    Raises:
        InputError: It does not exist in the cloud, its manifest cannot be read, or a file that the
            manifest lists is lost or damaged.
        ServiceError: The storage failed.
    """
    folder = local_folder(address)
    covering = _find_covering(folder)
    if covering is None:
        return folder
    root, manifest = covering
    if damage := find_damage(root, manifest, with_hashes=is_worth_hashing(manifest)):
        raise _damage_error(address, damage, manifest)
    return folder


def verify_files(address: str | Path) -> str:
    """Compare all files at an address with their manifest, by sha256 whatever their size.

    The manifest is there or up to three folders above. What is in the cloud is fetched.

    Returns:
        A sentence on how many files were compared, for people.

    Raises:
        InputError: There is nothing, or no manifest to compare it with; or a file is lost or
            damaged.
        ServiceError: The storage failed.
    """
    covering = _find_covering(local_folder(address))
    if covering is None:
        raise InputError(
            f"{address}: got nothing with a {MANIFEST_NAME} there or above, expected the output of "
            "a step, or a part of it; without a manifest nothing can be verified"
        )
    root, manifest = covering
    if damage := find_damage(root, manifest, with_hashes=True):
        raise _damage_error(address, damage, manifest)
    return _describe_verified(manifest)


def verify_stored_files(address: str) -> str:
    """Compare all files of an output in a bucket with its manifest, by sha256, and keep none here.

    They are fetched one at a time, so that the disk needs room only for the largest.

    Args:
        address: The output's folder, gs:// or s3://.

    Returns:
        A sentence on how many files were compared, for people.

    Raises:
        InputError: There is no manifest, or one that cannot be read; or a file is lost or damaged.
        ServiceError: The storage failed.
    """
    output = RemoteOutput(address)
    manifest = output.manifest()
    if manifest is None:
        raise InputError(f"{address}: got no {MANIFEST_NAME} there, expected the output of a step")
    damage = output.find_damage(manifest) or _find_stored_damage(address, manifest)
    if damage:
        raise _damage_error(address, damage, manifest)
    return _describe_verified(manifest)


def _find_stored_damage(address: str, manifest: Manifest) -> str | None:
    """Describe the first file of an output in a bucket whose sha256 differs, or return None.

    Raises:
        InputError: A file is missing, or its name leads out of the folder.
        ServiceError: The storage failed.
    """
    with tempfile.TemporaryDirectory() as folder:
        for name, entry in manifest.files.items():
            fetch_files({name: join(address, name)}, Path(folder))
            single = dataclasses.replace(manifest, files={name: entry})
            if damage := find_damage(Path(folder), single, with_hashes=True):
                return damage
            Path(folder, name).unlink()
    return None


def _describe_verified(manifest: Manifest) -> str:
    return (
        f"verified: {len(manifest.files):,} files, {manifest.num_bytes:,} bytes, as `albert "
        f"{manifest.step}` wrote them"
    )


def _damage_error(address: str | Path, damage: str, manifest: Manifest) -> InputError:
    return InputError(
        f"{address}: {damage}, by its {MANIFEST_NAME}; delete this folder and run "
        f"`albert {manifest.step}`, or the pipeline, again"
    )


def _find_covering(path: Path) -> tuple[Path, Manifest] | None:
    """Return the folder of the manifest that lists a path's files, and its entries for these.

    Such a manifest is in the folder itself, or up to three above, as those of exports are; one
    above that lists nothing at the path is passed over. None where there is none. A file's path may
    be a prefix of names, as for a TensorFlow 1 checkpoint.

    Raises:
        InputError: The folder's own manifest cannot be read, or one above is damaged by its
            checksum.
    """
    if manifest := find_manifest(path):
        return path, manifest
    # Resolved: the stable places of a run are links into its artifacts.
    path = path.resolve()
    for root in list(path.parents)[:3]:
        below = path.relative_to(root).as_posix()
        prefix = f"{below}/" if path.is_dir() else below
        manifest = _find_manifest_above(root)
        files = manifest.files if manifest else {}
        part = {name: entry for name, entry in files.items() if name.startswith(prefix)}
        if manifest and part:
            return root, dataclasses.replace(manifest, files=part)
    return None


def _find_manifest_above(root: Path) -> Manifest | None:
    """Return the manifest in a folder; None also where it cannot be read as one.

    Raises:
        DamagedManifestError: Its checksum differs.
    """
    try:
        return find_manifest(root)
    except DamagedManifestError:
        raise
    except InputError:
        return None
