"""How many lengths, and so compilations, the batches of a training set have."""

import numpy as np
import pytest

from albert_core.finetuning.batches import count_padded_lengths
from albert_core.finetuning.features import Features


@pytest.mark.parametrize(
    ("lengths", "longest", "multiple", "expected"),
    [
        (range(4, 129), 128, 64, 2),
        (range(4, 385), 384, 64, 6),
        (range(4, 129), 128, 8, 16),
        ([5, 6, 7], 128, 64, 1),
        ([5, 70, 100], 100, 64, 2),  # rounding up ends at the longest
        ([60, 64, 65], 96, 64, 2),
    ],
)
def test_batches_have_few_lengths(
    lengths: list[int], longest: int, multiple: int, expected: int
) -> None:
    sequences = [np.ones(length, np.int32) for length in lengths]
    features = Features.from_sequences(sequences, list(lengths), {})
    assert count_padded_lengths(features, longest, multiple=multiple) == expected
