"""Layers that share weights, one after the other, as JAX compiles and differentiates them."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
from jax.ad_checkpoint import checkpoint_name

from albert_core.backends.portable.layer_loop import unroll_layer

_SAVED = "saved"


def save_for_backward(x: Any) -> Any:
    """Return x, marked: `repeat_layer` keeps it for the gradient and computes the rest again.

    The mark has no effect outside of `repeat_layer`, nor where that writes the layers out by
    `unroll_layer`.
    """
    return checkpoint_name(x, _SAVED)


def repeat_layer(
    layer: Callable[..., Any],
    x: Any,
    constants: Sequence[Any],
    times: int,
    *,
    may_scan: bool,
    rematerialize: bool,
) -> Any:
    """Return x after `times` applications of `layer(x, *constants)`.

    Inside a compiled step, one compiled body stands for all applications: compiled in a fraction of
    the time that copies take, and as fast; on a GPU it is written out, which is faster there. The
    gradient keeps what the layer marked with `save_for_backward`, and what attention needs. Outside
    of a compiled step, and without `may_scan`, the layers are called one after the other, and the
    gradient keeps everything unless `rematerialize` is set.

    Args:
        layer: Function of x and the constants; returns x of the same shape and type.
        x: Its first input.
        constants: Its other inputs, the same in each application.
        times: Number of applications; with 0, x is returned as it is.
        may_scan: Whether one body may stand for all: not if the layer draws random numbers, because
            a Keras SeedGenerator must not change its state inside a loop.
        rematerialize: Whether to keep nothing but the layers' inputs; not with random numbers,
            which is not checked.
    """
    if not may_scan or not isinstance(x, jax.core.Tracer):
        return unroll_layer(layer, x, constants, times, rematerialize=rematerialize)
    # On a GPU a loop copies what it saves into one array for all layers, and written-out layers
    # do not. Elsewhere the loop is as fast, and compiles faster.
    is_unrolled = jax.default_backend() == "gpu"
    is_saved = _is_saved_or_cast_weight if is_unrolled else _is_saved
    # Without a policy every intermediate value would be saved, fourteen a layer of normalisation
    # and gelu alone, and most time would go into moving them.
    policy = jax.checkpoint_policies.nothing_saveable if rematerialize else is_saved
    # In a loop XLA cannot merge what is computed again with the first computation; written out
    # it would, and keep everything after all.
    body = jax.checkpoint(lambda x: layer(x, *constants), policy=policy, prevent_cse=is_unrolled)
    return jax.lax.scan(lambda x, _: (body(x), None), x, length=times, unroll=is_unrolled)[0]


def _is_saved_or_cast_weight(primitive: Any, *inputs: Any, **parameters: Any) -> bool:
    """Tell whether a value was marked, is attention's, or is a weight cast to another type.

    A policy of `jax.checkpoint`. Any matrix that is cast counts as a weight.
    """
    # Written out, all layers share one cast copy of a weight; in a loop each would save its own.
    is_cast_weight = primitive.name == "convert_element_type" and inputs[0].ndim == 2
    return is_cast_weight or _is_saved(primitive, *inputs, **parameters)


def _is_saved(primitive: Any, *_: Any, **parameters: Any) -> bool:
    """Tell whether a value was marked, or is attention's; a policy of `jax.checkpoint`."""
    is_attention = primitive.name.startswith("dot_product_attention")
    return is_attention or parameters.get("name") == _SAVED
