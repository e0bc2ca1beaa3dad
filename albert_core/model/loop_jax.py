"""Layers that share weights, one after the other, as JAX compiles and differentiates them."""

from collections.abc import Callable
from typing import Any

import jax
from jax.ad_checkpoint import checkpoint_name

_KEPT = "kept"


def kept(x: Any) -> Any:
    """Return x; differentiating `applied` keeps it instead of computing it again."""
    return checkpoint_name(x, _KEPT)


def applied(layer: Callable[[Any], Any], x: Any, times: int, *, rematerialize: bool) -> Any:
    """Return x after `times` applications of a layer.

    Differentiating keeps what the layer marked with `kept` and what attention needs, and computes
    the cheap rest again: otherwise every intermediate value would be kept, fourteen a layer of
    normalisation and gelu alone, and the time spent moving them.

    It is one compiled body in a loop, except on a GPU: there a loop copies what it keeps.

    Args:
        layer: Function of x.
        x: Its first input.
        times: How often it is applied.
        rematerialize: Whether to keep nothing but the layers' inputs.
    """
    is_unrolled = jax.default_backend() == "gpu"
    is_kept = _is_kept_or_cast_weight if is_unrolled else _is_kept
    policy = jax.checkpoint_policies.nothing_saveable if rematerialize else is_kept
    layer = jax.checkpoint(layer, policy=policy, prevent_cse=is_unrolled)
    return jax.lax.scan(lambda x, _: (layer(x), None), x, length=times, unroll=is_unrolled)[0]


def _is_kept_or_cast_weight(primitive: Any, *inputs: Any, **parameters: Any) -> bool:
    """Also keep weights in the type of the products: unrolled, all layers share one copy."""
    is_cast_weight = primitive.name == "convert_element_type" and inputs[0].ndim == 2
    return is_cast_weight or _is_kept(primitive, *inputs, **parameters)


def _is_kept(primitive: Any, *_: Any, **parameters: Any) -> bool:
    is_attention = primitive.name.startswith("dot_product_attention")
    return is_attention or parameters.get("name") == _KEPT
