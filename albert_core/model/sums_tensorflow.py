"""Sums for TensorFlow on a CPU, as fast as its cores add.

Shape suffixes: R rows, C columns.
"""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf


def sum_of_rows(x: Any) -> Any:
    """Return [C], the sum over all axes but the last of [..., C].

    It is a matrix product with ones, which TensorFlow runs on all cores, unlike its own sum.
    """
    x_RC = tf.reshape(x, (-1, x.shape[-1]))
    ones_1R = tf.ones((1, tf.shape(x_RC)[0]), x.dtype)
    return tf.reshape(tf.matmul(ones_1R, x_RC), (-1,))


@tf.function(jit_compile=True, autograph=False)
def sum_of_tensors(tensors: Sequence[Any]) -> Any:
    """Return the sum of tensors of one shape, in float32, by one loop over their elements."""
    return tf.add_n([tf.cast(tensor, tf.float32) for tensor in tensors])
