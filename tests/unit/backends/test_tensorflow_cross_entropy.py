"""TensorFlow's compiled cross entropy: as Keras's, in values and in the gradient."""

import keras
import numpy as np
import pytest

if keras.backend.backend() != "tensorflow":
    pytest.skip("of TensorFlow", allow_module_level=True)

import tensorflow as tf

from albert_core.backends.tensorflow.cross_entropy import cross_entropy, most_likely_class


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-6), ("bfloat16", 1e-2)])
@pytest.mark.parametrize("num_classes", [5, 3000])
def test_losses_and_gradient_are_those_of_keras(
    num_classes: int, dtype: str, tolerance: float
) -> None:
    rng = np.random.default_rng(0)
    # Up to 200: exponentials that overflow unless the largest logit is taken off first.
    logits = tf.cast(rng.normal(0.0, 50.0, (2, 3, num_classes)), dtype)
    labels = tf.constant(rng.integers(0, num_classes, (2, 3)), tf.int32)
    upstream = tf.constant(rng.random((2, 3)), tf.float32)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(logits)
        losses = cross_entropy(labels, logits)
        expected = keras.losses.sparse_categorical_crossentropy(
            labels, tf.cast(logits, tf.float32), from_logits=True
        )
    np.testing.assert_allclose(losses, expected, rtol=1e-6, atol=1e-5)
    actual_gradient = tape.gradient(losses, logits, upstream)
    assert actual_gradient.dtype == logits.dtype
    np.testing.assert_allclose(
        tf.cast(actual_gradient, tf.float32),
        tf.cast(tape.gradient(expected, logits, upstream), tf.float32),
        atol=tolerance,
    )


def test_of_equal_logits_the_first_class_is_the_most_likely() -> None:
    logits = tf.constant([[1.0, 2.0, 2.0], [0.0, -0.0, -1.0]])
    assert most_likely_class(logits).numpy().tolist() == [1, 0]
