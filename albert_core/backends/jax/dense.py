"""Dense layers for JAX: Keras's own."""

import contextlib
from collections.abc import Mapping

import keras

Dense = keras.layers.Dense


def cast_weights_once(
    uses: Mapping[keras.layers.Layer, int],
) -> contextlib.AbstractContextManager[None]:
    """No-op: XLA shares equal casts, and `repeat_layer` says which are kept for the gradient."""
    return contextlib.nullcontext()
