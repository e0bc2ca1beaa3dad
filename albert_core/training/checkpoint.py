"""Training checkpoints: everything a run needs to go on as if it had never stopped."""

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
    """What a checkpoint knows besides variables.

    Attributes:
        step: Updates made.
        seconds: Time spent training so far, over all interruptions.
        history: One row of figures for each evaluation.
        log_start: Where the line of the log that is being gathered began.
        lowest_loss: Smallest loss of a line of the log in this phase.
        num_roll_backs: How often training went back to a checkpoint with a lower rate.
        stopped_by: The setting that ended training early, if one did.
        num_lost_checkpoints: Checkpoints found damaged when this one was taken up.
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
    """Write a checkpoint in one rename and remove all but the newest `keep`.

    Raises:
        StepFailedError: The disk took no more; the checkpoints before are as they were.
    """
    final = folder / f"{_PREFIX}{state.step:09d}"
    partial = folder / f".{final.name}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    try:
        partial.mkdir(parents=True)
        write_weights(partial / _VARIABLES, _all_variables(model))
        sha256 = sha256_of_file(partial / _VARIABLES)
        write_json(partial / _STATE, {**dataclasses.asdict(state), "sha256": sha256})
        shutil.rmtree(final, ignore_errors=True)  # of the same step, before a roll-back
        os.replace(partial, final)
    except OSError as error:
        shutil.rmtree(partial, ignore_errors=True)
        kept = [path.name for path in _checkpoints(folder)]
        raise StepFailedError(
            f"checkpoint {final}: cannot be written ({error.strerror or error}); "
            f"{', '.join(kept) or 'no checkpoint'} before it is whole; make room and run again to "
            "continue there"
        ) from error
    for old in _checkpoints(folder)[:-keep]:
        shutil.rmtree(old)


def restore_latest(folder: Path, model: keras.Model) -> TrainingState:
    """Load the newest whole checkpoint into a built model and its optimizer; or a new state.

    A damaged one (its sha256 is another, or it cannot be read) is removed and counted.

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
            arrays = read_weights(path / _VARIABLES)
            assign_by_name(_all_variables(model), arrays, source=f"checkpoint {path}")
            return TrainingState(**{**state, "num_lost_checkpoints": num_lost})
        shutil.rmtree(path, ignore_errors=True)  # another process may have been first
        num_lost += 1
    return TrainingState(num_lost_checkpoints=num_lost)


def _checkpoints(folder: Path) -> list[Path]:
    return sorted(folder.glob(f"{_PREFIX}*"))


def _all_variables(model: keras.Model) -> dict[str, Any]:
    """Return weights, optimizer slots and step by the original's names, and random states.

    The metrics are among them: an interval that is broken off ends with the figures of the whole.
    """
    metrics = model.metrics_variables
    known = {id(variable) for variable in (*model.weights, *metrics)}
    states = [v for v in model.non_trainable_variables if id(v) not in known]
    return {
        **weights_by_name(model),
        **model.optimizer.state_by_name(),
        **{f"random_state_{index}": state for index, state in enumerate(states)},
        **{f"metric_{index}": variable for index, variable in enumerate(metrics)},
    }
