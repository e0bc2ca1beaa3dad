"""What must hold for any weights and any batch: padding, masks, order, precision, ids."""

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from albert_core.config import AlbertConfig
from albert_core.errors import InputError
from albert_core.model import AlbertForPreTraining, load_weights, weights_by_name
from albert_core.optimizers.factory import make_optimizer
from albert_core.optimizers.settings import OptimizerName
from tests.helpers.compilation import inference_function

pytestmark = pytest.mark.backends

CONFIG = AlbertConfig(
    vocab_size=50,
    embedding_size=8,
    hidden_size=16,
    num_hidden_layers=3,
    num_attention_heads=2,
    intermediate_size=32,
    max_position_embeddings=24,
    initializer_range=0.3,
)
BATCH, LENGTH, PREDICTIONS = 4, 12, 3
BFLOAT16_DISTANCE = 0.25  # of outputs that layer normalisation keeps at a size of about 1

Inputs = dict[str, np.ndarray]
seeds = st.integers(0, 2**32 - 1)
inference_of = functools.cache(inference_function)


@pytest.fixture(scope="module")
def model() -> AlbertForPreTraining:
    keras.utils.set_random_seed(1)
    return AlbertForPreTraining(CONFIG)


def random_inputs(seed: int) -> Inputs:
    """Return a batch whose rows are padded to different degrees."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(PREDICTIONS, LENGTH, size=(BATCH, 1), endpoint=True)
    shape = (BATCH, LENGTH)
    return {
        "input_ids": rng.integers(0, CONFIG.vocab_size, shape),
        "input_mask": (np.arange(LENGTH) < lengths).astype(int),
        "segment_ids": rng.integers(0, 2, shape),
        "masked_lm_positions": rng.permuted(np.tile(np.arange(LENGTH), (BATCH, 1)), axis=1)[
            :, :PREDICTIONS
        ],
    }


def compute_outputs(
    model: AlbertForPreTraining, inputs: Mapping[str, Any]
) -> dict[str, np.ndarray]:
    return arrays_of(inference_of(model)(inputs))


def arrays_of(outputs: Mapping[str, Any]) -> dict[str, np.ndarray]:
    names = ("sequence_output", "pooled_output", "masked_lm_logits", "sentence_order_logits")
    return {
        name: keras.ops.convert_to_numpy(keras.ops.cast(outputs[name], "float32")) for name in names
    }


def assert_equal(actual: Mapping[str, np.ndarray], expected: Mapping[str, np.ndarray]) -> None:
    for name in expected:
        np.testing.assert_allclose(actual[name], expected[name], atol=2e-5, err_msg=name)


@settings(max_examples=20)
@given(seed=seeds)
def test_padding_never_changes_unpadded_positions(model: AlbertForPreTraining, seed: int) -> None:
    inputs = random_inputs(seed)
    padding = ((0, 0), (0, CONFIG.max_position_embeddings - LENGTH))
    padded = {
        name: np.pad(inputs[name], padding) for name in ("input_ids", "input_mask", "segment_ids")
    }
    wide = compute_outputs(model, {**inputs, **padded})
    wide["sequence_output"] = wide["sequence_output"][:, :LENGTH]
    assert_equal(wide, compute_outputs(model, inputs))


@settings(max_examples=20)
@given(seed=seeds)
def test_what_the_mask_hides_has_no_effect(model: AlbertForPreTraining, seed: int) -> None:
    inputs = random_inputs(seed)
    seen = inputs["input_mask"] == 1
    others = np.random.default_rng(seed + 1).integers(0, CONFIG.vocab_size, seen.shape)
    changed = {**inputs, "input_ids": np.where(seen, inputs["input_ids"], others)}
    actual, expected = compute_outputs(model, changed), compute_outputs(model, inputs)
    np.testing.assert_allclose(
        actual["sequence_output"][seen], expected["sequence_output"][seen], atol=2e-5
    )
    np.testing.assert_allclose(actual["pooled_output"], expected["pooled_output"], atol=2e-5)


def test_what_the_mask_shows_has_an_effect(model: AlbertForPreTraining) -> None:
    inputs = {**random_inputs(0), "input_mask": np.ones((BATCH, LENGTH), int)}
    changed = inputs["input_ids"].copy()
    changed[:, -1] = (changed[:, -1] + 1) % CONFIG.vocab_size
    before = compute_outputs(model, inputs)["sequence_output"][:, 0]
    after = compute_outputs(model, {**inputs, "input_ids": changed})["sequence_output"][:, 0]
    assert (np.abs(after - before).max(axis=1) > 1e-3).all()


@settings(max_examples=20)
@given(seed=seeds)
def test_the_order_of_the_batch_does_not_matter(model: AlbertForPreTraining, seed: int) -> None:
    inputs = random_inputs(seed)
    order = np.random.default_rng(seed + 1).permutation(BATCH)
    shuffled = compute_outputs(model, {name: array[order] for name, array in inputs.items()})
    expected = {name: array[order] for name, array in compute_outputs(model, inputs).items()}
    assert_equal(shuffled, expected)


def test_an_offset_moves_the_positions_of_its_sequence_alone(model: AlbertForPreTraining) -> None:
    inputs = random_inputs(0)
    offsets = np.array([0, 5, CONFIG.max_position_embeddings - LENGTH, 0])
    plain = compute_outputs(model, inputs)
    moved = compute_outputs(model, {**inputs, "position_offsets": offsets})
    # The same by a table that begins at the offset.
    table = model.bert.embeddings.position_embeddings
    values = np.asarray(table).copy()
    table.assign(np.roll(values, -5, axis=0))
    rolled = compute_outputs(model, inputs)
    table.assign(values)
    for name, outputs in moved.items():
        np.testing.assert_allclose(outputs[[0, 3]], plain[name][[0, 3]], atol=2e-5, err_msg=name)
        np.testing.assert_allclose(outputs[1], rolled[name][1], atol=2e-5, err_msg=name)
        assert np.abs(outputs[2] - plain[name][2]).max() > 1e-3
    with pytest.raises(InputError, match="position_offsets: got 13, expected from 0 to below"):
        model({**inputs, "position_offsets": offsets + 1})


@settings(max_examples=20)
@given(seed=seeds)
def test_permuted_masked_positions_permute_the_logits(
    model: AlbertForPreTraining, seed: int
) -> None:
    inputs = random_inputs(seed)
    order = np.random.default_rng(seed + 1).permutation(PREDICTIONS)
    permuted = {**inputs, "masked_lm_positions": inputs["masked_lm_positions"][:, order]}
    expected = compute_outputs(model, inputs)["masked_lm_logits"][:, order]
    np.testing.assert_allclose(
        compute_outputs(model, permuted)["masked_lm_logits"], expected, atol=2e-5
    )


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_half_precision_stays_near_full_precision(model: AlbertForPreTraining, policy: str) -> None:
    """Of float16 the distance is that of the original's epsilon in layer normalisation, 1e-3."""
    keras.config.set_dtype_policy(policy)
    try:
        half = AlbertForPreTraining(CONFIG)
    finally:
        keras.config.set_dtype_policy("float32")
    load_weights(half, weights_by_name(model), source="the same model in full precision")
    inputs = random_inputs(3)
    actual, expected = arrays_of(half(inputs, training=False)), compute_outputs(model, inputs)
    for name in ("sequence_output", "pooled_output"):
        distance = np.abs(actual[name] - expected[name]).max()
        assert 0 < distance < BFLOAT16_DISTANCE, name


