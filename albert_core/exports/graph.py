"""A checkpoint's model as a `tf.function`, which converters to other runtimes read.

Shape suffixes: B batch, C choices or texts, S sequence, P predictions.
"""

import contextlib
import dataclasses
from collections.abc import Iterator
from typing import Any

from albert_core.checkpoints.checkpoint import Checkpoint, build_model
from albert_core.errors import InputError
from albert_core.model_function import outputs_by_name

# Without a name Keras numbers the models of a process, and the exported file would depend on those
# built before.
_MODEL_NAME = "albert"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Graph:
    """A model as a function, its inputs and its variables.

    Attributes:
        function: The `tf.function`, from int32 inputs in the order of `signature`
            (`Checkpoint.input_names`) to outputs by name.
        signature: A `tf.TensorSpec` for each input, of any size.
        variables: The `tf.Variable`s it reads.
    """

    function: Any
    signature: tuple[Any, ...]
    variables: tuple[Any, ...]


def float32_graph(checkpoint: Checkpoint) -> Graph:
    """Return the model of a checkpoint in float32, whatever Keras's policy is.

    Its inputs are int32 [B, S], or [B, C, S] of groups of sequences, all sizes open. The policy is
    another only while the model is built.

    Raises:
        InputError: Keras does not run on TensorFlow, or the weights do not fit the model.
    """
    import keras

    if keras.backend.backend() != "tensorflow":
        raise InputError(
            f"KERAS_BACKEND: got {keras.backend.backend()!r}, expected 'tensorflow': graphs for "
            "other runtimes come from TensorFlow; export in a process that sets it so"
        )
    import tensorflow as tf

    with _float32():
        model = build_model(checkpoint)
    model.name = _MODEL_NAME
    names = checkpoint.input_names
    rank = 3 if checkpoint.has_sequence_groups else 2
    signature = tuple(tf.TensorSpec((None,) * rank, tf.int32, name=name) for name in names)

    @tf.function(input_signature=signature, autograph=False)
    def function(*inputs: Any) -> dict[str, Any]:
        return outputs_by_name(model, dict(zip(names, inputs, strict=True)))

    variables = tuple(variable.value for variable in model.variables)
    return Graph(function=function, signature=signature, variables=variables)


@contextlib.contextmanager
def _float32() -> Iterator[None]:
    """Set Keras's policy to float32 for the body, and set it back at its end.

    It is set back after an error, too.
    """
    import keras

    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float32")
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
