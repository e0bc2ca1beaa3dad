"""Dense layers for TensorFlow that are applied many times in a step.

Shape suffixes: I inputs, O outputs, R rows.
"""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import keras
import tensorflow as tf

from albert_core.model.sums_tensorflow import sum_of_rows, sum_of_tensors


class SharedDense(keras.layers.Dense):
    """A dense layer whose weights are cast once, however often `call` reads them meanwhile.

    In bfloat16 a layer that is applied twelve times would cast its weights twelve times, and its
    twelve gradients back; here the gradients are summed before. Product and bias stand next to
    each other, so that TensorFlow runs them as one.
    """

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self._held = _Held()

    @contextlib.contextmanager
    def cast_once(self, times: int) -> Iterator[None]:
        """Cast the weights now, for so many calls inside."""
        casts = (
            cast_to_many(tf.convert_to_tensor(variable), self.compute_dtype, times)
            for variable in (self.kernel, self.bias)
        )
        self._held.weights = zip(*casts, strict=True)
        try:
            yield
        finally:
            self._held.weights = None

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """Return [..., O] for [..., I]."""
        if self._held.weights is None:
            return super().call(inputs, training=training)
        return self.activation(_affine(inputs, *next(self._held.weights)))


class _Held:
    """What Keras shall not track: tensors of the step being built."""

    weights: Iterator[tuple[Any, Any]] | None = None


def cast_to_many(weight: Any, dtype: str, times: int) -> list[Any]:
    """Return so many equal tensors; their gradients are summed in the type of the weight."""

    @tf.custom_gradient
    def copies(weight: Any) -> tuple[list[Any], Callable[..., Any]]:
        cast = tf.cast(weight, dtype)
        return [tf.identity(cast) for _ in range(times)], lambda *upstream: sum_of_tensors(upstream)

    return copies(weight)


@tf.custom_gradient
def _affine(x: Any, kernel_IO: Any, bias_O: Any) -> tuple[Any, Callable[[Any], Any]]:
    num_inputs, num_outputs = kernel_IO.shape
    *leading, _ = (
        known if known is not None else actual
        for known, actual in zip(x.shape, tf.unstack(tf.shape(x)), strict=True)
    )
    x_RI = tf.reshape(x, (-1, num_inputs))

    def gradient(upstream: Any) -> tuple[Any, Any, Any]:
        upstream_RO = tf.reshape(upstream, (-1, num_outputs))
        to_x_RI = tf.matmul(upstream_RO, kernel_IO, transpose_b=True)
        return (
            tf.reshape(to_x_RI, (*leading, num_inputs)),
            tf.matmul(x_RI, upstream_RO, transpose_a=True),
            sum_of_rows(upstream_RO),
        )

    y_RO = tf.nn.bias_add(tf.matmul(x_RI, kernel_IO), bias_O)
    return tf.reshape(y_RO, (*leading, num_outputs)), gradient
