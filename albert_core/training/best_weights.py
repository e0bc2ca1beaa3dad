"""The weights of the best evaluation: a file for each, named after its step.

The checkpoint that is saved after an evaluation names the file with its checksum. A newer one never
replaces it: whichever checkpoint a training goes on from, its best weights are there.
"""

import shutil
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from albert_core.errors import StepFailedError
from albert_core.files.checksums import describe_file, find_file_damage
from albert_core.model.weights import write_weights

# Of versions that replaced one file; a training that such a version began is continued with it.
OLD_BEST_NAME = "best.safetensors"

BestWeights = Mapping[str, Any]
"""Name of the file (`file`), step of the evaluation (`global_step`), size and checksum."""


def write_best(folder: Path, step: int, weights: Mapping[str, Any]) -> dict[str, Any]:
    """Write the best weights, which are those of a step; return the description of the file.

    The folder must exist. A file of the same step is replaced once the new one is whole; files of
    other steps stay.

    Raises:
        StepFailedError: It cannot be written, as on a full disk; checkpoints stay as they are.
    """
    path = folder / f"best-{step:09d}.safetensors"
    try:
        write_weights(path, weights)
        return {"file": path.name, "global_step": step, **describe_file(path)}
    except OSError as error:
        raise StepFailedError(
            f"best weights {path}: cannot be written ({error.strerror or error}); the checkpoints "
            "before are whole; make room and run again to continue there"
        ) from error


def copy_best(folder: Path, best: BestWeights, target: Path) -> None:
    """Copy the best weights of a finished training to a file, and check the copy.

    Args:
        folder: Folder of the training's checkpoints, with the file of the weights.
        best: What `write_best` returned for them; not empty.
        target: The file, in a folder that exists; one that is there is replaced in place.

    Raises:
        StepFailedError: They are damaged; the copy is removed.
        OSError: They are missing, or the copy cannot be written.
    """
    shutil.copy(folder / best["file"], target)
    if damage := find_file_damage(target, best):
        target.unlink()
        raise StepFailedError(
            f"{folder / best['file']}: damaged ({damage.replace(target.name, best['file'])}); run "
            "again to make these weights again"
        )


def remove_other_best(folder: Path, names: Collection[str]) -> None:
    """Remove the files of best weights in a folder, except those with these names.

    Only files named `best*.safetensors` count; one that is gone is no error.

    Raises:
        OSError: A file cannot be removed.
    """
    for path in folder.glob("best*.safetensors"):
        if path.name not in names:
            path.unlink(missing_ok=True)  # another process may remove it, too
