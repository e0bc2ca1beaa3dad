"""What a checkpoint stores besides variables, and the names of its files. Does not import Keras."""

import dataclasses
from pathlib import Path
from typing import Any

CHECKPOINT_PREFIX = "checkpoint-"
VARIABLES_NAME, STATE_NAME = "variables.safetensors", "state.json"


@dataclasses.dataclass
class TrainingState:
    """What a checkpoint stores besides variables; its fields are keys of `state.json`.

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
        best: The weights of the best evaluation, as `write_best` describes them; empty before the
            first evaluation.
        log: Size and checksum of the log up to this step; empty if there was no log.
        timings: In a training by minutes, what is settled for each phase that has begun: the fields
            of `PhaseTiming`.
        compute: How the training computes, as `ComputeSettings.recorded` returns it; empty in
            checkpoints of versions before it was chosen by what the machine consists of.
    """

    step: int = 0
    seconds: float = 0.0
    history: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    log_start: dict[str, Any] = dataclasses.field(default_factory=dict)
    lowest_loss: float | None = None
    num_roll_backs: int = 0
    stopped_by: str | None = None
    num_lost_checkpoints: int = 0
    best: dict[str, Any] = dataclasses.field(default_factory=dict)
    log: dict[str, Any] = dataclasses.field(default_factory=dict)
    timings: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    compute: dict[str, Any] = dataclasses.field(default_factory=dict)


def checkpoint_folder(folder: Path, step: int) -> Path:
    """Return the folder of the checkpoint of a step, which need not exist."""
    return folder / f"{CHECKPOINT_PREFIX}{step:09d}"


def list_checkpoints(folder: Path) -> list[Path]:
    """Return the checkpoint folders, the oldest (fewest steps) first; none without the folder.

    Only names of the prefix and a number count: a copy that somebody keeps beside them under
    another name is neither restored nor removed.
    """
    return sorted(
        path
        for path in folder.glob(f"{CHECKPOINT_PREFIX}*")
        if path.name.removeprefix(CHECKPOINT_PREFIX).isdecimal()
    )
