"""Layer normalisation for TensorFlow; while training, compiled loops forward and backward.

Equal to `keras.layers.LayerNormalization`; computed in float32 whatever the type of the input.
"""

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from albert_core.backends.tensorflow._sums import sum_rows

_WIDE = 512


class LayerNormalization(keras.layers.LayerNormalization):
    """Normalise the last axis, while training by loops that XLA compiles for each shape.

    `center` and `scale` must be on, as they are by default. Shapes that the traced step does not
    know are left to Keras, unless the rows are 512 wide or wider.
    """

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """Return the normalised input, of the same shape and type.

        While training, inputs of a fixed shape or with 512 channels or more take the fused
        operation with its own gradient; all others are left to Keras.
        """
        # Keras's dozen operations are a pass over memory each. But every shape takes a fifth of a
        # second to compile, which batches of many lengths repay only where the model is large.
        is_worth_compiling = inputs.shape.is_fully_defined() or inputs.shape[-1] >= _WIDE
        if not training or not is_worth_compiling:
            return super().call(inputs)
        gamma, beta = tf.convert_to_tensor(self.gamma), tf.convert_to_tensor(self.beta)
        return _normalize(inputs, gamma, beta, tf.constant(self.epsilon))


@tf.custom_gradient
def _normalize(x: Any, gamma: Any, beta: Any, epsilon: Any) -> tuple[Any, Callable[[Any], Any]]:
    """Return `gamma * (x - mean) / sqrt(variance + epsilon) + beta` over the last axis of x.

    TensorFlow takes the second value, the function of the gradients, for itself; callers get only
    the first.
    """
    normalized, mean, inverse_std = _forward(x, gamma, beta, epsilon)

    def differentiate(upstream: Any) -> tuple[Any, Any, Any, None]:
        """Return the gradients by x, gamma and beta; epsilon has none."""
        x_gradient, gamma_gradient_rows = _backward(x, gamma, mean, inverse_std, upstream)
        # Outside the compiled loops, because products with ones sum over rows on all cores.
        gamma_gradient, beta_gradient = (
            tf.cast(sum_rows(rows), tf.float32) for rows in (gamma_gradient_rows, upstream)
        )
        return x_gradient, gamma_gradient, beta_gradient, None

    return normalized, differentiate


@tf.function(jit_compile=True, autograph=False)
def _forward(x: Any, gamma: Any, beta: Any, epsilon: Any) -> tuple[Any, Any, Any]:
    """Return the normalised rows in the type of x, and each row's mean and 1 / std in float32."""
    wide = tf.cast(x, tf.float32)
    mean = tf.reduce_mean(wide, -1, keepdims=True)
    variance = tf.reduce_mean(tf.square(wide - mean), -1, keepdims=True)
    inverse_std = tf.math.rsqrt(variance + epsilon)
    normalized = (wide - mean) * inverse_std * gamma + beta
    return tf.cast(normalized, x.dtype), mean, inverse_std


@tf.function(jit_compile=True, autograph=False)
def _backward(x: Any, gamma: Any, mean: Any, inverse_std: Any, upstream: Any) -> tuple[Any, Any]:
    """Return the gradient by x, and what each row adds to the gradient by gamma; like x in type."""
    upstream = tf.cast(upstream, tf.float32)
    normal = (tf.cast(x, tf.float32) - mean) * inverse_std
    normal_gradient = upstream * gamma
    along = tf.reduce_mean(normal_gradient * normal, -1, keepdims=True)
    shift = tf.reduce_mean(normal_gradient, -1, keepdims=True)
    x_gradient = inverse_std * (normal_gradient - shift - normal * along)
    return tf.cast(x_gradient, x.dtype), tf.cast(upstream * normal, x.dtype)
