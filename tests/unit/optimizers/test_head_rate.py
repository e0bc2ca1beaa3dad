"""The head has a rate of its own, and the encoder keeps its own to the bit."""

from typing import Any

import keras
import numpy as np
import pytest
from keras import ops

from albert_core.optimizers.factory import make_optimizer
from albert_core.optimizers.settings import OptimizerName

pytestmark = pytest.mark.backends

VALUES = [1.0, -2.0, 3.0]


def variable(scope: str) -> Any:
    with keras.name_scope("model"), keras.name_scope(scope):
        return keras.Variable(np.array(VALUES, "float32"), name="weights")


def changes_after_one_step(name: OptimizerName, **settings: float) -> list[np.ndarray]:
    """Return the changes of a variable of the encoder and of one of a head, by one gradient."""
    variables = [variable("bert"), variable("mean")]
    optimizer = make_optimizer(
        name, learning_rate=0.01, num_train_steps=10, num_warmup_steps=0, **settings
    )
    optimizer.build(variables)
    before = np.array(VALUES, "float32")
    gradient = ops.convert_to_tensor(np.array([0.1, 0.2, -0.1], "float32"))
    optimizer.apply([gradient, gradient], variables)
    return [np.asarray(one) - before for one in variables]


@pytest.mark.parametrize("name", ["adamw", "lamb"])
def test_only_variables_outside_the_encoder_have_the_rate_of_the_head(name: OptimizerName) -> None:
    encoder, head = changes_after_one_step(name)
    np.testing.assert_array_equal(encoder, head)
    same_encoder, fast_head = changes_after_one_step(name, head_rate_multiplier=10)
    np.testing.assert_array_equal(same_encoder, encoder)
    np.testing.assert_allclose(fast_head, 10 * head, rtol=1e-4)
