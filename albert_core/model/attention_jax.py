"""Scaled dot-product attention for JAX: cuDNN's fused kernel where there is one, XLA's otherwise.

Shape suffixes: B batch, Q queries, S sequence, N heads, D head size.

`keras.ops.dot_product_attention` is not used: on a TPU Keras 3.15 leaves the bias out, which is
what keeps padding from being attended to.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp

_FIRST_FUSED = 8.0  # compute capability of Ampere


def attend(q_BQND: Any, k_BSND: Any, v_BSND: Any, bias_B11S: Any) -> Any:
    """Return what each query attends to [B, Q, N, D]; the bias is added to the scores."""
    num_queries, length = q_BQND.shape[1], k_BSND.shape[1]
    is_fused = (
        q_BQND.dtype in (jnp.bfloat16, jnp.float16)
        and num_queries == length
        and length % 2 == 0  # what cuDNN asks of a bias that has a gradient
        and _has_cudnn_kernel()
    )
    if is_fused:
        bias_shape = (bias_B11S.shape[0], 1, num_queries, length)
        bias_B11S = jnp.broadcast_to(bias_B11S, bias_shape)
    return jax.nn.dot_product_attention(
        q_BQND, k_BSND, v_BSND, bias=bias_B11S, implementation="cudnn" if is_fused else "xla"
    )


@functools.cache
def _has_cudnn_kernel() -> bool:
    device = jax.local_devices()[0]
    is_nvidia = "cuda" in device.client.platform_version
    return is_nvidia and float(device.compute_capability) >= _FIRST_FUSED
