"""The tanh form of gelu for TensorFlow; while training, compiled loops forward and backward.

Equal to `keras.ops.gelu(x, approximate=True)`.
"""

import math
from collections.abc import Callable
from typing import Any

import tensorflow as tf
from keras import ops

_SCALE, _CUBE = math.sqrt(2.0 / math.pi), 0.044715


def gelu(x: Any, training: bool | None = None) -> Any:
    """Return gelu, in its tanh form, of a tensor of any shape.

    While training only x is kept for the gradient.
    """
    # TensorFlow runs gelu operation by operation, each a pass over memory: while training, a third
    # of what is not a matrix product. Predictions stay plain operations, which exports convert.
    return _compiled_gelu(x) if training else ops.gelu(x, approximate=True)


@tf.custom_gradient
def _compiled_gelu(x: Any) -> tuple[Any, Callable[[Any], Any]]:
    """Return gelu, and the function of its gradient; computed in float32 whatever the type of x.

    TensorFlow takes the second value for itself; callers get only gelu.
    """
    return _forward(x), lambda upstream: _backward(x, upstream)


# XLA for these loops alone, even where the step is not compiled: of the whole step it would also
# take the matrix products, which in bfloat16 oneDNN runs at twice XLA's rate on a CPU.
@tf.function(jit_compile=True, autograph=False)
def _forward(x: Any) -> Any:
    wide = tf.cast(x, tf.float32)
    return tf.cast(0.5 * wide * (1.0 + _tanh(wide)), x.dtype)


@tf.function(jit_compile=True, autograph=False)
def _backward(x: Any, upstream: Any) -> Any:
    """Return the gradient by x: that of gelu(x), times the gradient from above."""
    wide = tf.cast(x, tf.float32)
    tanh = _tanh(wide)
    inner_slope = _SCALE * (1.0 + 3.0 * _CUBE * wide * wide)
    slope = 0.5 * (1.0 + tanh) + 0.5 * wide * (1.0 - tanh * tanh) * inner_slope
    return tf.cast(tf.cast(upstream, tf.float32) * slope, x.dtype)


def _tanh(wide: Any) -> Any:
    """Return the tanh within gelu."""
    return tf.tanh(_SCALE * (wide + _CUBE * wide * wide * wide))
