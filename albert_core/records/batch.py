"""The batches that training reads, and the constants that both readers share."""

from collections.abc import Sequence
from typing import Any

INPUTS = ("input_ids", "input_mask", "segment_ids", "masked_lm_positions")
POSITION_OFFSETS = "position_offsets"  # a further input of training, where offsets are drawn
TARGETS = ("masked_lm_ids", "masked_lm_weights", "sentence_order_labels")
REPLACEMENT_DRAWS = "replacement_draws"

DRAW_BITS = 24
"""Random bits of a replacement draw: as many as float32 holds."""

SHUFFLE_BUFFER = 16_384  # records; those of a shard are in random order by blocks already
HELD_OUT_EPOCH = 2**31 - 1  # evaluation draws its masks from an epoch training never reaches

Batch = tuple[dict[str, Any], dict[str, Any]]
"""Inputs and targets by name."""


def to_batch(values: Sequence[Any]) -> Batch:
    """Name the arrays of a batch and split them into inputs and targets.

    Args:
        values: The seven arrays or tensors, in the order of `INPUTS` and then `TARGETS`.

    Raises:
        ValueError: There are not seven arrays.
    """
    batch = dict(zip(INPUTS + TARGETS, values, strict=True))
    return {name: batch[name] for name in INPUTS}, {name: batch[name] for name in TARGETS}


def replacement_inputs(targets: dict[str, Any], draws_BP: Any) -> dict[str, Any]:
    """Return the further inputs of replaced-token detection.

    They are the draws, and the targets `masked_lm_ids` and `masked_lm_weights`, from which the
    texts without masks are made.

    Args:
        targets: Targets of masked LM.
        draws_BP: What `records.replacement_draws` returned.
    """
    names = ("masked_lm_ids", "masked_lm_weights")
    return {**{name: targets[name] for name in names}, REPLACEMENT_DRAWS: draws_BP}


class InputTimer:
    """Time that the consumer of batches has spent waiting for them.

    It measures nothing itself: readers of batches add to it.

    Attributes:
        seconds: The sum so far.
    """

    def __init__(self) -> None:
        self.seconds = 0.0
