"""The tanh form of gelu for JAX.

Equal to `keras.ops.gelu(x, approximate=True)`, but computed in float32 whatever the type of x.
"""

import math
from typing import Any

import jax
import jax.numpy as jnp

from albert_core.backends.jax.layer_loop import save_for_backward

_SCALE, _CUBE = math.sqrt(2.0 / math.pi), 0.044715


def gelu(x: Any, training: bool | None = None) -> Any:
    """Return gelu, in its tanh form, of a tensor of any shape.

    While training only x is kept for the gradient.
    """
    return _gelu_that_saves_x(x) if training else _gelu_by_logistic(x)


@jax.custom_vjp
def _gelu_that_saves_x(x: Any) -> Any:
    """Return gelu in the form that is fastest on the default device; its gradient needs only x."""
    is_narrow_on_gpu = jax.default_backend() == "gpu" and x.dtype.itemsize == 2
    return _gelu_by_tanh(x) if is_narrow_on_gpu else _gelu_by_logistic(x)


def _forward(x: Any) -> tuple[Any, Any]:
    # gelu of x, not of the saved x: JAX rounds what it saves, and XLA would not join that with the
    # matrix product before it.
    return _gelu_that_saves_x(x), save_for_backward(x)


def _backward(x: Any, upstream: Any) -> Any:
    return jax.vjp(_gelu_by_logistic, x)[1](upstream)


_gelu_that_saves_x.defvjp(_forward, _backward)


def _gelu_by_logistic(x: Any) -> Any:
    """Return the tanh approximation of gelu, as `x * sigmoid(2 * inner)`, in the type of x.

    It is computed in float32.
    """
    # In float32 because all of it is one loop: rounding every intermediate value to bfloat16
    # would take most of the loop's time. The logistic function because it is one of XLA's own.
    wide = x.astype(jnp.float32)
    doubled = 2.0 * _SCALE * (wide + _CUBE * wide * wide * wide)
    return (wide * jax.nn.sigmoid(doubled)).astype(x.dtype)


def _gelu_by_tanh(x: Any) -> Any:
    """Return gelu in the form that XLA leaves to cuBLAS at the end of a matrix product.

    cuBLAS computes it in float32, in no pass over memory of its own; where XLA finds no product
    before it, it is computed in the type of x.
    """
    # XLA recognises this very expression, with constants of the type of x. Do not simplify it.
    half, one, scale, cube = (jnp.asarray(c, x.dtype) for c in (0.5, 1.0, _SCALE, _CUBE))
    return x * (half * (one + jnp.tanh(scale * (x + cube * (x * (x * x))))))
