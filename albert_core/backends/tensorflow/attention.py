"""Scaled dot-product attention for TensorFlow.

Shape suffixes: B batch, Q queries, S sequence, N heads, D head size, E embedding.
"""

from collections.abc import Callable
from typing import Any

from albert_core.backends.portable.attention import attend_by_products


def attend(
    q_BQND: Any,
    k_BSND: Any,
    v_BSND: Any,
    bias_B11S: Any,
    lengths_B: Any = None,
    dropout: Callable[[Any], Any] | None = None,
) -> Any:
    """Return `softmax(q k^T / sqrt(D) + bias) v`, what each query attends to [B, Q, N, D].

    Args:
        q_BQND: Queries.
        k_BSND: Keys.
        v_BSND: Values.
        bias_B11S: Added to the scores; large and negative for masked positions.
        lengths_B: Not used: TensorFlow has no kernel that is told of lengths.
        dropout: Function of the attention probabilities; None while nothing is dropped.
    """
    return attend_by_products(q_BQND, k_BSND, v_BSND, bias_B11S, dropout or _keep)


def get_prefix_lengths(mask_BS: Any, x_BSE: Any, head_size: int) -> tuple[None, Any]:
    """Return (None, x): no kernel asks for lengths, and any mask will do."""
    return None, x_BSE


def _keep(probabilities: Any) -> Any:
    """Return the probabilities: the dropout that drops nothing."""
    return probabilities
