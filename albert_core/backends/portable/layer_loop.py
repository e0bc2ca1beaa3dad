"""Layers one after the other, each application a part of the graph of its own."""

from collections.abc import Callable, Sequence
from typing import Any

import keras


def unroll_layer(
    layer: Callable[..., Any], x: Any, constants: Sequence[Any], times: int, *, rematerialize: bool
) -> Any:
    """Return x after `times` applications of `layer(x, *constants)`, written out.

    With 0 applications, x is returned as it is. With `rematerialize` the gradient computes each
    application again instead of keeping its intermediate values; `layer` must then draw no random
    numbers, which would be others (not checked).
    """
    # Arguments, not a closure: Keras watches only arguments when it computes a layer again.
    apply = keras.remat(layer) if rematerialize else layer
    for _ in range(times):
        x = apply(x, *constants)
    return x
