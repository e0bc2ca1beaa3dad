"""How a training computes: as it began, else as the machine tells, else as a few steps show.

Checkpoints keep the choice: a training that goes on, also on another machine, takes the same
precision, and the same compilation where there is one. With several processes, the choice of the
first one is used by all.
"""

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from albert_core.backends import broadcast_from_first_process
from albert_core.files.checksums import DamageError, parse_object, unseal
from albert_core.progress import ReportProgress
from albert_core.training.compute import (
    ComputeSettings,
    ResolvedPrecision,
    former_settings,
    possible_settings,
)
from albert_core.training.config import TrainingConfig
from albert_core.training.devices import Devices
from albert_core.training.state import STATE_NAME, list_checkpoints
from albert_core.training.timed_steps import NewTraining, time_settings

_PRECISIONS: tuple[ResolvedPrecision, ...] = ("float32", "bfloat16")
_ALL_SETTINGS = tuple(
    ComputeSettings(precision=precision, jit_compile=jits)
    for precision, jits in itertools.product(_PRECISIONS, (False, True))
)


def choose_compute(
    config: TrainingConfig,
    hidden_size: int,
    devices: Devices,
    *,
    trainings: Mapping[Path, str],
    new_training: NewTraining | None,
    seed: int,
    progress: ReportProgress,
    keeps_former_defaults: bool = False,
) -> ComputeSettings:
    """Choose precision and compilation for all trainings of a step, in all processes together.

    The precision that a checkpoint of theirs keeps wins over what is set; its compilation holds
    where none is set, and the backend and the devices may have it. A checkpoint of a version that
    kept nothing stands for what the settings meant then. Without one it is as set; what is left
    open is as the machine tells, or the fastest of several candidates by a few steps of training.
    Several processes must call this at the same step; all return the first one's choice. Where
    steps are timed, the random state is afterwards as the seed makes it, and the precision of new
    models float32.

    Args:
        config: What is set, and what is left open.
        hidden_size: Width of the model.
        devices: The devices that train.
        trainings: The folders of the trainings' checkpoints, which need not exist, with what is
            trained in each.
        new_training: Returns what is timed; None: nothing is, and the likeliest candidate is taken.
        seed: Seed of all random states.
        progress: Called with a message that steps are timed.
        keeps_former_defaults: Whether what is left open is as before the instructions of processors
            were looked at: no CPU computes in bfloat16.
    """
    settings: dict[str, Any] = {"precision": config.precision, "jit_compile": config.jit_compile}
    former = former_settings(devices, hidden_size, **settings)
    candidates: Sequence[ComputeSettings] = (former,)
    if not keeps_former_defaults:
        candidates = possible_settings(devices, hidden_size, **settings)
    recorded = _find_recorded(trainings)
    if recorded is not None:
        began = ComputeSettings(**recorded) if recorded else former
        chosen = _continued(began, config.jit_compile, devices, candidates)
    elif len(candidates) == 1 or new_training is None:
        chosen = candidates[0]
    else:
        chosen = time_settings(candidates, new_training, seed=seed, progress=progress)
    return _agree_on_compute(chosen)


def _continued(
    began: ComputeSettings,
    jit_compile: bool | None,
    devices: Devices,
    candidates: Sequence[ComputeSettings],
) -> ComputeSettings:
    """Return the settings by which a training goes on here: always in the same precision.

    Args:
        began: The settings by which it began.
        jit_compile: Whether XLA compiles the step, as set; None: as it began, where that may be.
        devices: The devices that train.
        candidates: Those that a new training would have, for a remark about its speed.
    """
    from albert_core.backends import possible_compilations

    if jit_compile is None:
        jits = possible_compilations(devices)
        jit_compile = began.jit_compile if began.jit_compile in jits else jits[0]
    why = "as the training began"
    if jit_compile != began.jit_compile:
        before, here = ("with", "without") if began.jit_compile else ("without", "with")
        why = f"the training began {before} XLA, and goes on {here} it here"
    if began.precision not in {candidate.precision for candidate in candidates}:
        why += f"; {candidates[0].precision} is faster here"
    return ComputeSettings(precision=began.precision, jit_compile=jit_compile, why=why)


def _find_recorded(trainings: Mapping[Path, str]) -> Mapping[str, Any] | None:
    """Return how the trainings of a step computed so far, as their checkpoints keep it.

    Args:
        trainings: The folders of the trainings' checkpoints, which need not exist, with what is
            trained in each; they all compute alike.

    Returns:
        `precision` and `jit_compile` of the newest checkpoint of the first training that has one
        which can be read and is its own; empty if it is of a version that kept neither; None if
        there is none.
    """
    for folder, work in trainings.items():
        for path in reversed(list_checkpoints(folder)):
            try:
                data = (path / STATE_NAME).read_bytes()
                values = parse_object(data)
                # States of the first versions have no seal.
                is_sealed = not {"checksum", "work"}.isdisjoint(values)
                return unseal(data, work=work).get("compute", {}) if is_sealed else {}
            except (OSError, DamageError):
                continue  # `restore_latest` tells of it, and leaves it out
    return None


def _agree_on_compute(chosen: ComputeSettings) -> ComputeSettings:
    """Return the first process's choice in all processes: they run one program together.

    Waits for all of them. Where the choice here was another, its reason says whose it is.
    """
    index = _ALL_SETTINGS.index(chosen)
    first_index = int(broadcast_from_first_process(float(index)))
    if first_index == index:
        return chosen
    return dataclasses.replace(_ALL_SETTINGS[first_index], why="as the first process computes")
