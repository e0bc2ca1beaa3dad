"""How long a pretraining would take on this machine, by its FLOPs; no library is asked for devices.

The estimate decides whether a pretraining needs a confirmation. It depends on the settings and on
what the machine consists of, never on a measurement, so that the same command is decided alike.
"""

import dataclasses
import os
from collections.abc import Mapping
from pathlib import Path

from albert_core.config import AlbertConfig
from albert_core.errors import InputError
from albert_core.pretraining.config import PretrainingConfig
from albert_core.pretraining.phases import Phase
from albert_core.processes.machine import NVIDIA_FOLDER, num_usable_cores, nvidia_gpu_names
from albert_core.training.flops import peak_flops

_DAY_S = 86_400.0
# What base reached on a core of a server in bfloat16 (docs/benchmarks.md). Most reach less: a
# pretraining that needs a confirmation here takes more than a day there, too.
_CORE_FLOPS = 170e9
_UTILISATION = 0.5  # of a GPU's peak rate; measured ones are from 0.4 to 0.55
# Accelerators whose rate is not told where no library is imported: TPUs, GPUs of other makers.
_OTHER_DEVICES = ("accel[0-9]*", "vfio/[0-9]*", "kfd")
_UNITS = (("year", 365 * _DAY_S), ("month", 30 * _DAY_S), ("day", _DAY_S), ("hour", 3600.0))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Machine:
    """The devices of a machine that train.

    Attributes:
        description: Its devices, in words.
        flops: FLOP/s that training reaches; None if that is not known.
    """

    description: str
    flops: float | None


def this_machine(
    *,
    gpu_folder: Path = NVIDIA_FOLDER,
    devices: Path = Path("/dev"),
    environment: Mapping[str, str] = os.environ,
) -> Machine:
    """Return the devices that train here: the GPUs that this process may use, or else its cores.

    Several GPUs are described by the name of the first. The rate is not known if it is not for each
    GPU, and with a TPU or another maker's GPU in `devices`.

    Args:
        gpu_folder: Folder in which NVIDIA's driver has a folder for each GPU.
        devices: Folder of the devices.
        environment: Environment variables; CUDA_VISIBLE_DEVICES hides GPUs. By default those of
            this process; its usable cores are always looked up.
    """
    gpus = _visible(nvidia_gpu_names(gpu_folder), environment.get("CUDA_VISIBLE_DEVICES"))
    if gpus:
        peaks = [peak_flops(name) for name in gpus]
        known = [peak for peak in peaks if peak is not None]
        return Machine(
            description=f"{len(gpus)} x {gpus[0]}" if len(gpus) > 1 else gpus[0],
            flops=_UTILISATION * sum(known) if len(known) == len(gpus) else None,
        )
    if any(path for pattern in _OTHER_DEVICES for path in devices.glob(pattern)):
        return Machine(description="accelerators", flops=None)
    num_cores = num_usable_cores()
    plural = "s" if num_cores > 1 else ""
    return Machine(description=f"{num_cores} core{plural}", flops=num_cores * _CORE_FLOPS)


def _visible(gpus: list[str], visible: str | None) -> list[str]:
    """Return the first GPUs, as many as CUDA_VISIBLE_DEVICES names; all if it is not set.

    Names count up to the first that is empty or -1. Which GPU a name means is not looked at.
    """
    if visible is None:
        return gpus
    ids = [device_id.strip() for device_id in visible.split(",")]
    # CUDA stops at the first id that is none.
    count = next(
        (number for number, device_id in enumerate(ids) if device_id in ("", "-1")), len(ids)
    )
    return gpus[:count]


def estimate_seconds(
    config: PretrainingConfig, model: AlbertConfig, sequence_length: int, machine: Machine
) -> float | None:
    """Estimate the seconds that a pretraining takes at most; None where they cannot be known.

    The least of `train_minutes`, `stop_after_minutes`, and, without `train_minutes` and if the
    machine's rate is known, the FLOPs over that rate. Evaluations and checkpoints are left out.

    Args:
        config: How to pretrain.
        model: The architecture, with its vocabulary.
        sequence_length: Length of the sequences of a run without phases.
        machine: What trains.
    """
    limits = [m for m in (config.train_minutes, config.stop_after_minutes) if m is not None]
    seconds = [60.0 * minutes for minutes in limits]
    if config.train_minutes is None and machine.flops:
        seconds.append(training_flops(config, model, sequence_length) / machine.flops)
    return min(seconds, default=None)


def training_flops(config: PretrainingConfig, model: AlbertConfig, sequence_length: int) -> float:
    """Return the FLOPs of a pretraining whose steps are given, up to where it is stopped early.

    Early ends by steps and tokens count, by minutes not.

    Args:
        config: How to pretrain; without `train_minutes`.
        model: The architecture, with its vocabulary.
        sequence_length: Length of the sequences of a run without phases.
    """
    phases = config.resolved_phases(sequence_length)
    left = config.plan(phases).stop_after_steps
    flops = 0.0
    for phase in phases:
        num_steps = phase.num_train_steps if left is None else min(left, phase.num_train_steps)
        left = None if left is None else left - num_steps
        flops += num_steps * _step_flops(config, model, phase)
    return flops


def _step_flops(config: PretrainingConfig, model: AlbertConfig, phase: Phase) -> float:
    """Return the FLOPs of a step of a phase, padding included."""
    length = phase.sequence_length
    flops_per_token = config.flops_per_token(
        phase.architecture(model), length, config.masking.max_predictions(length)
    )
    return phase.batch_size * length * flops_per_token


def refuse_unconfirmed(
    config: PretrainingConfig,
    model: AlbertConfig,
    sequence_length: int,
    machine: Machine | None = None,
) -> None:
    """Refuse a pretraining that would take more than a day on this machine, by the estimate.

    Not to be called of one that the user has confirmed with --yes, or that has begun already.

    Args:
        config: How to pretrain.
        model: The architecture, with its vocabulary.
        sequence_length: Length of the sequences of a run without phases.
        machine: What trains; this machine when None.

    Raises:
        InputError: `estimate_seconds` gives more than a day (None passes); tells the time, ways to
            a shorter one, and how to confirm it.
    """
    machine = machine or this_machine()
    seconds = estimate_seconds(config, model, sequence_length, machine)
    if seconds is None or seconds <= _DAY_S:
        return
    phases = config.resolved_phases(sequence_length)
    num_sequences = sum(phase.num_train_steps * phase.batch_size for phase in phases)
    work = "" if config.train_minutes is not None else f" for {num_sequences:,} sequences"
    raise InputError(
        f"pretraining: would take about {duration_text(seconds)} on this machine "
        f"({machine.description}){work}, expected at most a day without --yes; train less "
        "(--config pipeline/configs/small.yaml takes half an hour, --pretraining.train_minutes 60 "
        "an hour), see what TPUs would need (albert estimate --accelerator v5e-8), or give --yes "
        "to start it"
    )


def duration_text(seconds: float) -> str:
    """Format a time, rounded, in the largest unit that it is at least one and a half of.

    Below one and a half hours that is hours, too.
    """
    unit, length = next((unit for unit in _UNITS if seconds >= 1.5 * unit[1]), _UNITS[-1])
    count = max(1, round(seconds / length))
    return f"{count:,} {unit}{'s' if count > 1 else ''}"
