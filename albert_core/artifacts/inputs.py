"""A step's inputs: brought to this machine, and compared with their manifests."""

from pathlib import Path

from albert_core.artifacts.manifest import MANIFEST_NAME, find_damage, find_manifest
from albert_core.errors import InputError
from albert_core.storage import is_remote, local_folder

# Hashing 1 GB takes about a second. Above that, hashing would take longer than some steps do, and
# a local disk, other than a network, rarely changes a byte.
_MAX_HASHED_BYTES = 1 << 30


def input_folder(address: str | Path) -> Path:
    """Return the local path of an input, fetched if it is in the cloud, and check its files.

    The output of a step is compared with its manifest: sizes always, sha256 if it was fetched or
    has less than 1 GiB. A folder or file without a manifest is returned unchecked; a local one
    need not exist.

    Raises:
        InputError: It does not exist in the cloud, its manifest cannot be read, or a file that the
            manifest lists is lost or damaged.
    """
    folder = local_folder(address)
    manifest = find_manifest(folder)
    if manifest is None:
        return folder
    with_hashes = is_remote(address) or manifest.num_bytes < _MAX_HASHED_BYTES
    if damage := find_damage(folder, manifest, with_hashes=with_hashes):
        raise InputError(
            f"{address}: {damage}, by its {MANIFEST_NAME}; delete this folder and run "
            f"`albert {manifest.step}`, or the pipeline, again"
        )
    return folder
