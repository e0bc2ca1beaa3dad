"""The building blocks of encoder and heads, with the original's initialisation and names.

Shape suffixes: B batch, S sequence, P positions, C outputs, H hidden.
"""

import contextlib
from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
from keras import ops

from albert_core.backends import LayerNormalization, SharedDense, gelu, save_for_backward
from albert_core.config import AlbertConfig
from albert_core.errors import InputError

# Keras finds the classes of an archive by this name: archives that people have contain it.
PACKAGE = "albert_core"


class ConfigSerializable:
    """A model that Keras can save and load: its arguments are `config` and what subclasses add."""

    config: AlbertConfig

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the model as JSON holds them."""
        return {"config": self.config.to_dict()}

    @classmethod
    def from_config(
        cls, config: Mapping[str, Any], custom_objects: Any = None
    ) -> "ConfigSerializable":
        """Return a new model, with new weights, from the arguments that `get_config` returned.

        Args:
            config: The arguments.
            custom_objects: Not used.

        Raises:
            InputError: The architecture has an unknown key or an impossible value.
        """
        return cls(**{**config, "config": AlbertConfig.from_dict(config["config"])})


def layer_norm(name: str = "LayerNorm") -> keras.layers.LayerNormalization:
    """Return layer normalisation with the original's epsilon: 1e-12, and 1e-3 in float16.

    Which one it is, Keras's global policy decides when this is called.
    """
    # In float16 1e-12 is 0, and a row of equal values would become NaN.
    epsilon = 1e-3 if keras.config.dtype_policy().compute_dtype == "float16" else 1e-12
    return LayerNormalization(epsilon=epsilon, name=name)


def initializer(config: AlbertConfig) -> keras.initializers.Initializer:
    """Return a new initialiser for a kernel or embeddings: a truncated normal distribution.

    Its standard deviation is `initializer_range`.
    """
    # A new one for every weight: one of Keras's draws the same numbers at every call, and query,
    # key and value would begin equal. Its seed is the next of Python's random numbers: if layers
    # are made or built in another order, the same seed of a run gives other weights.
    return keras.initializers.TruncatedNormal(stddev=config.initializer_range)


def dense(config: AlbertConfig, units: int, name: str, **kwargs: Any) -> keras.layers.Dense:
    """Return a dense layer whose kernel is initialised as the original's.

    Args:
        config: The architecture; gives the width of the initialiser.
        units: Number of outputs.
        name: Name of the layer.
        **kwargs: Further arguments of the layer, which win over those set here.
    """
    settings = {"kernel_initializer": initializer(config), "name": name, **kwargs}
    return SharedDense(units, **settings)


def hidden_activation(config: AlbertConfig) -> Callable[..., Any]:
    """Return the function for `hidden_act`, called as f(x, training=...).

    `gelu` is the tanh approximation, as in the original. Whether the step trains changes only what
    is kept for the gradient, and how the result is rounded.
    """
    if config.hidden_act == "gelu":
        return gelu
    function = keras.activations.get(config.hidden_act)
    return lambda x, training=None: function(save_for_backward(x))


def build_in_scope(scopes: str, layer: keras.layers.Layer, input_shape: Any) -> None:
    """Build a layer below name scopes: its variables' paths continue with `scopes`, joined by /."""
    with contextlib.ExitStack() as stack:
        for scope in scopes.split("/"):
            stack.enter_context(keras.name_scope(scope))
        layer.build(input_shape)


def add_output_layer(
    owner: keras.layers.Layer,
    config: AlbertConfig,
    num_outputs: int,
    *,
    num_inputs: int | None = None,
    starts_from_zero: bool = False,
) -> None:
    """Give a layer or model the original's output weights [C, H], transposed, and bias [C].

    They become variables of the owner, `output_weights` and `output_bias`.

    Args:
        owner: The layer or model.
        config: The architecture.
        num_outputs: Number of outputs C.
        num_inputs: Width of what it reads; None: that of the encoder, H.
        starts_from_zero: Whether the weights begin at 0, not drawn as all others are.
    """
    # Not a Dense layer: its name would become a part of the variables' names, and its kernel is
    # [H, C], where the original's checkpoints have [C, H].
    owner.output_weights = owner.add_weight(
        name="output_weights",
        shape=(num_outputs, num_inputs or config.hidden_size),
        initializer="zeros" if starts_from_zero else initializer(config),
    )
    owner.output_bias = owner.add_weight(
        name="output_bias", shape=(num_outputs,), initializer="zeros"
    )


def apply_output_layer(owner: keras.layers.Layer, hidden: Any) -> Any:
    """Apply the layer that `add_output_layer` made: [..., H] to logits [..., C].

    It computes in the type of `hidden`.
    """
    weights_CH = ops.cast(owner.output_weights, hidden.dtype)
    logits = ops.matmul(hidden, ops.transpose(weights_CH))
    return logits + ops.cast(owner.output_bias, logits.dtype)


def check_range(name: str, ids: Any, limit_name: str, limit: int) -> None:
    """Refuse ids outside a table; does nothing inside a compiled step, where values are unknown.

    There a lookup counts ids below 0 from the table's end. Ids that are still outside give NaN with
    JAX; with TensorFlow an error of its own on a CPU, zeros on a GPU, and the nearest row where XLA
    compiles the step. A product with one-hot rows (segments, `select_positions`) gives zeros.

    Args:
        name: What the ids are, for the message.
        ids: Integers of any shape; none at all pass.
        limit_name: Name of the setting that gives the limit, for the message.
        limit: Number of rows of the table.

    Raises:
        InputError: An id is below 0, or at or over the limit.
    """
    try:
        values = np.asarray(ids)
    except (TypeError, ValueError, NotImplementedError):  # symbolic: being compiled
        return
    # `initial`, because an empty array has no minimum; 0 is a row of every table.
    for value in (values.min(initial=0), values.max(initial=0)):
        if not 0 <= value < limit:
            raise InputError(f"{name}: got {value}, expected from 0 to below {limit_name}={limit}")


def select_positions(x_BSH: Any, positions_BP: Any) -> Any:
    """Return the rows of some positions: [B, S, H] and int [B, P] to [B, P, H], exactly.

    A position outside of S gives a row of zeros; it is not checked.
    """
    # A product with one-hot rows, not a gather: its gradient is a product, too, which is efficient
    # on accelerators and under data parallelism, where a gather's is a scatter.
    length = ops.shape(x_BSH)[1]
    return ops.matmul(ops.one_hot(positions_BP, length, dtype=x_BSH.dtype), x_BSH)
