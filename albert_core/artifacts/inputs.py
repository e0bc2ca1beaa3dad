"""A step's inputs: on this machine, and as they were written."""

from pathlib import Path

from albert_core.artifacts.manifest import MANIFEST_NAME, find_damage, find_manifest
from albert_core.errors import InputError
from albert_core.storage import is_remote, local_folder

_MAX_HASHED_BYTES = 1 << 30  # of a local folder: about a second


def input_folder(address: str | Path) -> Path:
    """Return an input on this machine, fetched if it is in the cloud, after a look at its files.

    An artifact of a step is compared with its manifest: sizes always, sha256 if it was fetched or
    has less than 1 GB. What has no manifest is taken as it is.

    Raises:
        InputError: It does not exist in the cloud, or a file is lost or damaged.
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
