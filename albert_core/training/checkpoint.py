"""Training checkpoints: everything a run needs to go on as if it had never stopped."""

import dataclasses
import json
import os
import shutil
from pathlib import Path
from typing import Any

import keras

from albert_core.errors import InputError
from albert_core.model.weights import read_weights, weights_by_name, write_weights
from albert_core.runs.files import write_json

_PREFIX = "checkpoint-"
_VARIABLES, _STATE = "variables.safetensors", "state.json"


@dataclasses.dataclass
class TrainingState:
    """What a checkpoint knows besides variables.

    Attributes:
        step: Updates made.
        seconds: Time spent training so far, over all interruptions.
        history: One row of figures for each evaluation.
    """

    step: int = 0
    seconds: float = 0.0
    history: list[dict[str, Any]] = dataclasses.field(default_factory=list)


def save_checkpoint(folder: Path, model: keras.Model, state: TrainingState, *, keep: int) -> None:
    """Write a checkpoint in one rename and remove all but the newest `keep`."""
    final = folder / f"{_PREFIX}{state.step:09d}"
    partial = folder / f".{final.name}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    write_weights(partial / _VARIABLES, _all_variables(model))
    write_json(partial / _STATE, dataclasses.asdict(state))
    os.replace(partial, final)
    for old in _checkpoints(folder)[:-keep]:
        shutil.rmtree(old)


def restore_latest(folder: Path, model: keras.Model) -> TrainingState:
    """Load the newest checkpoint into a built model and its optimizer; or return a new state.

    Raises:
        InputError: The checkpoint does not fit the model.
    """
    found = _checkpoints(folder)
    if not found:
        return TrainingState()
    arrays = read_weights(found[-1] / _VARIABLES)
    variables = _all_variables(model)
    if arrays.keys() != variables.keys():
        different = sorted(arrays.keys() ^ variables.keys())
        raise InputError(f"checkpoint {found[-1]}: does not fit the model in {different}")
    for name, variable in variables.items():
        variable.assign(arrays[name])
    return TrainingState(**json.loads((found[-1] / _STATE).read_text(encoding="utf-8")))


def _checkpoints(folder: Path) -> list[Path]:
    return sorted(folder.glob(f"{_PREFIX}*"))


def _all_variables(model: keras.Model) -> dict[str, Any]:
    """Return weights, optimizer slots and step by the original's names, and random states."""
    known = {id(variable) for variable in (*model.weights, *model.metrics_variables)}
    states = [v for v in model.non_trainable_variables if id(v) not in known]
    return {
        **weights_by_name(model),
        **model.optimizer.slots_by_name(),
        "global_step": model.optimizer.iterations,
        **{f"random_state_{index}": state for index, state in enumerate(states)},
    }
