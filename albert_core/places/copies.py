"""The places of a run in a bucket, where there are no links: copies of its outputs."""

from albert_core.artifacts.manifest import MANIFEST_NAME
from albert_core.places.outputs import RunOutputs
from albert_core.places.scores import task_scores, write_scores
from albert_core.storage import (
    copy_to_bucket,
    exists,
    find_files,
    has_files,
    join,
    read_bytes,
    remove_folder,
)


def publish_places(outputs: RunOutputs, folder: str) -> list[str]:
    """Copy a run's outputs to their places in a folder of a bucket, and write its scores there.

    What is at a place already is replaced, unless it is the same output; places that the run has no
    more stay. A place has its manifest last, so that a copy that ended early is not taken for a
    whole one. Outputs in the same storage are copied by it. The scores are written last.

    Args:
        outputs: Outputs, local or in a bucket.
        folder: The folder, gs:// or s3://.

    Returns:
        The names of the places, in the order of the steps.

    Raises:
        InputError: An output cannot be read, or the folder not be written.
        ServiceError: The storage failed; places before that are published.
    """
    places = outputs.places()
    for name, source in places.items():
        _publish_place(source.rstrip("/"), join(folder, name))
    write_scores(task_scores(outputs), folder)
    return list(places)


def _publish_place(output: str, place: str) -> None:
    """Copy the files of an output's folder to its place in a bucket, the manifest last.

    Does nothing where the place has the same manifest; anything else there is removed first. Errors
    are those of `publish_places`.
    """
    manifests = [join(folder, MANIFEST_NAME) for folder in (output, place)]
    if all(map(exists, manifests)) and len(set(map(read_bytes, manifests))) == 1:
        return
    if has_files(place):
        remove_folder(place)
    paths = [file.path for file in find_files(output)]
    for path in sorted(paths, key=lambda path: path.endswith(f"/{MANIFEST_NAME}")):
        copy_to_bucket(path, join(place, path.removeprefix(f"{output}/")))
