"""Dense layers for TensorFlow that are applied many times in a step.

Shape suffixes: I inputs, O outputs.
"""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import keras
import tensorflow as tf
from keras import ops


class SharedDense(keras.layers.Dense):
    """A dense layer whose weights are cast once, however often `call` reads them meanwhile.

    In bfloat16 a layer that is applied twelve times would cast its weights twelve times, and its
    twelve gradients back; here the gradients are summed before. The gradient of the bias is a
    matrix product with ones, which TensorFlow runs on all cores, unlike its own sum.
    """

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self._held = _Held()

    @contextlib.contextmanager
    def cast_once(self) -> Iterator[None]:
        """Cast the weights now, for all calls inside."""
        kernel_IO, bias_O = (
            tf.cast(tf.convert_to_tensor(variable), self.compute_dtype)
            for variable in (self.kernel, self.bias)
        )
        self._held.weights = kernel_IO, bias_O
        try:
            yield
        finally:
            self._held.weights = None

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """Return [..., O] for [..., I]."""
        if self._held.weights is None:
            return super().call(inputs, training=training)
        kernel_IO, bias_O = self._held.weights
        return self.activation(_add_bias(ops.matmul(inputs, kernel_IO), bias_O))


class _Held:
    """What Keras shall not track: tensors of the step being built."""

    weights: tuple[Any, Any] | None = None


@tf.custom_gradient
def _add_bias(x: Any, bias_O: Any) -> tuple[Any, Callable[[Any], Any]]:
    def gradient(upstream: Any) -> Any:
        rows_O = tf.reshape(upstream, (-1, upstream.shape[-1]))
        ones = tf.ones((1, tf.shape(rows_O)[0]), rows_O.dtype)
        return upstream, tf.reshape(tf.matmul(ones, rows_O), (-1,))

    return tf.nn.bias_add(x, bias_O), gradient
