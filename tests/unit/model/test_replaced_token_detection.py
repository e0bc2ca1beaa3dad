"""Replaced-token detection: what is drawn, what counts as replaced, and which loss trains what."""

import dataclasses
from typing import Any

import keras
import numpy as np
import pytest
from keras import ops

from albert_core.config import AlbertConfig
from albert_core.model import AlbertForPreTraining, AlbertForReplacedTokenDetection, weights_by_name
from albert_core.model.replaced_token_detection import replace_tokens, replaced_token_losses
from albert_core.model.sampling import sample_tokens
from albert_core.optimizers.factory import make_optimizer
from albert_core.pretraining.objectives import ReplacedTokenConfig
from albert_core.pretraining.publication import discriminator_weights, generator_weights
from albert_core.records.batch import DRAW_BITS, replacement_inputs
from tests.helpers.gradients import gradient_function

pytestmark = pytest.mark.backends

MASK = 4
CONFIG = AlbertConfig(
    vocab_size=30,
    embedding_size=8,
    hidden_size=16,
    num_hidden_layers=1,
    num_attention_heads=4,
    intermediate_size=32,
    max_position_embeddings=12,
    initializer_range=0.3,
)
DETECTION = ReplacedTokenConfig(generator_size=0.5, loss_weight=7.0)
JITS = keras.backend.backend() == "jax"


