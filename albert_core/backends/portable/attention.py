"""Scaled dot-product attention in batched matrix products, with dropout.

Shape suffixes: B batch, Q queries, S sequence, N heads, D head size.
"""

from collections.abc import Callable
from typing import Any

from keras import ops


def attend_by_products(
    q_BQND: Any, k_BSND: Any, v_BSND: Any, bias_B11S: Any, dropout: Callable[[Any], Any]
) -> Any:
    """Return `dropout(softmax(q k^T / sqrt(D) + bias)) v` [B, Q, N, D].

    Args:
        q_BQND: Queries.
        k_BSND: Keys.
        v_BSND: Values.
        bias_B11S: Added to the scores.
        dropout: Function of the attention probabilities [B, N, Q, S].
    """
    # The queries are scaled, not the scores: there are S / D times fewer numbers to multiply.
    scaled_BQND = q_BQND * q_BQND.shape[-1] ** -0.5
    scores_BNQS = ops.matmul(_swap_heads(scaled_BQND), ops.transpose(k_BSND, (0, 2, 3, 1)))
    probabilities_BNQS = ops.softmax(scores_BNQS + bias_B11S, axis=-1)
    return _swap_heads(ops.matmul(dropout(probabilities_BNQS), _swap_heads(v_BSND)))


def _swap_heads(tensor: Any) -> Any:
    """Exchange the second and third axes: [B, S, N, D] to [B, N, S, D], and back."""
    return ops.transpose(tensor, (0, 2, 1, 3))
