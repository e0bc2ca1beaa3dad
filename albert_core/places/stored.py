"""The outputs at the places of a run in a bucket, found by their manifests and verified by them."""

from collections.abc import Iterator

from albert_core.artifacts.inputs import verify_stored_files
from albert_core.artifacts.manifest import MANIFEST_NAME
from albert_core.errors import InputError
from albert_core.places.outputs import PLACES, RunOutputs, read_outputs
from albert_core.storage import find_files, join


def find_stored_outputs(address: str) -> RunOutputs:
    """Return the outputs at the places of a run in a bucket; reads only manifests.

    Exports are not among them: the folders of their tasks are copied to the places, the manifest
    above them is not.

    Raises:
        InputError: There is no file, or a manifest cannot be read.
        ServiceError: The storage failed.
    """
    return read_outputs(_with_manifest(_files_at_places(address)))


def verify_stored_outputs(address: str) -> Iterator[str]:
    """Compare all files at the places of a run in a bucket with their manifests, by sha256.

    Files are fetched one at a time, and none is kept on this machine.

    Yields:
        A sentence for people on each output, and on each place with files in no output's folder,
        as those of exports, which are not compared. Files in an output's folder that its manifest
        does not list are ignored.

    Raises:
        InputError: There is no manifest at any place, or one that cannot be read; or a file is lost
            or damaged.
        ServiceError: The storage failed.
    """
    files = _files_at_places(address)
    outputs = _with_manifest(files)
    if not outputs:
        raise InputError(
            f"{address}: got no {MANIFEST_NAME} at any place of the run, expected the output of a "
            "step; without a manifest nothing can be verified"
        )
    yield from (f"{output}: {verify_stored_files(output)}" for output in outputs)
    folders = tuple(join(output, "") for output in outputs)
    others = [file for file in files if not file.startswith(folders)]
    root = address.rstrip("/")
    for place in PLACES:
        if count := sum(file.startswith(f"{root}/{place}/") for file in others):
            files_in_words = "1 file" if count == 1 else f"{count:,} files"
            yield (
                f"not verified: {files_in_words} in {root}/{place}, in no folder with a "
                f"{MANIFEST_NAME}"
            )


def _files_at_places(address: str) -> list[str]:
    """Return the addresses of all files below a run's places, sorted.

    Raises:
        InputError: There is no file at the address.
        ServiceError: The storage failed.
    """
    root = address.rstrip("/")
    paths = [file.path for file in find_files(root)]
    # Beside the places there may be work in progress, with manifests of earlier settings.
    return [path for path in paths if path.removeprefix(f"{root}/").partition("/")[0] in PLACES]


def _with_manifest(files: list[str]) -> list[str]:
    """Return the folders of the manifests among some files."""
    ending = f"/{MANIFEST_NAME}"
    return [path.removesuffix(ending) for path in files if path.endswith(ending)]
