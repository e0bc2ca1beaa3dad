"""The building blocks of encoder and heads, made as the original makes them.

Shape suffixes: C outputs, H hidden.
"""

import contextlib
from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
from keras import ops

from albert_core.config import AlbertConfig
from albert_core.errors import InputError

if keras.backend.backend() == "jax":
    from albert_core.model.loop_jax import kept as kept
else:

    def kept(x: Any) -> Any:
        """Return x; what the gradient needs of it is TensorFlow's affair."""
        return x


# Under which Keras finds our classes when it loads an archive.
PACKAGE = "albert_core"


class MadeFromConfig:
    """What lets Keras make a model anew from its arguments: the architecture, and what is added."""

    config: AlbertConfig

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the model as JSON holds them."""
        return {"config": self.config.to_dict()}

    @classmethod
    def from_config(cls, config: Mapping[str, Any], custom_objects: Any = None) -> "MadeFromConfig":
        """Return a new model of the arguments that `get_config` returned."""
        return cls(**{**config, "config": AlbertConfig.from_dict(config["config"])})


def layer_norm(name: str = "LayerNorm") -> keras.layers.LayerNormalization:
    """Return layer normalisation with the original's epsilon: 1e-12, and 1e-3 in float16."""
    epsilon = 1e-3 if keras.config.dtype_policy().compute_dtype == "float16" else 1e-12
    if keras.backend.backend() == "tensorflow":
        from albert_core.model.compiled_layer_norm import CompiledLayerNormalization

        return CompiledLayerNormalization(epsilon=epsilon, name=name)
    from albert_core.model.layer_norm_jax import OnePassLayerNormalization

    return OnePassLayerNormalization(epsilon=epsilon, name=name)


def initializer(config: AlbertConfig) -> keras.initializers.Initializer:
    """Return the truncated normal initialiser of all kernels and embeddings."""
    return keras.initializers.TruncatedNormal(stddev=config.initializer_range)


def dense(config: AlbertConfig, units: int, name: str, **kwargs: Any) -> keras.layers.Dense:
    """Return a dense layer initialised as the original's."""
    settings = {"kernel_initializer": initializer(config), "name": name, **kwargs}
    if keras.backend.backend() == "tensorflow":
        from albert_core.model.shared_dense import SharedDense

        return SharedDense(units, **settings)
    return keras.layers.Dense(units, **settings)


def cast_once(uses: Mapping[keras.layers.Layer, int]) -> contextlib.ExitStack:
    """Let dense layers cast their weights once, for all calls within the returned context.

    Under JAX that is the compiler's affair.

    Args:
        uses: How often each layer will be called.
    """
    stack = contextlib.ExitStack()
    for layer, times in uses.items():
        if hasattr(layer, "cast_once"):
            stack.enter_context(layer.cast_once(times))
    return stack


def hidden_activation(config: AlbertConfig) -> Callable[..., Any]:
    """Return the function for `hidden_act`, called as f(x, training=...).

    gelu is the tanh approximation. TensorFlow runs it operation by operation, so that while
    training a third of what is not a matrix product would be gelu: there it is one compiled loop.
    """
    if config.hidden_act != "gelu":
        function = keras.activations.get(config.hidden_act)
        return lambda x, training=None: function(kept(x))
    if keras.backend.backend() == "tensorflow":
        from albert_core.model.compiled_gelu import compiled_gelu

        return lambda x, training=None: (
            compiled_gelu(x) if training else ops.gelu(x, approximate=True)
        )
    from albert_core.model.gelu_jax import gelu

    return gelu


def build_under(scopes: str, layer: keras.layers.Layer, input_shape: Any) -> None:
    """Build a layer so that its variables' paths go on with `scopes`, a `/`-joined path."""
    with contextlib.ExitStack() as stack:
        for scope in scopes.split("/"):
            stack.enter_context(keras.name_scope(scope))
        layer.build(input_shape)


def add_output_layer(owner: keras.layers.Layer, config: AlbertConfig, num_outputs: int) -> None:
    """Give a layer or model the original's output weights [C, H], transposed, and bias [C].

    They become the owner's own variables, because a layer's name would enter theirs.
    """
    owner.output_weights = owner.add_weight(
        name="output_weights",
        shape=(num_outputs, config.hidden_size),
        initializer=initializer(config),
    )
    owner.output_bias = owner.add_weight(
        name="output_bias", shape=(num_outputs,), initializer="zeros"
    )


def output_logits(owner: keras.layers.Layer, hidden: Any) -> Any:
    """Apply the layer that `add_output_layer` made: [..., H] to logits [..., C]."""
    weights_CH = ops.cast(owner.output_weights, hidden.dtype)
    logits = ops.matmul(hidden, ops.transpose(weights_CH))
    return logits + ops.cast(owner.output_bias, logits.dtype)


def check_range(name: str, ids: Any, limit_name: str, limit: int) -> None:
    """Refuse ids outside a table, where their values are known.

    Inside a compiled step they are not; there an id out of range is the backend's affair, an
    error in TensorFlow on a CPU and a wrong row elsewhere.

    Raises:
        InputError: An id is below 0, or at or over the limit.
    """
    try:
        values = np.asarray(ids)
    except (TypeError, ValueError, NotImplementedError):  # symbolic: being compiled
        return
    for value in (values.min(initial=0), values.max(initial=0)):
        if not 0 <= value < limit:
            raise InputError(f"{name}: got {value}, expected from 0 to below {limit_name}={limit}")
