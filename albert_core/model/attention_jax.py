"""Scaled dot-product attention for JAX: cuDNN's fused kernel where there is one, XLA's otherwise.

Shape suffixes: B batch, Q queries, S sequence, N heads, D head size.

cuDNN adds a bias slowly: at 512 positions its kernels take twice as long as with sequences'
lengths, also because they compute the gradient of the bias, which nobody asks for.

`keras.ops.dot_product_attention` is not used: on a TPU Keras 3.15 leaves the bias out, which is
what keeps padding from being attended to.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp

_FIRST_FUSED = 8.0  # compute capability of Ampere


def attend(q_BQND: Any, k_BSND: Any, v_BSND: Any, bias_B11S: Any, lengths_B: Any = None) -> Any:
    """Return what each query attends to [B, Q, N, D].

    Args:
        q_BQND: Queries.
        k_BSND: Keys.
        v_BSND: Values.
        bias_B11S: Added to the scores.
        lengths_B: How many positions are not masked, where those are the first of each sequence;
            None where they may be any.
    """
    num_queries, length = q_BQND.shape[1], k_BSND.shape[1]
    if num_queries != length or not _is_fused(q_BQND.dtype, length):
        return jax.nn.dot_product_attention(
            q_BQND, k_BSND, v_BSND, bias=bias_B11S, implementation="xla"
        )
    if lengths_B is not None:
        return jax.nn.dot_product_attention(
            q_BQND, k_BSND, v_BSND, key_value_seq_lengths=lengths_B, implementation="cudnn"
        )
    bias_BNQS = jnp.broadcast_to(bias_B11S, (bias_B11S.shape[0], 1, num_queries, length))
    return jax.nn.dot_product_attention(
        q_BQND, k_BSND, v_BSND, bias=bias_BNQS, implementation="cudnn"
    )


def lengths_of(mask_BS: Any, x_BSE: Any) -> tuple[Any, Any]:
    """Return the lengths [B] for `attend` that masks of ones, then zeros, stand for, and x.

    They are None where no kernel asks for them. Where one does and a mask is another, x becomes
    NaN, so that nobody trains on positions that they masked.
    """
    if not _is_fused(x_BSE.dtype, mask_BS.shape[1]):
        return None, x_BSE
    is_visible_BS = jnp.asarray(mask_BS) != 0
    lengths_B = jnp.sum(is_visible_BS, axis=1, dtype=jnp.int32)
    is_first_BS = jnp.arange(mask_BS.shape[1]) < lengths_B[:, None]
    is_another_B11 = jnp.any(is_visible_BS != is_first_BS, axis=1)[:, None, None]
    return jnp.maximum(lengths_B, 1), jnp.where(is_another_B11, jnp.nan, x_BSE)


def _is_fused(dtype: Any, length: int) -> bool:
    """Whether cuDNN has a kernel; it asks for even lengths of a bias that has a gradient."""
    return dtype in (jnp.bfloat16, jnp.float16) and length % 2 == 0 and _has_cudnn_kernel()


@functools.cache
def _has_cudnn_kernel() -> bool:
    device = jax.local_devices()[0]
    is_nvidia = "cuda" in device.client.platform_version
    return is_nvidia and float(device.compute_capability) >= _FIRST_FUSED
