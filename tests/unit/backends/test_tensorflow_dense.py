"""TensorFlow's dense layers whose weights are cast once: as Keras's, in values and gradients."""

import keras
import numpy as np
import pytest

if keras.backend.backend() != "tensorflow":
    pytest.skip("of TensorFlow", allow_module_level=True)

import tensorflow as tf

from albert_core.backends.tensorflow.dense import SharedDense

TIMES = 3


def _results(dtype: str, x: np.ndarray, *, is_cast_once: bool) -> list[np.ndarray]:
    """Return the output of a layer applied three times in a row, and every gradient."""
    keras.utils.set_random_seed(1)
    layer = SharedDense(x.shape[-1], dtype=dtype, bias_initializer="random_normal")
    layer.build(x.shape)
    inputs = tf.constant(x)

    @tf.function(input_signature=[tf.TensorSpec((x.shape[0], None, x.shape[-1]))])
    def step(inputs: tf.Tensor) -> list[tf.Tensor]:
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            outputs = tf.cast(inputs, layer.compute_dtype)
            if is_cast_once:
                with layer.cast_once(TIMES):
                    for _ in range(TIMES):
                        outputs = layer(outputs)
            else:
                for _ in range(TIMES):
                    outputs = layer(outputs)
            loss = tf.reduce_sum(tf.square(tf.cast(outputs, tf.float32)))
        return [outputs, *tape.gradient(loss, [inputs, layer.kernel, layer.bias])]

    return [np.asarray(tf.cast(result, tf.float32)) for result in step(inputs)]


@pytest.mark.parametrize(("dtype", "distance"), [("float32", 1e-5), ("mixed_bfloat16", 0.03)])
def test_values_and_gradients_are_those_of_keras(dtype: str, distance: float) -> None:
    x = np.random.default_rng(0).normal(size=(2, 5, 16)).astype("float32")
    actual = _results(dtype, x, is_cast_once=True)
    expected_results = _results("float32", x, is_cast_once=False)
    for value, expected in zip(actual, expected_results, strict=True):
        assert value.shape == expected.shape
        np.testing.assert_allclose(value, expected, atol=distance * np.abs(expected).max())


def test_more_calls_than_said_are_refused() -> None:
    layer = SharedDense(4)
    layer.build((2, 4))
    with layer.cast_once(1):
        layer(tf.ones((2, 4)))
        with pytest.raises(StopIteration):
            layer(tf.ones((2, 4)))
