"""The batches that training reads, and the constants that both readers share."""

from collections.abc import Sequence
from typing import Any

INPUTS = ("input_ids", "input_mask", "segment_ids", "masked_lm_positions")
TARGETS = ("masked_lm_ids", "masked_lm_weights", "sentence_order_labels")

SHUFFLE_BUFFER = 16_384  # records; those of a shard are in random order by blocks already
HELD_OUT_EPOCH = 2**31 - 1  # evaluation draws its masks from an epoch training never reaches

Batch = tuple[dict[str, Any], dict[str, Any]]
"""Inputs and targets by name."""


def named(values: Sequence[Any]) -> Batch:
    """Return what `INPUTS` and `TARGETS` name as a batch."""
    batch = dict(zip(INPUTS + TARGETS, values, strict=True))
    return {name: batch[name] for name in INPUTS}, {name: batch[name] for name in TARGETS}


class InputTimer:
    """Time that the consumer of batches has spent waiting for them.

    Attributes:
        seconds: The sum so far.
    """

    def __init__(self) -> None:
        self.seconds = 0.0
