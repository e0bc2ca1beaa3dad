"""What is compiled under JAX: everything, for every shape."""

from collections.abc import Callable
from typing import Any

from albert_core.training.compute import ComputeSettings, Purpose, Ranking, precisions_by_speed
from albert_core.training.devices import Devices

# A batch's length is rounded up to a multiple of this. Every length is compiled anew, for seconds:
# more padding, but few lengths.
LENGTH_MULTIPLE = 64

# Whether to compile a model whose batches differ in length. Uncompiled, Keras would run JAX
# operation by operation.
JITS_VARYING_LENGTHS = True


def possible_compilations(devices: Devices) -> tuple[bool, ...]:
    """Return True alone: uncompiled, a train step would run operation by operation."""
    return (True,)


def should_jit(devices: Devices, hidden_size: int) -> bool:
    """Return True: under JAX a train step is always compiled."""
    return True


def rank_compute_settings(devices: Devices, hidden_size: int, purpose: Purpose) -> Ranking:
    """Return both precisions with XLA, the faster first on a kind of device.

    On a CPU that is float32: XLA does not use the instructions for bfloat16 that there may be.
    `hidden_size` and `purpose` do not matter with JAX.
    """
    fast, slow = (
        ComputeSettings(precision=precision, jit_compile=True)
        for precision in precisions_by_speed(devices)
    )
    return Ranking.for_reason(fast, slow, why=f"with JAX on {devices.name}")


def compile_loops(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the function as it is: it is compiled with the step that calls it."""
    return function
