"""Dense layers for JAX: Keras's own, under the name that TensorFlow's have in archives."""

import contextlib
from collections.abc import Mapping

import keras


class SharedDense(keras.layers.Dense):
    """Keras's dense layer."""

    # `.keras` archives hold the name of the class, in snake case, before the weights: with the same
    # name under both backends, each opens the archives of the other.


def cast_weights_once(
    uses: Mapping[keras.layers.Layer, int],
) -> contextlib.AbstractContextManager[None]:
    """No-op: XLA shares equal casts, and `repeat_layer` says which are kept for the gradient."""
    return contextlib.nullcontext()
