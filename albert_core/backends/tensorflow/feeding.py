"""Batches of a generator as `fit` reads them under TensorFlow."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import tensorflow as tf

_NUM_PREFETCHED = 4  # batches


def feed_batches(generate: Callable[[], Iterator[Any]]) -> tf.data.Dataset:
    """Return a pipeline that prepares the batches of a generator ahead of need.

    Batches may differ in the sizes of their axes, not in structure, types or number of axes.

    Args:
        generate: Makes a generator of batches, at least one. It is called here once, for the first
            batch's structure and types, and again from the beginning whenever the pipeline is read.
    """
    signature = tf.nest.map_structure(_get_spec, next(generate()))
    dataset = tf.data.Dataset.from_generator(generate, output_signature=signature)
    return dataset.prefetch(_NUM_PREFETCHED)


def _get_spec(value: Any) -> tf.TensorSpec:
    """Return an array's type and number of axes."""
    array = np.asarray(value)
    # Sizes are left open: with those of the first batch, every other length would be an error.
    return tf.TensorSpec((None,) * array.ndim, tf.as_dtype(array.dtype))
