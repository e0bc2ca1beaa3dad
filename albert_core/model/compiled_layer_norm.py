"""Layer normalisation for TensorFlow, forward and backward each one loop compiled by XLA.

Equal to `keras.layers.LayerNormalization`, which TensorFlow runs as a dozen operations, each a
pass over memory; computed in float32 whatever the type of its input.
"""

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf


class CompiledLayerNormalization(keras.layers.LayerNormalization):
    """Normalise the last axis, by the compiled loops while training on a known shape.

    Each shape is compiled by itself, in a fifth of a second: batches of many lengths, which the
    traced step does not know, are left to TensorFlow's operations.
    """

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """Return the normalised input, of the same shape and type."""
        if not training or not inputs.shape.is_fully_defined():
            return super().call(inputs)
        scale, offset = tf.convert_to_tensor(self.gamma), tf.convert_to_tensor(self.beta)
        return compiled_layer_norm(inputs, scale, offset, tf.constant(self.epsilon))


@tf.custom_gradient
def compiled_layer_norm(
    x: Any, gamma: Any, beta: Any, epsilon: Any
) -> tuple[Any, Callable[[Any], Any]]:
    """Return `gamma * (x - mean) / sqrt(variance + epsilon) + beta` over the last axis of x."""
    normalized, mean, inverse_deviation = _forward(x, gamma, beta, epsilon)

    def gradient(upstream: Any) -> Any:
        return *_backward(x, gamma, mean, inverse_deviation, upstream), None

    return normalized, gradient


@tf.function(jit_compile=True, autograph=False)
def _forward(x: Any, gamma: Any, beta: Any, epsilon: Any) -> Any:
    wide = tf.cast(x, tf.float32)
    mean = tf.reduce_mean(wide, -1, keepdims=True)
    variance = tf.reduce_mean(tf.square(wide - mean), -1, keepdims=True)
    inverse_deviation = tf.math.rsqrt(variance + epsilon)
    normalized = (wide - mean) * inverse_deviation * gamma + beta
    return tf.cast(normalized, x.dtype), mean, inverse_deviation


@tf.function(jit_compile=True, autograph=False)
def _backward(x: Any, gamma: Any, mean: Any, inverse_deviation: Any, upstream: Any) -> Any:
    upstream = tf.cast(upstream, tf.float32)
    normal = (tf.cast(x, tf.float32) - mean) * inverse_deviation
    rows = list(range(x.shape.rank - 1))
    to_normal = upstream * gamma
    along = tf.reduce_mean(to_normal * normal, -1, keepdims=True)
    to_x = inverse_deviation * (
        to_normal - tf.reduce_mean(to_normal, -1, keepdims=True) - normal * along
    )
    to_gamma, to_beta = tf.reduce_sum(upstream * normal, rows), tf.reduce_sum(upstream, rows)
    return tf.cast(to_x, x.dtype), to_gamma, to_beta
