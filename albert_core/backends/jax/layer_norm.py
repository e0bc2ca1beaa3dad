"""Layer normalisation for JAX: mean and variance in one pass over memory.

Passes over memory are what normalisation costs on an accelerator. Computed in float32 whatever the
type of the input; equal to `keras.layers.LayerNormalization`, which takes more passes.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import keras

from albert_core.backends.jax.layer_loop import save_for_backward


class LayerNormalization(keras.layers.LayerNormalization):
    """Normalise the last axis; `center` and `scale` must be on, as they are by default."""

    def call(self, inputs: Any) -> Any:
        """Return the normalised input, of the same shape and type."""
        return _normalize(inputs, self.gamma.value, self.beta.value, self.epsilon)


@functools.partial(jax.custom_vjp, nondiff_argnums=(3,))
def _normalize(x: Any, gamma: Any, beta: Any, epsilon: float) -> Any:
    """Return `gamma * (x - mean) / sqrt(variance + epsilon) + beta` over the last axis of x."""
    return _forward(x, gamma, beta, epsilon)[0]


def _forward(
    x: Any, gamma: Any, beta: Any, epsilon: float
) -> tuple[Any, tuple[Any, Any, Any, Any]]:
    """Return normalised rows, scaled and shifted, in the type of x; and what the gradient needs.

    The values for the gradient are x, gamma, and each row's mean and 1 / std, in float32.
    """
    wide = x.astype(jnp.float32)
    mean = jnp.mean(wide, -1, keepdims=True)
    # E[x^2] - E[x]^2, so that both sums come of the same pass; rounding may make it negative.
    variance = jnp.mean(jnp.square(wide), -1, keepdims=True) - jnp.square(mean)
    # Two numbers a row are saved; the normalised row is cheaper computed again than read.
    mean = save_for_backward(mean)
    inverse_std = save_for_backward(jax.lax.rsqrt(jnp.maximum(variance, 0.0) + epsilon))
    normalized = (wide - mean) * inverse_std * gamma + beta
    return normalized.astype(x.dtype), (x, gamma, mean, inverse_std)


def _backward(
    epsilon: float, residuals: tuple[Any, Any, Any, Any], upstream: Any
) -> tuple[Any, Any, Any]:
    """Return the gradients by x, gamma and beta, from what `_forward` kept.

    Rows are normalised again; those of gamma and beta are sums over all rows, in float32.
    """
    x, gamma, mean, inverse_std = residuals
    upstream = upstream.astype(jnp.float32)
    normal = (x.astype(jnp.float32) - mean) * inverse_std
    row_axes = tuple(range(x.ndim - 1))
    normal_gradient = upstream * gamma
    # The barrier makes XLA read the rows once for these sums, and once more for all the rest: two
    # kernels. Without it there are three.
    along, shift = jax.lax.optimization_barrier(
        (
            jnp.sum(normal_gradient * normal, -1, keepdims=True),
            jnp.sum(normal_gradient, -1, keepdims=True),
        )
    )
    x_gradient = inverse_std * (normal_gradient - (shift + normal * along) / x.shape[-1])
    gamma_gradient, beta_gradient = (
        jnp.sum(upstream * normal, row_axes),
        jnp.sum(upstream, row_axes),
    )
    return x_gradient.astype(x.dtype), gamma_gradient, beta_gradient


_normalize.defvjp(_forward, _backward)
