"""Tokens drawn from logits, by numbers that were drawn beforehand.

Shape suffixes: B batch, P predictions, V vocabulary, N blocks of the vocabulary, K tokens of a
block.
"""

import math
from typing import Any

from keras import ops

from albert_core.records.batch import DRAW_BITS


def sample_tokens(logits_BPV: Any, draws_BP: Any) -> Any:
    """Return token ids int32 [B, P], each drawn by the softmax of its logits.

    The same draw and logits give the same token, whatever else is in the batch.

    Args:
        logits_BPV: Scores of the vocabulary; computed with in float32.
        draws_BP: int32, uniformly random numbers from 0 to below 2**24.
    """
    # By the cumulative distribution, and not by Gumbel noise on every logit: a draw is one number,
    # which the reader of records can seed by record. So the tokens depend neither on micro-batches
    # and devices nor on the step at which training was interrupted.
    weights_BPV = ops.softmax(ops.cast(logits_BPV, "float32"), axis=-1)
    vocab_size = weights_BPV.shape[-1]
    block_size = math.isqrt(vocab_size - 1) + 1
    num_blocks = -(-vocab_size // block_size)
    padding = num_blocks * block_size - vocab_size
    padded = ops.pad(weights_BPV, ((0, 0), (0, 0), (0, padding)))
    # First a block, then a token in it: sums over the whole vocabulary, one after the other, would
    # be slow on accelerators, and inexact at its end.
    weights_BPNK = ops.reshape(padded, (-1, draws_BP.shape[1], num_blocks, block_size))
    totals_BPN = ops.sum(weights_BPNK, axis=-1)
    draws_BP1 = ops.cast(draws_BP, "float32")[..., None] / 2**DRAW_BITS
    block_BP1, rest_BP1 = _choose(totals_BPN, draws_BP1 * ops.sum(totals_BPN, -1, keepdims=True))
    indices_BP1K = ops.broadcast_to(block_BP1[..., None], (*ops.shape(block_BP1), block_size))
    weights_BPK = ops.take_along_axis(weights_BPNK, indices_BP1K, axis=2)[:, :, 0]
    token_BP1, _ = _choose(weights_BPK, rest_BP1)
    tokens_BP1 = block_BP1 * block_size + token_BP1
    # Only where the last sum was rounded can the padding of the last block be chosen.
    return ops.minimum(tokens_BP1[..., 0], vocab_size - 1)


def _choose(weights: Any, threshold: Any) -> tuple[Any, Any]:
    """Return where the running sum of weights first exceeds a threshold, and what is left of it.

    Args:
        weights: [..., N], not negative.
        threshold: [..., 1], from 0 to about the sum of the weights.

    Returns:
        The place int32 [..., 1], the last one where no sum exceeds the threshold; and the threshold
        less the weights before the place.
    """
    sums = ops.cumsum(weights, axis=-1)
    place = ops.sum(ops.cast(sums <= threshold, "int32"), axis=-1, keepdims=True)
    place = ops.minimum(place, weights.shape[-1] - 1)
    before = ops.take_along_axis(sums - weights, place, axis=-1)
    return place, threshold - before
