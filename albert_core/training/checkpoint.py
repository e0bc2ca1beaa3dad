"""Training checkpoints: everything needed to continue a run with the same bits."""

import dataclasses
import json
import os
import shutil
from pathlib import Path
from typing import Any

import keras

from albert_core.errors import StepFailedError
from albert_core.files import sha256_of_file, write_json
from albert_core.model.weights import assign_by_name, read_weights, weights_by_name, write_weights

_PREFIX = "checkpoint-"
_VARIABLES, _STATE = "variables.safetensors", "state.json"


@dataclasses.dataclass
class TrainingState:
    """What a checkpoint stores besides variables; its fields are the keys of `state.json`.

    Attributes:
        step: Steps done.
        seconds: Time spent training so far, over all interruptions.
        history: A row of metrics for each evaluation.
        log_start: Steps since the last evaluation at the last line of the log (`count`), and the
            means of the metrics then (`means`); empty before the first line.
        lowest_loss: Lowest loss of the log in this phase; None before the first line.
        num_roll_backs: How often training went back to a checkpoint with a lower rate.
        stopped_by: Name of the setting that ended training early, if one did.
        num_lost_checkpoints: Damaged checkpoints that were removed when this one was restored.
    """

    step: int = 0
    seconds: float = 0.0
    history: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    log_start: dict[str, Any] = dataclasses.field(default_factory=dict)
    lowest_loss: float | None = None
    num_roll_backs: int = 0
    stopped_by: str | None = None
    num_lost_checkpoints: int = 0


def save_checkpoint(folder: Path, model: keras.Model, state: TrainingState, *, keep: int) -> None:
    """Write a checkpoint atomically, then remove all but the newest `keep`.

    One of the same step is replaced.

    Args:
        folder: Folder of the checkpoints; made if it is missing.
        model: Built, its optimizer too; its variables hold the values of the last step.
        state: What is stored besides.
        keep: 1 at least (not checked).

    Raises:
        StepFailedError: It cannot be written, as on a full disk; earlier checkpoints are intact.
    """
    # With leading zeros, so that names sort by step: the last one is the newest.
    final = folder / f"{_PREFIX}{state.step:09d}"
    # Renamed when whole: a killed process leaves nothing that looks like a checkpoint and is none.
    partial = folder / f".{final.name}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    try:
        partial.mkdir(parents=True)
        write_weights(partial / _VARIABLES, _all_variables(model))
        # Of the file and not of the arrays: what must be whole is what lies on the disk.
        sha256 = sha256_of_file(partial / _VARIABLES)
        write_json(partial / _STATE, {**dataclasses.asdict(state), "sha256": sha256})
        # After a roll-back the same step is saved again, and a rename replaces no full folder.
        shutil.rmtree(final, ignore_errors=True)
        os.replace(partial, final)
    except OSError as error:
        shutil.rmtree(partial, ignore_errors=True)
        intact = [path.name for path in _checkpoints(folder)]
        raise StepFailedError(
            f"checkpoint {final}: cannot be written ({error.strerror or error}); "
            f"{', '.join(intact) or 'no checkpoint'} before it is whole; make room and run again "
            "to continue there"
        ) from error
    # Last, so that a whole checkpoint is there at every moment.
    for old in _checkpoints(folder)[:-keep]:
        shutil.rmtree(old)


def restore_latest(folder: Path, model: keras.Model) -> TrainingState:
    """Load the newest whole checkpoint into a model and its optimizer; return its state.

    Damaged checkpoints (unreadable, or of another sha256 than recorded) are removed and counted.
    Without a whole one the model stays as it is and a new state is returned.

    Args:
        folder: Folder of the checkpoints.
        model: Built, its optimizer too.

    Raises:
        InputError: The checkpoint does not fit the model.
    """
    num_lost = 0
    for path in reversed(_checkpoints(folder)):
        try:
            state = json.loads((path / _STATE).read_text(encoding="utf-8"))
            is_whole = sha256_of_file(path / _VARIABLES) == state.pop("sha256")
        except (OSError, ValueError, KeyError):
            is_whole = False
        if is_whole:
            # Not within the `try`: a whole checkpoint that does not fit this model is the user's
            # mistake, and must not be removed as damaged.
            arrays = read_weights(path / _VARIABLES)
            assign_by_name(_all_variables(model), arrays, source=f"checkpoint {path}")
            # Not the stored number, which tells of an earlier restoration and was reported then.
            return TrainingState(**{**state, "num_lost_checkpoints": num_lost})
        shutil.rmtree(path, ignore_errors=True)  # may be gone: several processes restore
        num_lost += 1
    return TrainingState(num_lost_checkpoints=num_lost)


def _checkpoints(folder: Path) -> list[Path]:
    """Return the checkpoint folders, the oldest (fewest steps) first; none without the folder."""
    return sorted(folder.glob(f"{_PREFIX}*"))


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
        # second model made in it would have other names.
        **{f"random_state_{index}": state for index, state in enumerate(states)},
        **{f"metric_{index}": variable for index, variable in enumerate(metrics)},
    }
