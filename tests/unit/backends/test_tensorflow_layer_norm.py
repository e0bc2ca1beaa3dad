"""TensorFlow's compiled layer normalisation: as Keras's, in values and in every gradient."""

import keras
import numpy as np
import pytest

if keras.backend.backend() != "tensorflow":
    pytest.skip("of TensorFlow", allow_module_level=True)

import tensorflow as tf

from albert_core.backends.tensorflow.layer_norm import LayerNormalization


def _results(layer: keras.layers.Layer, x: np.ndarray, upstream: np.ndarray) -> list[np.ndarray]:
    inputs = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        outputs = layer(inputs, training=True)
        loss = tf.reduce_sum(outputs * upstream)
    gradients = tape.gradient(loss, [inputs, layer.gamma, layer.beta])
    return [np.asarray(value) for value in (outputs, *gradients)]


@pytest.mark.parametrize("shape", [(3, 48), (2, 5, 48)])
def test_values_and_gradients_are_those_of_keras(shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    x, upstream = (rng.normal(2.0, 3.0, shape).astype("float32") for _ in range(2))
    layers = [kind(epsilon=1e-12) for kind in _KINDS]
    for layer in layers:
        layer.build(shape)
        layer.gamma.assign(np.linspace(0.5, 1.5, shape[-1]))
        layer.beta.assign(np.linspace(-1.0, 1.0, shape[-1]))
    actual, expected_results = (_results(layer, x, upstream) for layer in layers)
    for value, expected in zip(actual, expected_results, strict=True):
        np.testing.assert_allclose(value, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("width", "is_compiled"), [(8, False), (768, True)])
def test_unknown_lengths_are_compiled_where_the_model_is_wide(
    width: int, is_compiled: bool
) -> None:
    layer = LayerNormalization(epsilon=1e-12)
    layer.build((None, None, width))

    @tf.function(input_signature=[tf.TensorSpec((2, None, width))])
    def step(x: tf.Tensor) -> tf.Tensor:
        return layer(x, training=True)

    operations = step.get_concrete_function().graph.get_operations()
    assert any("PartitionedCall" in each.type for each in operations) == is_compiled
    for length in (3, 5):
        x = np.random.default_rng(length).normal(size=(2, length, width)).astype("float32")
        expected = (x - x.mean(-1, keepdims=True)) / x.std(-1, keepdims=True)
        np.testing.assert_allclose(step(x), expected, atol=1e-5)


_KINDS = (LayerNormalization, keras.layers.LayerNormalization)
