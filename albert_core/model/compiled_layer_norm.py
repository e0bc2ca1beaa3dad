"""Layer normalisation for TensorFlow, forward and backward each one loop compiled by XLA.

Equal to `keras.layers.LayerNormalization`, which TensorFlow runs as a dozen operations, each a
pass over memory; computed in float32 whatever the type of its input.
"""

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from albert_core.model.sums_tensorflow import sum_of_rows

_WIDE = 512


class CompiledLayerNormalization(keras.layers.LayerNormalization):
    """Normalise the last axis, by the compiled loops while training.

    Each shape is compiled by itself, in a fifth of a second: batches of many lengths, which the
    traced step does not know, are left to TensorFlow's operations where the model is small.
    """

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """Return the normalised input, of the same shape and type."""
        is_worth_it = inputs.shape.is_fully_defined() or inputs.shape[-1] >= _WIDE
        if not training or not is_worth_it:
            return super().call(inputs)
        scale, offset = tf.convert_to_tensor(self.gamma), tf.convert_to_tensor(self.beta)
        return compiled_layer_norm(inputs, scale, offset, tf.constant(self.epsilon))


@tf.custom_gradient
def compiled_layer_norm(
    x: Any, gamma: Any, beta: Any, epsilon: Any
) -> tuple[Any, Callable[[Any], Any]]:
    """Return `gamma * (x - mean) / sqrt(variance + epsilon) + beta` over the last axis of x."""
    normalized, mean, inverse_std = _forward(x, gamma, beta, epsilon)

    def gradient(upstream: Any) -> Any:
        to_x, to_each_gamma = _backward(x, gamma, mean, inverse_std, upstream)
        to_gamma, to_beta = (
            tf.cast(sum_of_rows(each), tf.float32) for each in (to_each_gamma, upstream)
        )
        return to_x, to_gamma, to_beta, None

    return normalized, gradient


@tf.function(jit_compile=True, autograph=False)
def _forward(x: Any, gamma: Any, beta: Any, epsilon: Any) -> Any:
    wide = tf.cast(x, tf.float32)
    mean = tf.reduce_mean(wide, -1, keepdims=True)
    variance = tf.reduce_mean(tf.square(wide - mean), -1, keepdims=True)
    inverse_std = tf.math.rsqrt(variance + epsilon)
    normalized = (wide - mean) * inverse_std * gamma + beta
    return tf.cast(normalized, x.dtype), mean, inverse_std


@tf.function(jit_compile=True, autograph=False)
def _backward(x: Any, gamma: Any, mean: Any, inverse_std: Any, upstream: Any) -> Any:
    upstream = tf.cast(upstream, tf.float32)
    normal = (tf.cast(x, tf.float32) - mean) * inverse_std
    to_normal = upstream * gamma
    along = tf.reduce_mean(to_normal * normal, -1, keepdims=True)
    to_x = inverse_std * (to_normal - tf.reduce_mean(to_normal, -1, keepdims=True) - normal * along)
    return tf.cast(to_x, x.dtype), tf.cast(upstream * normal, x.dtype)