def make_batch(num_rows: int = 8, length: int = 10, num_predictions: int = 3, seed: int = 5) -> Any:
    """Return a batch of texts with masks and padding; how many predictions count differs."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(5, length + 1, num_rows)
    input_mask = (np.arange(length) < lengths[:, None]).astype(np.int32)
    text = rng.integers(5, CONFIG.vocab_size, (num_rows, length)).astype(np.int32) * input_mask
    positions = np.array([rng.permutation(5)[:num_predictions] for _ in range(num_rows)], np.int32)
    used = np.arange(num_predictions) < rng.integers(1, num_predictions + 1, (num_rows, 1))
    positions *= used  # as records have it: slots that are not used are of position 0
    rows = np.arange(num_rows)[:, None]
    ids = np.where(used, text[rows, positions], 0).astype(np.int32)
    masked = text.copy()
    for row, slot in zip(*np.nonzero(used), strict=True):
        masked[row, positions[row, slot]] = MASK
    inputs = {
        "input_ids": masked,
        "input_mask": input_mask,
        "segment_ids": np.zeros_like(text),
        "masked_lm_positions": positions,
    }
    targets = {
        "masked_lm_ids": ids,
        "masked_lm_weights": used.astype(np.float32),
        "sentence_order_labels": rng.integers(0, 2, num_rows).astype(np.int32),
    }
    draws = rng.integers(0, 2**DRAW_BITS, (num_rows, num_predictions)).astype(np.int32)
    return {**inputs, **replacement_inputs(targets, draws)}, targets, text


def new_model(num_hidden_layers: int = 1, **settings: Any) -> AlbertForReplacedTokenDetection:
    keras.utils.set_random_seed(3)
    config = dataclasses.replace(CONFIG, num_hidden_layers=num_hidden_layers)
    return AlbertForReplacedTokenDetection(
        config, DETECTION.generator(config), loss_weight=DETECTION.loss_weight, **settings
    )


@pytest.fixture(scope="module")
def model() -> AlbertForReplacedTokenDetection:
    return new_model()


def arrays(outputs: Any) -> dict[str, np.ndarray]:
    return {name: ops.convert_to_numpy(value) for name, value in outputs.items()}


def test_tokens_are_drawn_by_their_probabilities():
    """The draws are a grid over all that are possible, so that counts are exact to one."""
    rng = np.random.default_rng(1)
    num_draws = 2000
    logits = rng.normal(0, 2, CONFIG.vocab_size).astype(np.float32)
    logits[[0, 7, 29]] = -1e9
    draws = ((np.arange(num_draws) + 0.5) / num_draws * 2**DRAW_BITS).astype(np.int32)
    tokens = ops.convert_to_numpy(
        sample_tokens(np.tile(logits, (num_draws // 4, 4, 1)), draws.reshape(-1, 4))
    )
    counts = np.bincount(tokens.ravel(), minlength=CONFIG.vocab_size)
    expected = np.exp(logits - logits.max()) / np.exp(logits - logits.max()).sum() * num_draws
    np.testing.assert_allclose(counts, expected, atol=1.01)
    assert not counts[[0, 7, 29]].any()


@pytest.mark.parametrize("vocab_size", [2, 16, 17])
def test_the_largest_draw_gives_a_token_of_the_vocabulary(vocab_size):
    logits = np.zeros((1, 2, vocab_size), np.float32)
    draws = np.array([[0, 2**DRAW_BITS - 1]], np.int32)
    tokens = ops.convert_to_numpy(sample_tokens(logits, draws))
    assert tokens.tolist() == [[0, vocab_size - 1]]


def test_a_text_gets_the_drawn_tokens_at_its_masked_positions_alone():
    inputs, _, text = make_batch()
    sampled = np.full(inputs["masked_lm_positions"].shape, 9, np.int32)
    original, corrupted = map(ops.convert_to_numpy, replace_tokens(inputs, sampled))
    np.testing.assert_array_equal(original, text)
    np.testing.assert_array_equal(corrupted, np.where(inputs["input_ids"] == MASK, 9, text))


def test_a_token_that_is_drawn_as_it_was_is_not_replaced(model):
    """With logits that leave no choice the generator draws one token: of the first text its own."""
    inputs, _, text = make_batch(num_rows=2)
    token = int(text[0, inputs["masked_lm_positions"][0, 0]])
    model.generator.masked_lm.output_bias.assign(1e4 * np.eye(CONFIG.vocab_size)[token])
    is_replaced = ops.convert_to_numpy(model(inputs)["is_replaced"])
    model.generator.masked_lm.output_bias.assign(np.zeros(CONFIG.vocab_size))
    expected = (inputs["input_ids"] == MASK) & (text != token)
    np.testing.assert_array_equal(is_replaced, expected)
    assert not is_replaced[0, inputs["masked_lm_positions"][0, 0]]
    assert is_replaced.any()


def test_the_loss_is_the_sum_of_three_means(model):
    inputs, targets, _ = make_batch()
    outputs = arrays(model(inputs))
    losses = arrays(replaced_token_losses(inputs, targets, outputs, loss_weight=7.0))

    def nll(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
        logits = logits.astype(np.float64)
        log_sum = np.log(np.exp(logits).sum(-1))
        return log_sum - np.take_along_axis(logits, labels[..., None], -1)[..., 0]

    weights = targets["masked_lm_weights"]
    masked = (nll(outputs["masked_lm_logits"], targets["masked_lm_ids"]) * weights).sum()
    masked /= weights.sum()
    order = nll(outputs["sentence_order_logits"], targets["sentence_order_labels"]).mean()
    probability = 1 / (1 + np.exp(-outputs["replaced_token_logits"].astype(np.float64)))
    of_label = np.where(outputs["is_replaced"], probability, 1 - probability)
    is_token = inputs["input_mask"] == 1
    detection = -np.log(of_label[is_token]).mean()
    assert losses["masked_lm_loss"] == pytest.approx(masked, rel=1e-4)
    assert losses["replaced_token_loss"] == pytest.approx(detection, rel=1e-4)
    assert losses["loss"] == pytest.approx(masked + 7 * detection + order, rel=1e-4)


def test_padding_has_no_loss_and_no_metric(model):
    inputs, targets, _ = make_batch()
    outputs = arrays(model(inputs))
    is_padding = inputs["input_mask"] == 0
    assert is_padding.any()
    assert not outputs["is_replaced"][is_padding].any()
    others = {
        **outputs,
        "replaced_token_logits": np.where(is_padding, 50, outputs["replaced_token_logits"]),
    }
    one, other = (
        arrays(replaced_token_losses(inputs, targets, some, loss_weight=1.0))
        for some in (outputs, others)
    )
    assert one["loss"] == other["loss"]
    values = model.metric_values(inputs, targets, others, other)
    for name in (*model.metric_names[-2:], *model.evaluation_names):
        assert not np.asarray(values[name][1])[is_padding].any(), name


def test_metrics_of_the_detection():
    """Of five tokens two are replaced; three are taken for it, one of them rightly."""
    model = new_model()
    inputs = {"input_mask": np.array([[1, 1, 1, 1, 1, 0]])}
    targets = {
        "masked_lm_ids": np.zeros((1, 1), np.int32),
        "masked_lm_weights": np.ones((1, 1), np.float32),
        "sentence_order_labels": np.zeros(1, np.int32),
    }
    outputs = {
        "is_replaced": np.array([[1, 1, 0, 0, 0, 0]]),
        "replaced_token_logits": np.array([[2.0, -1.0, 1.0, 1.0, -3.0, 9.0]], np.float32),
        "masked_lm_logits": np.zeros((1, 1, CONFIG.vocab_size), np.float32),
        "sentence_order_logits": np.zeros((1, 2), np.float32),
    }
    losses = model.batch_losses(inputs, targets, outputs)
    values = model.metric_values(inputs, targets, outputs, losses)
    means = {}
    for name, (value, weights) in values.items():
        metric = keras.metrics.Mean()
        metric.update_state(value, sample_weight=weights)
        means[name.removeprefix("replaced_token_")] = float(metric.result())
    assert means["accuracy"] == pytest.approx(2 / 5)
    assert means["precision"] == pytest.approx(1 / 3)
    assert means["recall"] == pytest.approx(1 / 2)
    assert means["fraction"] == pytest.approx(2 / 5)
    assert means["predicted_fraction"] == pytest.approx(3 / 5)


def test_the_detection_does_not_train_the_generator_and_both_train_the_embeddings(model):
    inputs, targets, _ = make_batch()
    names = ("replaced_token_loss", "masked_lm_loss")

    def losses() -> Any:
        outputs = model(inputs, training=True)
        losses = replaced_token_losses(inputs, targets, outputs, loss_weight=1.0)
        # With TensorFlow a variable that a loss does not depend on has no gradient, not even zeros.
        return ops.stack([losses[name] + 0.0 * losses["loss"] for name in names])

    weights = weights_by_name(model)
    variables = list(weights.values())
    _, gradients = gradient_function(losses, variables, state=variables)()
    detection, masked_lm = (
        {name for name, rows in zip(weights, gradients, strict=True) if np.abs(rows[index]).max()}
        for index in (0, 1)
    )
    embeddings = {name for name in weights if name.startswith("bert/embeddings/")}
    assert "replaced_tokens/output_weights" in detection
    assert not any(name.startswith("generator/") for name in detection)
    assert {name for name in masked_lm if not name.startswith("generator/")} == embeddings
    assert embeddings <= detection


def test_both_models_have_the_names_of_the_original(model):
    weights = weights_by_name(model)
    assert len(weights) == len(model.trainable_variables)
    ordinary = weights_by_name(AlbertForPreTraining(CONFIG))
    of_model = {name for name in ordinary if not name.startswith("cls/predictions/")}
    assert discriminator_weights(weights).keys() == of_model
    generator = weights_by_name(AlbertForPreTraining(DETECTION.generator(CONFIG)))
    of_generator = {n: v.shape for n, v in generator.items() if "pooler" not in n}
    shapes = {n: v.shape for n, v in generator_weights(weights).items()}
    assert shapes == {n: s for n, s in of_generator.items() if "seq_relationship" not in n}


def test_both_models_apply_as_many_layers():
    model = new_model(num_hidden_layers=2)
    model.set_depth(1)
    assert [part.config.num_hidden_layers for part in (model.bert, model.generator.bert)] == [1, 1]


def test_a_generator_keeps_at_least_one_head_and_the_embeddings():
    generator = ReplacedTokenConfig(generator_size=0.1).generator(CONFIG)
    assert (generator.num_attention_heads, generator.hidden_size) == (1, 2)
    assert (generator.embedding_size, generator.num_hidden_layers) == (8, 1)


NUM_STEPS = 3


def trained(num_micro_batches: int = 1, **settings: Any) -> tuple[list[float], dict[str, Any]]:
    """Return the loss of each of some steps and the weights after them."""
    model = new_model(num_hidden_layers=2, **settings)
    model.num_micro_batches = num_micro_batches
    optimizer = make_optimizer(
        "lamb", learning_rate=0.01, num_train_steps=NUM_STEPS, num_warmup_steps=1
    )
    optimizer.build(model.trainable_variables)
    model.compile(optimizer=optimizer, jit_compile=JITS)
    losses = []
    for step in range(NUM_STEPS):
        inputs, targets, _ = make_batch(seed=step)
        losses.append(model.train_on_batch(inputs, targets, return_dict=True)["loss"])
        model.reset_metrics()
    return losses, {name: np.asarray(weight) for name, weight in weights_by_name(model).items()}


def test_micro_batches_and_rematerialisation_change_nothing():
    """The tokens that are drawn depend on the record alone."""
    losses, weights = trained()
    other_losses, others = trained(num_micro_batches=4, rematerialize=True)
    np.testing.assert_allclose(other_losses, losses, rtol=1e-4)
    for name, weight in weights.items():
        np.testing.assert_allclose(others[name], weight, atol=2e-4, err_msg=name)
