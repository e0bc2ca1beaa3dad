"""In what precision a model computes, and whether XLA compiles its step.

Where the settings leave it open (`auto`), what the machine consists of decides; where that leaves
several candidates, `compute_choice.py` times steps. Importing this module imports neither Keras nor
a backend.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any, Literal

from albert_core.training.devices import Devices, Precision

ResolvedPrecision = Literal["float32", "bfloat16"]

Purpose = Literal["training", "batches", "single_texts"]
"""What is computed: steps of training, predictions for many texts at a time, or for few texts, and
vectors of them."""

# GPUs before Ampere have no units for bfloat16 and would emulate it.
_OLD_GPUS = ("V100", "T4", "P100", "K80")


@dataclasses.dataclass(frozen=True, kw_only=True)
class ComputeSettings:
    """How a model computes.

    Attributes:
        precision: What its layers compute in; weights, moments and losses are in float32.
        jit_compile: Whether XLA compiles its step.
        why: Reason, in a few words; it does not count when two are compared.
    """

    precision: ResolvedPrecision
    jit_compile: bool
    why: str = dataclasses.field(default="", compare=False)

    def __str__(self) -> str:
        why = f" ({self.why})" if self.why else ""
        return f"{self.precision} {'with' if self.jit_compile else 'without'} XLA{why}"

    def recorded(self) -> dict[str, Any]:
        """Return the values that a checkpoint keeps: all but the reason."""
        return {"precision": self.precision, "jit_compile": self.jit_compile}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Ranking:
    """Settings for a device, ranked by speed as far as its hardware tells.

    Attributes:
        candidates: The settings, the fastest first as far as is known.
        num_undecided: How many of them, from the first on, may be the fastest.
    """

    candidates: Sequence[ComputeSettings]
    num_undecided: int = 1

    @classmethod
    def for_reason(
        cls, *candidates: ComputeSettings, num_undecided: int = 1, why: str = ""
    ) -> "Ranking":
        """Return a ranking of settings in their order, all for the same reason.

        Args:
            *candidates: The settings, the fastest first; their own reasons are replaced.
            num_undecided: As the attribute.
            why: The reason.
        """
        return cls(
            candidates=[dataclasses.replace(candidate, why=why) for candidate in candidates],
            num_undecided=num_undecided,
        )

    def allowed(
        self, precision: Precision, jit_compile: bool | None
    ) -> tuple[ComputeSettings, ...]:
        """Return the possibly fastest candidates among those that are allowed; at least one.

        They are those among the first `num_undecided`, in their order. Where none of these is
        allowed it is one: the first other candidate that is, or else the first of all with what is
        set in place of its own.

        Args:
            precision: A precision, or `auto` for any.
            jit_compile: Whether XLA compiles the step; None: as is faster.
        """

        def is_allowed(candidate: ComputeSettings) -> bool:
            fits = precision in ("auto", candidate.precision)
            return fits and jit_compile in (None, candidate.jit_compile)

        if undecided := tuple(filter(is_allowed, self.candidates[: self.num_undecided])):
            return undecided
        best = next(filter(is_allowed, self.candidates), self.candidates[0])
        return (
            dataclasses.replace(
                best,
                precision=best.precision if precision == "auto" else precision,
                jit_compile=best.jit_compile if jit_compile is None else jit_compile,
                why=best.why if best == self.candidates[0] else "as set",
            ),
        )


def precisions_by_speed(devices: Devices) -> tuple[ResolvedPrecision, ResolvedPrecision]:
    """Return both precisions, first the one that is mostly faster, by the device's name alone.

    That is float32 for a CPU, whatever its instructions, and for a V100, T4, P100 or K80; bfloat16
    for any other device.
    """
    name = devices.name
    is_slow = name.lower() == "cpu" or any(old in name for old in _OLD_GPUS)
    return ("float32", "bfloat16") if is_slow else ("bfloat16", "float32")


def possible_settings(
    devices: Devices,
    hidden_size: int,
    *,
    precision: Precision,
    jit_compile: bool | None,
    purpose: Purpose = "training",
) -> tuple[ComputeSettings, ...]:
    """Return the settings that may be the fastest here; one where the machine decides.

    Several, the likeliest first, are there only for a single device. On a CPU the instructions of
    this machine's processor are looked up. Imports Keras.

    Args:
        devices: The devices that compute.
        hidden_size: Width of the model.
        precision: As set; `auto` leaves it open.
        jit_compile: As set; None leaves it open.
        purpose: What is computed.
    """
    from albert_core.backends import rank_compute_settings

    return rank_compute_settings(devices, hidden_size, purpose).allowed(precision, jit_compile)


def former_settings(
    devices: Devices, hidden_size: int, *, precision: Precision, jit_compile: bool | None
) -> ComputeSettings:
    """Return the settings as earlier versions chose them, without a look at the processor.

    Then no CPU computed in bfloat16 unless that was set. Trainings of those versions go on with it,
    and so do fine-tunings with a recipe of the original, and pretrainings that only evaluate.
    Imports Keras.

    Args:
        devices: The devices that compute.
        hidden_size: Width of the model.
        precision: As set; `auto` leaves it open.
        jit_compile: As set; None leaves it open.
    """
    from albert_core.backends import should_jit

    if precision == "auto":
        precision, _ = precisions_by_speed(devices)
    if jit_compile is None:
        jit_compile = should_jit(devices, hidden_size)
    return ComputeSettings(precision=precision, jit_compile=jit_compile)
