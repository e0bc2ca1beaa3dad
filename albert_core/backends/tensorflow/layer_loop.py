"""Layers that share weights, one after the other, under TensorFlow."""

from collections.abc import Callable, Sequence
from typing import Any

from albert_core.backends.portable.layer_loop import unroll_layer


def save_for_backward(x: Any) -> Any:
    """Return x as it is: TensorFlow chooses what to save."""
    return x


def repeat_layer(
    layer: Callable[..., Any],
    x: Any,
    constants: Sequence[Any],
    times: int,
    *,
    may_scan: bool,
    rematerialize: bool,
) -> Any:
    """Return x after `times` applications of `layer(x, *constants)`, written out.

    Args:
        layer: Function of x and the constants.
        x: Its first input.
        constants: Its other inputs, the same in each application.
        times: Number of applications; with 0, x is returned as it is.
        may_scan: Not used: TensorFlow gains nothing by a loop in its graph.
        rematerialize: Whether to keep nothing but the layers' inputs; not with random numbers,
            which is not checked.
    """
    return unroll_layer(layer, x, constants, times, rematerialize=rematerialize)
