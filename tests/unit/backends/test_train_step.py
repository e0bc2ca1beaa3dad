"""A step is the same however it is computed: whole, in micro-batches, rematerialised, cut short."""

from typing import Any

import keras
import numpy as np
import pytest

from albert_core.config import AlbertConfig
from albert_core.model import AlbertEncoder, AlbertForPreTraining, weights_by_name
from albert_core.model.gradient_accumulation import GradientAccumulationModel
from albert_core.optimizers.factory import make_optimizer
from albert_core.optimizers.settings import OptimizerName

pytestmark = pytest.mark.backends

CONFIG = AlbertConfig(
    vocab_size=50,
    embedding_size=8,
    hidden_size=16,
    num_hidden_layers=2,
    num_attention_heads=2,
    intermediate_size=32,
    max_position_embeddings=24,
    initializer_range=0.3,
)
BATCH, LENGTH, PREDICTIONS = 8, 12, 3
NUM_STEPS = 6
# JAX always compiles; TensorFlow's step takes XLA seconds to compile, and is the same without it.
JITS = keras.backend.backend() == "jax"


def batches() -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Return the examples of all steps; how many predictions count differs from row to row."""
    rng = np.random.default_rng(5)
    rows = NUM_STEPS * BATCH
    shape = (rows, LENGTH)
    inputs = {
        "input_ids": rng.integers(0, CONFIG.vocab_size, shape),
        "input_mask": (np.arange(LENGTH) < rng.integers(4, LENGTH + 1, (rows, 1))).astype(int),
        "segment_ids": rng.integers(0, 2, shape),
        "masked_lm_positions": rng.integers(0, LENGTH, (rows, PREDICTIONS)),
    }
    slots = np.arange(PREDICTIONS)
    targets = {
        "masked_lm_ids": rng.integers(0, CONFIG.vocab_size, (rows, PREDICTIONS)),
        "masked_lm_weights": (slots < rng.integers(0, PREDICTIONS + 1, (rows, 1))).astype(
            "float32"
        ),
        "sentence_order_labels": rng.integers(0, 2, rows),
    }
    return inputs, targets


def new_model(**arguments: Any) -> AlbertForPreTraining:
    keras.utils.set_random_seed(3)
    return AlbertForPreTraining(CONFIG, **arguments)


def trained(
    jit_compile: bool = JITS, optimizer_name: OptimizerName = "lamb", **arguments: Any
) -> tuple[list[float], dict[str, np.ndarray]]:
    """Return the loss of every step and the weights after the last."""
    model = new_model(**arguments)
    optimizer = make_optimizer(
        optimizer_name, learning_rate=0.01, num_train_steps=NUM_STEPS, num_warmup_steps=2
    )
    optimizer.build(model.trainable_variables)  # else TensorFlow traces the first step twice
    model.compile(optimizer=optimizer, jit_compile=jit_compile)
    losses: list[float] = []
    for step in range(NUM_STEPS):
        rows = slice(step * BATCH, (step + 1) * BATCH)
        inputs, targets = ({n: a[rows] for n, a in part.items()} for part in batches())
        losses.append(model.train_on_batch(inputs, targets, return_dict=True)["loss"])
        model.reset_metrics()
    return losses, {name: np.asarray(weight) for name, weight in weights_by_name(model).items()}


@pytest.fixture(scope="module")
def whole() -> tuple[list[float], dict[str, np.ndarray]]:
    return trained()


@pytest.mark.parametrize(
    "arguments",
    [{"num_micro_batches": 4}, {"rematerialize": True}],
    ids=["four micro-batches", "rematerialised"],
)
def test_training_is_the_same(whole, arguments) -> None:
    losses, weights = trained(**arguments)
    np.testing.assert_allclose(losses, whole[0], rtol=1e-5)
    for name, weight in weights.items():
        np.testing.assert_allclose(weight, whole[1][name], atol=1e-4, err_msg=name)


def count_products(*, rematerialize: bool) -> int:
    """Return how many matrix products the encoder's gradient has; a loop's body counts once.

    Under TensorFlow those of attention alone: dense layers are differentiated in other ways, with
    more products, where they are not rematerialised.
    """
    encoder = AlbertEncoder(CONFIG, rematerialize=rematerialize)
    encoder.build()
    ids = np.ones((BATCH, LENGTH), "int32")
    if JITS:
        import jax

        def total(values: list[Any]) -> Any:
            with keras.StatelessScope(zip(encoder.weights, values, strict=True)):
                return encoder(ids, training=True)["sequence_output"].sum()

        gradient = jax.make_jaxpr(jax.grad(total))([weight.value for weight in encoder.weights])
        return str(gradient).count("dot_general")
    import tensorflow as tf

    @tf.function
    def gradient_of_total() -> Any:
        with tf.GradientTape() as tape:
            total = tf.reduce_sum(encoder(ids, training=True)["sequence_output"])
        return tape.gradient(total, [weight.value for weight in encoder.weights])

    operations = gradient_of_total.get_concrete_function().graph.get_operations()
    return sum(operation.type.startswith("BatchMatMul") for operation in operations)


def test_rematerialised_layers_are_computed_again_for_the_gradient() -> None:
    again = count_products(rematerialize=True) - count_products(rematerialize=False)
    # Of a layer's dense products the gradient needs all results but the last one's; of attention's
    # two it needs the first, and the projection after it the second.
    assert again >= (5 if JITS else 2)


def test_training_with_muon_in_rematerialised_micro_batches_is_the_same() -> None:
    losses, weights = trained(optimizer_name="muon", num_micro_batches=2, rematerialize=True)
    whole_losses, whole_weights = trained(optimizer_name="muon")
    np.testing.assert_allclose(losses, whole_losses, rtol=1e-5)
    for name, weight in weights.items():
        np.testing.assert_allclose(weight, whole_weights[name], atol=1e-4, err_msg=name)


class Multiplied(GradientAccumulationModel):
    """Returns its inputs times an attribute, which a compiled step takes as it was."""

    factor = 1.0

    def build(self, input_shape: Any) -> None:
        self.weight = self.add_weight(shape=(), initializer="ones")
        self.built = True

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        return self.factor * self.weight * inputs["x"]

    def batch_totals(self, inputs: Any, targets: Any, sample_weight: Any = None) -> dict[str, Any]:
        return {}

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, *rest: Any, **others: Any
    ) -> Any:
        return keras.ops.mean(y_pred)


def test_a_step_is_made_anew_for_batches_of_the_same_shape_too() -> None:
    model = Multiplied()
    model.compile(optimizer=keras.optimizers.SGD(0.0), jit_compile=JITS)
    batch = ({"x": np.ones((4, 1), "float32")}, {"y": np.ones((4, 1), "float32")})
    losses = []
    for factor in (2.0, 3.0):
        model.factor = factor
        model.make_train_function(force=True)
        losses += model.fit(*batch, batch_size=4, verbose=0).history["loss"]
    assert losses == [2.0, 3.0]


def test_training_is_the_same_with_and_without_xla(whole) -> None:
    losses, _ = trained(jit_compile=not JITS)
    np.testing.assert_allclose(losses, whole[0], rtol=1e-5)


def test_a_training_step_predicts_what_evaluation_does() -> None:
    """Its last layer computes nothing but [CLS] and the masked positions."""
    model = new_model()
    inputs = {name: array[:BATCH] for name, array in batches()[0].items()}
    short, full = model(inputs, training=True), model(inputs, training=False)
    assert short["sequence_output"].shape == (BATCH, PREDICTIONS, CONFIG.hidden_size)
    assert full["sequence_output"].shape == (BATCH, LENGTH, CONFIG.hidden_size)
    for name in ("masked_lm_logits", "sentence_order_logits", "pooled_output"):
        np.testing.assert_allclose(short[name], full[name], atol=2e-5, err_msg=name)
