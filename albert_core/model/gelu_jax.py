"""The tanh form of gelu for JAX.

Equal to `keras.ops.gelu(x, approximate=True)`, computed in float32 whatever the type of x: where a
compiler joins it all, rounding every intermediate value to bfloat16 would take most of the time.
"""

import math
from typing import Any

import jax
import jax.numpy as jnp

from albert_core.model.loop_jax import kept

_SCALE, _CUBE = math.sqrt(2.0 / math.pi), 0.044715


def gelu(x: Any, training: bool | None = None) -> Any:
    """Return gelu of a tensor of any shape; while training only x is kept for the gradient."""
    return _trained(x) if training else _by_logistic(x)


@jax.custom_vjp
def _trained(x: Any) -> Any:
    is_narrow_on_gpu = jax.default_backend() == "gpu" and x.dtype.itemsize == 2
    return _by_tanh(x) if is_narrow_on_gpu else _by_logistic(x)


def _forward(x: Any) -> tuple[Any, Any]:
    # Of x, not of what is kept: JAX rounds that, and XLA would not join it with a product.
    return _trained(x), kept(x)


def _backward(x: Any, upstream: Any) -> Any:
    return jax.vjp(_by_logistic, x)[1](upstream)


_trained.defvjp(_forward, _backward)


def _by_logistic(x: Any) -> Any:
    wide = x.astype(jnp.float32)
    doubled = 2.0 * _SCALE * (wide + _CUBE * wide * wide * wide)
    return (wide * jax.nn.sigmoid(doubled)).astype(x.dtype)


def _by_tanh(x: Any) -> Any:
    """Return gelu in the form that XLA leaves to cuBLAS at the end of a matrix product.

    There it is computed in float32 and costs no pass over memory; where XLA finds no product
    before it, in the type of x.
    """
    half, one, scale, cube = (jnp.asarray(c, x.dtype) for c in (0.5, 1.0, _SCALE, _CUBE))
    return x * (half * (one + jnp.tanh(scale * (x + cube * (x * (x * x))))))
