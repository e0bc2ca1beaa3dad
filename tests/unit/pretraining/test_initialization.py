"""New weights of a pretraining, and a factor for those that write to the residual stream."""

import keras
import numpy as np
import pytest

from albert_core.config import AlbertConfig
from albert_core.model import AlbertForPreTraining, weights_by_name
from albert_core.pretraining.initialization import scale_residual_kernels

pytestmark = pytest.mark.backends

CONFIG = AlbertConfig(
    vocab_size=20,
    embedding_size=4,
    hidden_size=8,
    num_hidden_layers=2,
    num_hidden_groups=2,
    num_attention_heads=2,
    intermediate_size=8,
)


def initial_weights(scale: float) -> dict[str, np.ndarray]:
    keras.utils.set_random_seed(3)
    model = AlbertForPreTraining(CONFIG)
    scale_residual_kernels(model, scale)
    return {name: np.asarray(value).copy() for name, value in weights_by_name(model).items()}


def test_residual_kernels_of_every_group_are_scaled_and_nothing_else() -> None:
    plain, scaled = initial_weights(1.0), initial_weights(0.25)
    names = {
        f"bert/encoder/transformer/group_{group}/inner_group_0/{scope}/output/dense/kernel"
        for group in (0, 1)
        for scope in ("attention_1", "ffn_1/intermediate")
    }
    for name, value in plain.items():
        factor = 0.25 if name in names else 1.0
        np.testing.assert_array_equal(scaled[name], factor * value, err_msg=name)
    assert names <= plain.keys()
