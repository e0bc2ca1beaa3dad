"""Layer normalisation for JAX; mean and variance come of one pass over memory.

Equal to `keras.layers.LayerNormalization`; computed in float32 whatever the type of its input. Its
gradient keeps two numbers a row. Passes over memory are what it costs on an accelerator.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import keras

from albert_core.model.loop_jax import kept


class OnePassLayerNormalization(keras.layers.LayerNormalization):
    """Normalise the last axis."""

    def call(self, inputs: Any) -> Any:
        """Return the normalised input, of the same shape and type."""
        return _normalized(inputs, self.gamma.value, self.beta.value, self.epsilon)


@functools.partial(jax.custom_vjp, nondiff_argnums=(3,))
def _normalized(x: Any, gamma: Any, beta: Any, epsilon: float) -> Any:
    return _forward(x, gamma, beta, epsilon)[0]


def _forward(x: Any, gamma: Any, beta: Any, epsilon: float) -> tuple[Any, Any]:
    wide = x.astype(jnp.float32)
    mean = jnp.mean(wide, -1, keepdims=True)
    variance = jnp.mean(jnp.square(wide), -1, keepdims=True) - jnp.square(mean)
    mean = kept(mean)
    inverse_std = kept(jax.lax.rsqrt(jnp.maximum(variance, 0.0) + epsilon))
    normalized = (wide - mean) * inverse_std * gamma + beta
    return normalized.astype(x.dtype), (x, gamma, mean, inverse_std)


def _backward(epsilon: float, residuals: Any, upstream: Any) -> tuple[Any, Any, Any]:
    x, gamma, mean, inverse_std = residuals
    upstream = upstream.astype(jnp.float32)
    normal = (x.astype(jnp.float32) - mean) * inverse_std
    rows = tuple(range(x.ndim - 1))
    to_normal = upstream * gamma
    # The barrier makes XLA read rows once for their sums, and once more for all that is left.
    along, shift = jax.lax.optimization_barrier(
        (
            jnp.sum(to_normal * normal, -1, keepdims=True),
            jnp.sum(to_normal, -1, keepdims=True),
        )
    )
    to_x = inverse_std * (to_normal - (shift + normal * along) / x.shape[-1])
    to_gamma, to_beta = jnp.sum(upstream * normal, rows), jnp.sum(upstream, rows)
    return to_x.astype(x.dtype), to_gamma, to_beta


_normalized.defvjp(_forward, _backward)
