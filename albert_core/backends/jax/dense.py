"""Dense layers for JAX: Keras's own, under the name that TensorFlow's have in archives."""

import contextlib
from collections.abc import Mapping

import keras


class SharedDense(keras.layers.Dense):
    """Keras's dense layer, unchanged: XLA merges equal casts of its weights by itself."""

    # `.keras` archives hold the name of the class, in snake case, before the weights: with the same
    # name under both backends, each opens the archives of the other.


def cast_weights_once(
    uses: Mapping[keras.layers.Layer, int],
) -> contextlib.AbstractContextManager[None]:
    """Return a context that does nothing: XLA merges equal casts of a weight by itself.

    `repeat_layer` says which of the casts are kept for the gradient.

    Args:
        uses: Not used.
    """
    return contextlib.nullcontext()
