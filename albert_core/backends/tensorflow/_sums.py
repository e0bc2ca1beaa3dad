"""Sums for TensorFlow on a CPU, as fast as its cores add. XLA needs none of this under JAX.

Shape suffixes: R rows, C columns.
"""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf


def sum_rows(x: Any) -> Any:
    """Return [C], the sum over all axes but the last of [..., C], in the type of x."""
    x_RC = tf.reshape(x, (-1, x.shape[-1]))
    # A product with ones, not `tf.reduce_sum`: products run on all cores, that sum on one.
    ones_1R = tf.ones((1, tf.shape(x_RC)[0]), x.dtype)
    return tf.reshape(tf.matmul(ones_1R, x_RC), (-1,))


# Compiled: one loop reads each tensor once, where TensorFlow would first write each in float32.
@tf.function(jit_compile=True, autograph=False)
def sum_tensors(tensors: Sequence[Any]) -> Any:
    """Return the sum of tensors of one shape, in float32."""
    return tf.add_n([tf.cast(tensor, tf.float32) for tensor in tensors])
