"""Effective rank: the exponential of the entropy of the normalised singular values."""

import math

import numpy as np
import pytest

from albert_core.pretraining.effective_rank import (
    effective_rank,
    measure_effective_ranks,
    unmasked_inputs,
)
from tests.unit.pretraining.test_held_out import INPUTS, TARGETS, batch_list, make_batches, model

__all__ = ["model"]


@pytest.mark.parametrize(
    ("vectors", "expected"),
    [
        (np.eye(5), 5.0),
        (np.ones((6, 4)), 1.0),
        (np.diag([3.0, 1.0]), math.exp(-(0.75 * math.log(0.75) + 0.25 * math.log(0.25)))),
        (np.zeros((3, 2)), 0.0),
        (7.0 * np.eye(4, 9), 4.0),
    ],
)
def test_it_counts_the_directions_that_are_used(vectors, expected):
    assert effective_rank(vectors) == pytest.approx(expected)


def test_outputs_that_are_not_finite_have_none():
    assert math.isnan(effective_rank(np.array([[1.0, np.nan]])))


def test_text_is_read_as_it_was_before_masking():
    ids = unmasked_inputs(INPUTS, TARGETS)["input_ids"]
    assert ids.tolist() == [[2, 10, 11, 12, 13, 3], [2, 11, 12, 13, 0, 3]]
    assert INPUTS["input_ids"][0, 1] == 4  # the batch itself is not changed


def test_ranks_are_those_of_the_model_s_outputs(model):
    ranks = measure_effective_ranks(model, make_batches())
    parts = [unmasked_inputs(*batch) for batch in batch_list()]
    inputs = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    inputs["masked_lm_positions"] = np.zeros((4, 1), np.int32)
    outputs = {name: np.asarray(value) for name, value in model(inputs).items()}
    means = outputs["sequence_output"].mean(axis=1)
    assert ranks == {
        "pooled_output_effective_rank": round(effective_rank(outputs["pooled_output"]), 2),
        "mean_output_effective_rank": round(effective_rank(means), 2),
        "max_effective_rank": 4,
    }
