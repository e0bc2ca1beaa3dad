"""The tanh form of gelu for TensorFlow, forward and backward each one loop compiled by XLA.

Equal to `keras.ops.gelu(x, approximate=True)`; computed in float32 whatever the type of x.
"""

import math
from collections.abc import Callable
from typing import Any

import tensorflow as tf

_SCALE, _CUBE = math.sqrt(2.0 / math.pi), 0.044715


@tf.custom_gradient
def compiled_gelu(x: Any) -> tuple[Any, Callable[[Any], Any]]:
    """Return gelu of a tensor of any shape; nothing but x is kept for the gradient."""
    return _forward(x), lambda upstream: _backward(x, upstream)


@tf.function(jit_compile=True, autograph=False)
def _forward(x: Any) -> Any:
    wide = tf.cast(x, tf.float32)
    return tf.cast(0.5 * wide * (1.0 + _tanh(wide)), x.dtype)


@tf.function(jit_compile=True, autograph=False)
def _backward(x: Any, upstream: Any) -> Any:
    wide = tf.cast(x, tf.float32)
    tanh = _tanh(wide)
    inner_slope = _SCALE * (1.0 + 3.0 * _CUBE * wide * wide)
    slope = 0.5 * (1.0 + tanh) + 0.5 * wide * (1.0 - tanh * tanh) * inner_slope
    return tf.cast(tf.cast(upstream, tf.float32) * slope, x.dtype)


def _tanh(wide: Any) -> Any:
    return tf.tanh(_SCALE * (wide + _CUBE * wide * wide * wide))
