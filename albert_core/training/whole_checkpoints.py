"""Whether a checkpoint is whole, and of the training that it is to continue.

`state.json` is sealed (`albert_core.files.checksums`) and has the checksums of the variables, of
the best weights and of the log. Checkpoints of earlier versions have that of the variables only.
"""

import dataclasses
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from albert_core.errors import InputError
from albert_core.files.atomic import sha256_of_file
from albert_core.files.checksums import (
    DamageError,
    describe_file,
    find_file_damage,
    parse_object,
    read_sealed,
    report_damage,
)
from albert_core.model.weights import read_weights, write_weights
from albert_core.optimizers.adamw import AVERAGE
from albert_core.training.best_weights import OLD_BEST_NAME
from albert_core.training.log import LOG_NAME, matches_log
from albert_core.training.state import (
    STATE_NAME,
    VARIABLES_NAME,
    TrainingState,
    checkpoint_folder,
)

Shapes = Mapping[str, tuple[int, ...]]
"""Shape of each of a model's weights, by name."""


def read_whole(path: Path, shapes: Shapes, *, work: str) -> TrainingState:
    """Return the state of a checkpoint, if all of its files are whole.

    That is its variables, the best weights it names and the log. Best weights that are lost or
    damaged are written again from the checkpoint of their evaluation, and a damaged copy of the log
    is passed over where the log itself is whole; both are reported on standard error.

    Args:
        path: Folder of the checkpoint.
        shapes: The model's.
        work: What the training is, as it was given to `save_checkpoint`.

    Raises:
        DamageError: A file is damaged, and not made again, or of another training.
    """
    state = _read_state(path, shapes, work)
    if state.log and (damage := find_file_damage(path / LOG_NAME, state.log)):
        # Either of the two will do; `recover_log` takes the one that is whole.
        if not matches_log(path.parent, state.log):
            raise DamageError(damage)
        report_damage(path / LOG_NAME, damage, "the log itself is whole")
    if state.best and (damage := find_file_damage(path.parent / state.best["file"], state.best)):
        _make_best_again(path.parent, state.best, damage, shapes, work)
    return state


def _read_state(path: Path, shapes: Shapes, work: str) -> TrainingState:
    """Return the state of a checkpoint whose variables are whole.

    A state with neither `checksum` nor `work` is of an older version: its variables are compared
    with `shapes` alone. Any other is compared with its checksums and `work`.

    Raises:
        DamageError: State or variables are damaged, or of another training or step.
    """
    try:
        values = parse_object((path / STATE_NAME).read_bytes())
    except OSError as error:
        raise DamageError(f"{STATE_NAME}: {error.strerror}") from error
    except DamageError as error:
        raise DamageError(f"{STATE_NAME}: {error}") from error
    # Only without both: a state that lost one of them is a damaged new one, and must not pass for
    # an old one, of which less is checked.
    if "checksum" not in values and "work" not in values:
        state = _read_old_state(path, values, shapes)
    else:
        values = read_sealed(path / STATE_NAME, work=work)
        if damage := find_file_damage(path / VARIABLES_NAME, values.pop("variables")):
            raise DamageError(damage)
        state = TrainingState(**values)
    # A folder that was renamed or copied: data are read from the state's step on, and the newest
    # checkpoint is found by the folder's name.
    if path != checkpoint_folder(path.parent, state.step):
        raise DamageError(f"{STATE_NAME} is of step {state.step:,}")
    return state


def _make_best_again(
    folder: Path, best: Mapping[str, Any], damage: str, shapes: Shapes, work: str
) -> None:
    """Make damaged best weights again from the checkpoint of their evaluation, if it is kept.

    Where the training averages its weights, they are the averages. The file, in `folder` as the
    checkpoints are, is replaced, also if it turns out to be other weights; success is reported on
    standard error. `best` is that of the state, `damage` the message of the error.

    Raises:
        DamageError: It is not kept, is damaged, too, or has other weights.
    """
    path, checkpoint = folder / best["file"], None
    if best["global_step"] is not None:
        checkpoint = checkpoint_folder(folder, best["global_step"])
        try:
            _read_state(checkpoint, shapes, work)
        except DamageError:
            checkpoint = None
    if checkpoint is None:
        raise DamageError(damage)
    arrays = read_weights(checkpoint / VARIABLES_NAME)
    # Of a training that averages its weights the averages are evaluated and published.
    published = {name: arrays.get(f"{name}/{AVERAGE}", arrays[name]) for name in shapes}
    write_weights(path, published)
    # The same arrays give the same bytes, so the checksum tells whether these are the best weights:
    # after a roll-back the checkpoint of that step may hold others.
    if find_file_damage(path, best):
        raise DamageError(damage)
    report_damage(path, damage, f"made again from {checkpoint.name}")


def _read_old_state(path: Path, values: dict[str, Any], shapes: Shapes) -> TrainingState:
    """Return the state of a checkpoint of an earlier version, which has no checksum of its own.

    A line on standard error says so. `values`, those of its `state.json`, lose the key `sha256`.

    Raises:
        DamageError: It lacks a field or has one that there never was, the variables are damaged,
            or the best weights are not the model's.
    """
    known = {field.name for field in dataclasses.fields(TrainingState)} - {
        *("best", "log", "timings", "compute")
    }
    if missing := {"step", "seconds", "history", "sha256"} - values.keys():
        raise DamageError(f"{STATE_NAME} lacks {', '.join(sorted(missing))}")
    # Without a checksum a flipped bit in a name shows only here; `TrainingState` would raise
    # TypeError.
    if unknown := values.keys() - known - {"sha256"}:
        raise DamageError(f"{STATE_NAME} has {', '.join(sorted(unknown))}, which no version wrote")
    variables = path / VARIABLES_NAME
    if not variables.is_file() or sha256_of_file(variables) != values.pop("sha256"):
        raise DamageError(f"{VARIABLES_NAME} is missing, or its sha256 differs")
    state = TrainingState(**values)
    # Best weights were written at the first evaluation; before it there is no file to miss.
    if state.history:
        state.best = _describe_old_best(path.with_name(OLD_BEST_NAME), shapes)
    text = "of an earlier version, which wrote no checksum of its state; used as it is"
    print(f"albert: {path}: {text}", file=sys.stderr, flush=True)
    return state


def _describe_old_best(path: Path, shapes: Shapes) -> dict[str, Any]:
    """Describe a file of best weights of an earlier version, which wrote no checksum of it.

    Returns:
        `file`, its name; `global_step`, None as the step is not known; and its size and checksum
        as they are now.

    Raises:
        DamageError: It is missing, cannot be read, or holds other variables than the model has.
    """
    try:
        file_shapes = {name: array.shape for name, array in read_weights(path).items()}
    except InputError as error:
        raise DamageError(str(error)) from error
    if file_shapes != dict(shapes):
        raise DamageError(f"{path.name} holds other variables than the model has")
    return {"file": path.name, "global_step": None, **describe_file(path)}