@pytest.mark.parametrize(
    ("optimizer", "learning_rate", "policy"),
    [("lamb", 0.05, "float32"), ("adamw", 0.01, "mixed_bfloat16")],
)
def test_fit_learns(optimizer: OptimizerName, learning_rate: float, policy: str) -> None:
    keras.config.set_dtype_policy(policy)
    try:
        # XLA compiles each layer again.
        model = AlbertForPreTraining(dataclasses.replace(CONFIG, num_hidden_layers=1))
    finally:
        keras.config.set_dtype_policy("float32")
    built = make_optimizer(
        optimizer, learning_rate=learning_rate, num_train_steps=100, num_warmup_steps=10
    )
    built.build(model.trainable_variables)  # else TensorFlow traces the first step twice
    model.compile(optimizer=built, jit_compile=True)
    rng, inputs = np.random.default_rng(0), random_inputs(0)
    targets = {
        "masked_lm_ids": rng.integers(0, CONFIG.vocab_size, (BATCH, PREDICTIONS)),
        "masked_lm_weights": np.ones((BATCH, PREDICTIONS), "float32"),
        "sentence_order_labels": rng.integers(0, 2, BATCH),
    }
    losses = [model.train_on_batch(inputs, targets, return_dict=True)["loss"]]
    for _ in range(98):
        model.train_on_batch(inputs, targets)
    model.reset_metrics()
    losses.append(model.train_on_batch(inputs, targets, return_dict=True)["loss"])
    assert losses[1] < 0.7 * losses[0]
    assert model.optimizer.adam_m[0].dtype == "float32"


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("input_ids", 50, "input_ids: got 50, expected from 0 to below vocab_size=50"),
        ("input_ids", -1, "input_ids: got -1"),
        ("segment_ids", 2, "segment_ids: got 2, expected from 0 to below type_vocab_size=2"),
        ("masked_lm_positions", LENGTH, "masked_lm_positions: got 12, .* sequence length=12"),
    ],
)
def test_ids_out_of_range_are_refused(
    model: AlbertForPreTraining, name: str, value: int, message: str
) -> None:
    inputs = random_inputs(0)
    inputs[name][1, 1] = value
    with pytest.raises(InputError, match=message):
        model(inputs)


def test_positions_over_the_limit_are_refused(model: AlbertForPreTraining) -> None:
    with pytest.raises(InputError, match="got 25, expected at most max_position_embeddings=24"):
        model.bert(np.zeros((1, 25), int))


@pytest.mark.parametrize("name", ["hidden_dropout_prob", "attention_probs_dropout_prob"])
def test_rematerialisation_with_dropout_is_refused(name: str) -> None:
    """TensorFlow would draw other masks for the gradient, which nothing would tell."""
    with pytest.raises(InputError, match="rematerialize: got true with dropout"):
        AlbertForPreTraining(dataclasses.replace(CONFIG, **{name: 0.1}), rematerialize=True)


def test_all_layers_and_chosen_positions_are_refused_together(model: AlbertForPreTraining) -> None:
    ids = np.zeros((1, LENGTH), int)
    with pytest.raises(InputError, match=r"output_positions: .* together with return_all_layers"):
        model.bert(ids, output_positions=ids[:, :1], return_all_layers=True)
