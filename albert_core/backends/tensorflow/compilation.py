"""What is compiled by XLA under TensorFlow, and what runs as a graph of operations."""

import functools
import itertools
import math
from collections.abc import Callable, Mapping
from typing import Any

import keras
import tensorflow as tf

from albert_core.processes.cpu_instructions import bfloat16_instructions
from albert_core.training.compute import ComputeSettings, Purpose, Ranking, precisions_by_speed
from albert_core.training.devices import Devices

# A batch's length is rounded up to a multiple of this. Nothing is compiled for a length, so that
# little padding costs nothing else.
LENGTH_MULTIPLE = 8

# Whether to compile a model whose batches differ in length: XLA would compile every length.
JITS_VARYING_LENGTHS = False

# Below this size the first versions had XLA compile a step on a CPU. Since then whole layers are
# single operations without it, too, and oneDNN's matrix products are faster.
_FORMERLY_SMALL_HIDDEN_SIZE = 512

# In narrower models products are too small to repay the casts of bfloat16: in training those of
# what a step computes, in predictions also those of the weights, which every batch casts anew: a
# single text does not repay them in base either.
_LEAST_HIDDEN_SIZES: Mapping[Purpose, float] = {
    "training": 128,
    "batches": 256,
    "single_texts": math.inf,
}


def possible_compilations(devices: Devices) -> tuple[bool, ...]:
    """Return whether XLA may compile a train step on some devices: on several it may not.

    XLA fails in MirroredStrategy: it cannot resolve the replicas' variables.

    Returns:
        False, and True if there may be a choice.
    """
    return (False, True) if devices.strategy == "single" else (False,)


def should_jit(devices: Devices, hidden_size: int) -> bool:
    """Tell whether XLA compiles a train step by the rule of the first versions.

    It is for settings that leave it open: True for a single device that is not a CPU, and on a CPU
    for a `hidden_size` below 512. Accelerators keep this rule; new trainings on a CPU go by
    `rank_compute_settings`.
    """
    if True not in possible_compilations(devices):
        return False
    return devices.name != "CPU" or hidden_size < _FORMERLY_SMALL_HIDDEN_SIZE


def rank_compute_settings(devices: Devices, hidden_size: int, purpose: Purpose) -> Ranking:
    """Return precisions with and without XLA, the fastest first on a kind of device.

    On a CPU, products in bfloat16 are fast where this machine's processor, which is looked at, has
    fast instructions for them, and most of all by oneDNN, without XLA; where its instructions are
    not known, both precisions without XLA are undecided on a single device, else float32 comes
    first. On other devices XLA is as `should_jit` says. A narrow model, and single texts, gain
    nothing by them: float32 comes first.

    Args:
        devices: The devices that compute.
        hidden_size: Width of the model.
        purpose: What is computed, on which the width depends from which bfloat16 is faster.
    """
    if devices.name != "CPU":
        jits = should_jit(devices, hidden_size)
        fast, slow = (
            ComputeSettings(precision=precision, jit_compile=jits)
            for precision in precisions_by_speed(devices)
        )
        return Ranking.for_reason(fast, slow, why=f"on {devices.name}")
    in_float32 = [ComputeSettings(precision="float32", jit_compile=jits) for jits in (False, True)]
    in_bfloat16 = [
        ComputeSettings(precision="bfloat16", jit_compile=jits) for jits in (False, True)
    ]
    if hidden_size < _LEAST_HIDDEN_SIZES[purpose]:
        why = (
            "as single texts and vectors are on a CPU"
            if purpose == "single_texts"
            else f"a width of {hidden_size} gains nothing by bfloat16"
        )
        return Ranking.for_reason(*in_float32, *in_bfloat16, why=why)
    instructions = bfloat16_instructions()
    if instructions:
        return Ranking.for_reason(*in_bfloat16, *in_float32, why=f"this CPU has {instructions}")
    if instructions is None and devices.strategy == "single":
        alternating = itertools.chain(*zip(in_float32, in_bfloat16, strict=True))
        return Ranking.for_reason(*alternating, num_undecided=2)
    why = "this CPU is not faster in bfloat16, or oneDNN may not use it"
    return Ranking.for_reason(*in_float32, *in_bfloat16, why=why)


def compile_loops(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function of tensors whose element-wise operations XLA makes one loop of.

    The rest of the step stays as it is. Every shape, and every other value of an argument that is
    no tensor, is compiled anew, for about 0.2 seconds. Variables among the arguments are passed as
    their values.
    """
    compiled = tf.function(function, jit_compile=True, autograph=False)

    @functools.wraps(function)
    def call(*arguments: Any) -> Any:
        # Values, because XLA does not find the variables of replicas.
        return compiled(
            *(tf.convert_to_tensor(x) if isinstance(x, keras.Variable) else x for x in arguments)
        )

    return call
