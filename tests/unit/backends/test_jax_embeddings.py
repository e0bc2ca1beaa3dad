"""The gradient of the embeddings under JAX: the rows of a frequent word are summed in float32."""

import re
from typing import Any

import keras
import numpy as np
import pytest

from albert_core.model.embeddings import Embeddings
from tests.helpers.checkpoint_samples import CONFIG

pytestmark = [
    pytest.mark.backends,
    pytest.mark.skipif(keras.backend.backend() != "jax", reason="of the JAX backend"),
]

IDS = np.zeros((64, 8), "int32")


@pytest.fixture
def embeddings() -> Embeddings:
    keras.config.set_dtype_policy("mixed_bfloat16")
    layer = Embeddings(CONFIG)
    keras.config.set_dtype_policy("float32")
    layer.build((None, None))
    return layer


def test_words_are_in_the_type_that_layers_compute_in(embeddings: Embeddings) -> None:
    assert embeddings.embed_words(IDS).dtype == "bfloat16"
    assert embeddings(IDS, IDS).dtype == "bfloat16"


def test_ids_outside_the_table_are_seen_in_a_compiled_step(embeddings: Embeddings) -> None:
    """As NaN, but for negative ids, which count from the end; uncompiled they are refused."""
    import jax

    size = CONFIG.vocab_size
    ids = np.array([[size, -size - 1, -1, size - 1]], "int32")
    words = np.asarray(jax.jit(embeddings.embed_words)(ids), "float32")[0]
    assert np.isnan(words[:2]).all()
    np.testing.assert_array_equal(words[2], words[3])


def test_rows_of_the_gradient_are_summed_in_float32(embeddings: Embeddings) -> None:
    """In bfloat16 a GPU, which adds one row at a time, would stay at 256 when ones are added."""
    import jax

    variables = embeddings.trainable_variables

    def total(values: list[Any]) -> Any:
        with keras.StatelessScope(zip(variables, values, strict=True)):
            return embeddings(IDS, IDS).astype("float32").sum()

    operations = str(jax.make_jaxpr(jax.grad(total))([each.value for each in variables]))
    table = rf"{CONFIG.vocab_size},{CONFIG.embedding_size}"
    assert re.findall(rf"(\w+)\[{table}\] = scatter-add", operations) == ["f32"]
