"""Training checkpoints: everything needed to continue a run with the same bits.

A checkpoint is a folder: variables, a copy of the log, and `state.json` with their checksums.
"""

import dataclasses
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import keras

from albert_core.errors import InputError, StepFailedError
from albert_core.files.atomic import write_atomically
from albert_core.files.checksums import (
    DamageError,
    describe_file,
    parse_object,
    report_damage,
    write_sealed,
)
from albert_core.model.weights import (
    assign_by_name,
    read_weights,
    weights_by_name,
    write_weights,
)
from albert_core.training.best_weights import OLD_BEST_NAME, remove_other_best
from albert_core.training.log import LOG_NAME, log_until
from albert_core.training.state import (
    STATE_NAME,
    VARIABLES_NAME,
    TrainingState,
    checkpoint_folder,
    list_checkpoints,
)
from albert_core.training.whole_checkpoints import read_whole


def save_checkpoint(
    folder: Path, model: keras.Model, state: TrainingState, *, keep: int, work: str = ""
) -> None:
    """Write a checkpoint that appears whole, then remove all but the newest `keep`.

    One of the same step is removed just before: a kill between leaves the earlier ones. Best
    weights that no checkpoint names any more are removed, too; what cannot be removed stays, and a
    line on standard error names it. Sets the state's `log`.

    Args:
        folder: Folder of the checkpoints; made if it is missing.
        model: Built, its optimizer too; its variables hold the values of the last step.
        state: What is stored besides.
        keep: How many are kept, 1 at least.
        work: What the training is, for `restore_latest`.

    Raises:
        InputError: `keep` is less than 1.
        StepFailedError: It cannot be written, as on a full disk, or the log is damaged; checkpoints
            of earlier steps are intact.
    """
    if keep < 1:
        raise InputError(f"keep_checkpoints: got {keep}, expected 1 or more")
    # With leading zeros in the name, so that names sort by step: the last one is the newest.
    final = checkpoint_folder(folder, state.step)
    # Renamed when whole: a killed process leaves nothing that looks like a checkpoint and is none.
    partial = folder / f".{final.name}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    try:
        partial.mkdir(parents=True)
        write_weights(partial / VARIABLES_NAME, _all_variables(model))
        state.log = _copy_log(folder, partial, state.step)
        # Of the file and not of the arrays: what must be whole is what lies on the disk.
        variables = describe_file(partial / VARIABLES_NAME)
        values = {**dataclasses.asdict(state), "variables": variables}
        write_sealed(partial / STATE_NAME, values, work=work)
        # After a roll-back the same step is saved again, and a rename replaces no full folder.
        shutil.rmtree(final, ignore_errors=True)
        os.replace(partial, final)
    except OSError as error:
        shutil.rmtree(partial, ignore_errors=True)
        intact = [path.name for path in list_checkpoints(folder)]
        raise StepFailedError(
            f"checkpoint {final}: cannot be written ({error.strerror or error}); "
            f"{', '.join(intact) or 'no checkpoint'} before it is whole; make room and run again "
            "to continue there"
        ) from error
    # Last, so that a whole checkpoint is there at every moment.
    _remove_old(folder, keep)


def _remove_old(folder: Path, keep: int) -> None:
    """Remove all but the newest `keep` checkpoints, and the best weights that none left names.

    What cannot be removed stays; a line on standard error names the first of it.
    """
    failures: list[OSError] = []
    for old in list_checkpoints(folder)[:-keep]:
        try:
            shutil.rmtree(old)
        except OSError as error:
            failures.append(error)
    try:
        remove_other_best(folder, {_best_name(path) for path in list_checkpoints(folder)})
    except OSError as error:
        failures.append(error)
    if failures:
        first = failures[0]
        print(
            f"albert: {first.filename or folder}: of an older checkpoint, and cannot be removed "
            f"({first.strerror or first}); the new one is whole, and the training goes on; remove "
            "it, or have it made writable",
            file=sys.stderr,
            flush=True,
        )


def _copy_log(folder: Path, partial: Path, step: int) -> dict[str, Any]:
    """Copy the rows of the log up to a step into a checkpoint; return size and checksum.

    Empty if there is no log.

    Raises:
        StepFailedError: A row of the log is not JSON.
        OSError: The copy cannot be written.
    """
    if not (folder / LOG_NAME).is_file():
        return {}
    write_atomically(partial / LOG_NAME, log_until(folder, step))
    return describe_file(partial / LOG_NAME)


def _best_name(path: Path) -> str:
    """Return the file name of the best weights that a checkpoint names, `OLD_BEST_NAME` if none.

    It is `OLD_BEST_NAME` also for a checkpoint whose state cannot be read.
    """
    try:
        best = parse_object((path / STATE_NAME).read_bytes()).get("best")
    except (OSError, DamageError):
        return OLD_BEST_NAME
    return str(best["file"]) if isinstance(best, dict) and "file" in best else OLD_BEST_NAME


def restore_latest(folder: Path, model: keras.Model, *, work: str = "") -> TrainingState:
    """Load the newest whole checkpoint into a model and its optimizer; return its state.

    Checkpoints that are damaged or of another training, or whose best weights are lost for good,
    are named on standard error, removed and counted in the state; those older than the whole one
    are not looked at. Without a whole one the model stays as it is and a new state is returned.

    Args:
        folder: Folder of the checkpoints.
        model: Built, its optimizer too.
        work: What the training is, as it was given to `save_checkpoint`.

    Raises:
        InputError: The checkpoint does not fit the model.
    """
    shapes = {name: tuple(value.shape) for name, value in weights_by_name(model).items()}
    num_lost = 0
    for path in reversed(list_checkpoints(folder)):
        try:
            state = read_whole(path, shapes, work=work)
        except DamageError as error:
            report_damage(path, error, "left out; its steps are made again")
            shutil.rmtree(path, ignore_errors=True)  # may be gone: several processes restore
            num_lost += 1
            continue
        # Not within the `try`: a whole checkpoint that does not fit this model is the user's
        # mistake, and must not be removed as damaged.
        arrays = read_weights(path / VARIABLES_NAME)
        assign_by_name(_all_variables(model), arrays, source=f"checkpoint {path}")
        # Not the stored number, which tells of an earlier restoration and was reported then.
        state.num_lost_checkpoints = num_lost
        return state
    return TrainingState(num_lost_checkpoints=num_lost)


def _all_variables(model: keras.Model) -> dict[str, Any]:
    """Return all variables by name: weights, optimizer, random states, metrics.

    Weights and optimizer slots have the original's names, random states and metrics numbers.
    """
    # Metrics too: an interrupted interval must end with the means over all of its steps.
    metrics = model.metrics_variables
    known = {id(variable) for variable in (*model.weights, *metrics)}
    # By identity: `in` on variables would compare their values, element by element.
    states = [v for v in model.non_trainable_variables if id(v) not in known]
    return {
        **weights_by_name(model),
        **model.optimizer.state_by_name(),
        # By number: Keras counts the names of seed generators up over a whole process, so that a
        # second model made in it would have other names. The order is that in which layers are
        # made: in another order a continued training would draw other dropout.
        **{f"random_state_{index}": state for index, state in enumerate(states)},
        **{f"metric_{index}": variable for index, variable in enumerate(metrics)},
    }
