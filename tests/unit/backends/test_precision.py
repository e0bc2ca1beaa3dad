"""Products of float32 are made in float32 on every device, not in TF32 or bfloat16."""

from typing import Any

import keras
import numpy as np
import pytest

from albert_core.backends import multiply_in_float32
from albert_core.model import AlbertEncoder
from tests.helpers.checkpoint_samples import CONFIG

pytestmark = pytest.mark.backends

IDS = np.ones((2, 8), "int32")


@pytest.mark.skipif(keras.backend.backend() != "jax", reason="of the JAX backend")
@pytest.mark.parametrize("platform", ["cuda", "tpu"])
def test_accelerators_are_told_to_under_jax(platform: str) -> None:
    import jax

    encoder = AlbertEncoder(CONFIG)
    encoder.build()

    def total(values: list[Any]) -> Any:
        with keras.StatelessScope(zip(encoder.weights, values, strict=True)):
            return encoder(IDS, training=True)["pooled_output"].sum()

    traced = jax.jit(jax.grad(total)).trace([variable.value for variable in encoder.weights])
    text = traced.lower(lowering_platforms=(platform,)).as_text()
    products = [line for line in text.splitlines() if "dot_general" in line]
    assert products
    assert [line for line in products if "precision = [HIGHEST, HIGHEST]" not in line] == []


@pytest.mark.skipif(keras.backend.backend() != "jax", reason="of the JAX backend")
def test_a_precision_that_is_set_stays() -> None:
    import jax

    before = jax.config.values["jax_default_matmul_precision"]
    jax.config.update("jax_default_matmul_precision", "tensorfloat32")
    try:
        multiply_in_float32()
        assert jax.config.values["jax_default_matmul_precision"] == "tensorfloat32"
    finally:
        jax.config.update("jax_default_matmul_precision", before)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="of the TensorFlow backend")
def test_accelerators_are_told_to_under_tensorflow() -> None:
    import tensorflow as tf

    assert not tf.config.experimental.tensor_float_32_execution_enabled()
    squared = tf.function(lambda x: tf.matmul(x, x), jit_compile=True)
    text = squared.experimental_get_compiler_ir(tf.ones((2, 2)))()
    assert "operand_precision={highest,highest}" in text
