"""TensorFlow's functions run operation by operation, where their compilation is not the subject.

To trace and optimise the training step of the smallest model takes two seconds of a core, which
it repays after some 8 steps; a test that makes 4 of them, or predicts a dozen examples, does
without.
"""

import contextlib
from collections.abc import Iterator

import keras


@contextlib.contextmanager
def functions_run_eagerly(is_eager: bool = True) -> Iterator[None]:
    """Run every `tf.function` eagerly, or, inside of such a block, traced again.

    Without effect under JAX. What is exported must be written outside, or with `is_eager=False`:
    a function that others call is a part of them where functions are eager.
    """
    if keras.backend.backend() != "tensorflow":
        yield
        return
    import tensorflow as tf

    before = tf.config.functions_run_eagerly()
    tf.config.run_functions_eagerly(is_eager)
    try:
        yield
    finally:
        tf.config.run_functions_eagerly(before)
