"""The places of a run in the cloud, where there are no links: copies made by the storage itself."""

from albert_core.artifacts.manifest import MANIFEST_NAME
from albert_core.places.outputs import RunOutputs
from albert_core.places.scores import task_scores, write_scores
from albert_core.storage import copy_object, find_files, join


def publish_places(outputs: RunOutputs, folder: str) -> list[str]:
    """Copy a run's outputs to their places in a folder of a bucket, and write its scores there.

    A place has its manifest last, so that a copy that ended early is not taken for a whole one.

    Args:
        outputs: Outputs in the cloud.
        folder: The folder, gs:// or s3://.

    Returns:
        The names of the places.

    Raises:
        InputError: An output cannot be read, or the folder not be written.
    """
    places = outputs.places()
    for name, source in places.items():
        root = source.rstrip("/")
        paths = [file.path for file in find_files(root)]
        for path in sorted(paths, key=lambda path: path.endswith(f"/{MANIFEST_NAME}")):
            copy_object(path, join(join(folder, name), path.removeprefix(f"{root}/")))
    write_scores(task_scores(outputs), folder)
    return list(places)
