"""Scaled dot-product attention for JAX: cuDNN's fused kernel where there is one, else XLA's.

Shape suffixes: B batch, Q queries, S sequence, N heads, D head size, E embedding.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from albert_core.backends.portable.attention import attend_by_products

# Compute capabilities of GPUs.
_AMPERE, _HOPPER, _BLACKWELL = 8.0, 9.0, 10.0


def attend(
    q_BQND: Any,
    k_BSND: Any,
    v_BSND: Any,
    bias_B11S: Any,
    lengths_B: Any = None,
    dropout: Callable[[Any], Any] | None = None,
) -> Any:
    """Return `softmax(q k^T / sqrt(D) + bias) v`, what each query attends to [B, Q, N, D].

    cuDNN's kernel is used where there is one for the type, length and head size, all positions are
    queries (Q = S) and nothing is dropped.

    Args:
        q_BQND: Queries.
        k_BSND: Keys.
        v_BSND: Values.
        bias_B11S: Added to the scores; large and negative for masked positions.
        lengths_B: int [B], numbers of unmasked positions from `get_prefix_lengths`; they replace
            the bias in cuDNN's kernel, and are not used elsewhere. None if there are none.
        dropout: Function of the attention probabilities; None while nothing is dropped.
    """
    if dropout is not None:
        return attend_by_products(q_BQND, k_BSND, v_BSND, bias_B11S, dropout)
    # Not `keras.ops.dot_product_attention`: on a TPU Keras 3.15 leaves the bias out, so padding
    # would be attended to.
    num_queries, length, head_size = q_BQND.shape[1], k_BSND.shape[1], k_BSND.shape[-1]
    if num_queries != length or not _has_fused_attention(q_BQND.dtype, length, head_size):
        return jax.nn.dot_product_attention(
            q_BQND, k_BSND, v_BSND, bias=bias_B11S, implementation="xla"
        )
    if lengths_B is not None:
        return jax.nn.dot_product_attention(
            q_BQND, k_BSND, v_BSND, key_value_seq_lengths=lengths_B, implementation="cudnn"
        )
    # cuDNN takes no bias that broadcasts over the queries.
    bias_BNQS = jnp.broadcast_to(bias_B11S, (bias_B11S.shape[0], 1, num_queries, length))
    return jax.nn.dot_product_attention(
        q_BQND, k_BSND, v_BSND, bias=bias_BNQS, implementation="cudnn"
    )


def get_prefix_lengths(mask_BS: Any, x_BSE: Any, head_size: int) -> tuple[Any, Any]:
    """Return (lengths [B], x) for cuDNN, which needs prefix masks: ones first, then zeros.

    Rows of x whose mask is not a prefix are set to NaN, so that training fails visibly instead of
    attending to masked positions. A length is 1 at least. Without a fused kernel lengths is None
    and x is unchanged.

    Args:
        mask_BS: 1 where a position may be attended to.
        x_BSE: Embeddings of those positions; their type and length decide on the kernel.
        head_size: Width D of the heads that will attend, which decides on it, too.
    """
    # Why lengths at all: told of a bias, cuDNN takes twice as long at 512 positions, also because
    # it computes the gradient of the bias, which is not needed.
    if not _has_fused_attention(x_BSE.dtype, mask_BS.shape[1], head_size):
        return None, x_BSE
    is_visible_BS = jnp.asarray(mask_BS) != 0
    lengths_B = jnp.sum(is_visible_BS, axis=1, dtype=jnp.int32)
    is_prefix_BS = jnp.arange(mask_BS.shape[1]) < lengths_B[:, None]
    is_invalid_B11 = jnp.any(is_visible_BS != is_prefix_BS, axis=1)[:, None, None]
    # At least 1: the softmax of a sequence without any position would be 0 / 0.
    return jnp.maximum(lengths_B, 1), jnp.where(is_invalid_B11, jnp.nan, x_BSE)


def _has_fused_attention(dtype: Any, length: int, head_size: int) -> bool:
    """Tell whether cuDNN has a kernel for S = `length` positions of this type, on this machine.

    The type must be bfloat16 or float16, the length even, and the first device, which is looked up,
    an NVIDIA GPU that `_takes_heads`.
    """
    # A bias that has a gradient must be of even length; so it is asked of lengths, too.
    is_possible = dtype in (jnp.bfloat16, jnp.float16) and length % 2 == 0
    return is_possible and _takes_heads(head_size, _compute_capability())


def _takes_heads(head_size: int, compute_capability: float) -> bool:
    """Tell whether cuDNN has attention, with its gradient, for heads of a size on a kind of GPU.

    From Ampere on it takes multiples of 8 up to 128, on Hopper up to 256.

    Source: the support matrix of scaled dot product attention in cuDNN's documentation.
    """
    largest = 256 if _HOPPER <= compute_capability < _BLACKWELL else 128
    return compute_capability >= _AMPERE and head_size % 8 == 0 and head_size <= largest


@functools.cache
def _compute_capability() -> float:
    """Return the compute capability of the first device, 0 where that is no NVIDIA GPU."""
    device = jax.local_devices()[0]
    is_nvidia = "cuda" in device.client.platform_version
    return float(device.compute_capability) if is_nvidia else 0.0
