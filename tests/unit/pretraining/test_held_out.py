"""Masked LM apart by what the model is shown: [MASK], a random token, or the token itself."""

import signal
from typing import Any

import keras
import numpy as np
import pytest

from albert_core.config import AlbertConfig
from albert_core.model import AlbertForPreTraining, pretraining_losses
from albert_core.model.weights import as_arrays, weights_by_name
from albert_core.pretraining.effective_rank import measure_effective_ranks
from albert_core.pretraining.held_out import (
    EVALUATION_METRICS,
    HeldOutModel,
    evaluate_held_out,
    published_metrics,
    shown_weights,
)
from albert_core.training.signals import SignalError, catch_signals

pytestmark = pytest.mark.backends

MASK = 4
CONFIG = AlbertConfig(
    vocab_size=30,
    embedding_size=8,
    hidden_size=16,
    num_hidden_layers=1,
    num_attention_heads=2,
    intermediate_size=32,
    max_position_embeddings=12,
    initializer_range=0.3,
)
# Predictions at the positions 1 to 4; the last slot of the second sequence is not used.
INPUTS = {
    "input_ids": np.array([[2, MASK, 11, 25, MASK, 3], [2, MASK, 27, 13, 0, 3]], np.int32),
    "input_mask": np.ones((2, 6), np.int32),
    "segment_ids": np.zeros((2, 6), np.int32),
    "masked_lm_positions": np.array([[1, 2, 3, 4], [1, 2, 3, 0]], np.int32),
}
TARGETS = {
    "masked_lm_ids": np.array([[10, 11, 12, 13], [11, 12, 13, 0]], np.int32),
    "masked_lm_weights": np.array([[1, 1, 1, 1], [1, 1, 1, 0]], np.float32),
    "sentence_order_labels": np.array([0, 1], np.int32),
}


class _Batches(keras.utils.PyDataset):
    """The batches of a list, as the reader for JAX gives them."""

    def __init__(self, batches: list[Any]) -> None:
        super().__init__()
        self.batches = batches

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, index: int) -> Any:
        return self.batches[index]


def batch_list(*, has_random: bool = True) -> list[Any]:
    """Return two batches; the second without random tokens, as both are without `has_random`."""
    weights = TARGETS["masked_lm_weights"].copy()
    weights[0, 2] = weights[1, 1] = 0.0
    others = {**TARGETS, "masked_lm_weights": weights}
    return [(INPUTS, TARGETS if has_random else others), (INPUTS, others)]


def make_batches(**options: bool) -> Any:
    """Return `batch_list` as the backend's reader of records would."""
    batches = batch_list(**options)
    if keras.backend.backend() == "jax":
        return _Batches(batches)
    import tensorflow as tf

    rows = tf.nest.map_structure(lambda *parts: np.concatenate(parts), *batches)
    return tf.data.Dataset.from_tensor_slices(rows).batch(2, drop_remainder=True)


@pytest.fixture(scope="module")
def model() -> AlbertForPreTraining:
    keras.utils.set_random_seed(3)
    model = AlbertForPreTraining(CONFIG)
    model.compile(optimizer=None, jit_compile=keras.backend.backend() == "jax")
    return model


def test_the_input_at_a_position_decides_where_its_prediction_counts():
    weights = {
        name: keras.ops.convert_to_numpy(value).tolist()
        for name, value in shown_weights(INPUTS, TARGETS, MASK).items()
    }
    assert weights == {
        "mask_token": [[1, 0, 0, 1], [1, 0, 0, 0]],
        "random": [[0, 0, 1, 0], [0, 1, 0, 0]],
        "unchanged": [[0, 1, 0, 0], [0, 0, 1, 0]],
    }


@pytest.fixture(scope="module")
def held_out(model) -> HeldOutModel:
    return HeldOutModel(model, MASK)


def test_the_parts_add_up_to_the_whole(held_out):
    metrics = evaluate_held_out(held_out, make_batches())
    kinds = ("mask_token", "random", "unchanged")
    fractions = {kind: metrics[f"masked_lm_{kind}_fraction"] for kind in kinds}
    # 12 predictions in both batches: of the first 3, 2 and 2, of the second 3, 0 and 2.
    assert fractions == pytest.approx({"mask_token": 6 / 12, "random": 2 / 12, "unchanged": 4 / 12})
    for what in ("accuracy", "loss"):
        parts = (fractions[kind] * metrics[f"masked_lm_{kind}_{what}"] for kind in kinds)
        assert sum(parts) == pytest.approx(metrics[f"masked_lm_{what}"], rel=1e-5)


def test_an_evaluation_ends_after_a_batch_once_a_signal_has_come(held_out):
    before = evaluate_held_out(held_out, make_batches())
    with catch_signals():
        signal.raise_signal(signal.SIGTERM)
        with pytest.raises(SignalError):
            evaluate_held_out(held_out, make_batches())
    assert int(held_out.means["loss_of_batches"].count) == len(INPUTS["input_ids"])  # of one batch
    # The next one is whole again, with the same weights.
    assert evaluate_held_out(held_out, make_batches()) == before


def test_a_kind_that_does_not_occur_has_no_accuracy(held_out):
    metrics = evaluate_held_out(held_out, make_batches(has_random=False))
    assert metrics["masked_lm_random_fraction"] == 0
    assert not {"masked_lm_random_accuracy", "masked_lm_random_loss"} & metrics.keys()
    assert "masked_lm_random_accuracy" not in published_metrics({**metrics, "global_step": 1})


def test_the_loss_of_sentence_order_counts_by_its_weight(model):
    outputs = model(INPUTS)
    whole, weighted = (pretraining_losses(TARGETS, outputs, weight) for weight in (1.0, 0.25))
    masked_lm, order = float(whole["masked_lm_loss"]), float(whole["sentence_order_loss"])
    assert float(whole["loss"]) == pytest.approx(masked_lm + order)
    assert float(weighted["loss"]) == pytest.approx(masked_lm + 0.25 * order)
    assert float(weighted["sentence_order_loss"]) == order


def test_the_model_itself_has_the_same_metrics_and_is_left_alone(model, held_out):
    expected = model.evaluate(make_batches(), return_dict=True, verbose=0)
    assert expected.keys() == set(EVALUATION_METRICS)
    before = as_arrays(weights_by_name(model))
    metric_variables = {str(n): variable for n, variable in enumerate(model.metrics_variables)}
    values = as_arrays(metric_variables)
    metrics = evaluate_held_out(held_out, make_batches())
    ranks = measure_effective_ranks(model, make_batches())
    assert {name: metrics[name] for name in expected} == pytest.approx(expected, rel=1e-6)
    assert all(1 <= rank <= ranks["max_effective_rank"] for rank in ranks.values())
    after = as_arrays(weights_by_name(model))
    assert all(np.array_equal(before[name], after[name]) for name in before)
    # A checkpoint holds these, and an interval that is continued needs them as they were.
    assert as_arrays(metric_variables) == values


def test_a_manifest_has_the_metrics_rounded_and_the_masks():
    row = {
        **dict.fromkeys(EVALUATION_METRICS, 0.123456),
        "masked_lm_mask_token_accuracy": 0.087654,
        "train_masked_lm_accuracy": 0.5,
        "global_step": 7,
        "masking": "15 % of the tokens",
    }
    published = published_metrics(row)
    assert list(published) == [
        *EVALUATION_METRICS,
        *("masked_lm_mask_token_accuracy", "global_step", "masking"),
    ]
    assert published["masked_lm_mask_token_accuracy"] == 0.0877
