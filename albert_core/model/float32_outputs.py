"""Outputs in float32, whatever a model computes in."""

from typing import Any

import keras
from keras import ops


class Float32Outputs(keras.Model):
    """A model as it predicts, with outputs in float32; the weights are shared.

    Args:
        model: Compiled.
    """

    def __init__(self, model: keras.Model) -> None:
        """Compile without an optimizer, by XLA as `model` is."""
        super().__init__(name="float32_outputs")
        self.model = model
        self.built = True
        self.compile(optimizer=None, jit_compile=model.jit_compile)

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """Return the model's outputs, those in bfloat16 cast to float32."""
        return keras.tree.map_structure(in_float32, self.model(inputs, training=training))


def in_float32(tensor: Any) -> Any:
    """Return a tensor in bfloat16 cast to float32, which NumPy knows; any other as it is."""
    is_half = keras.backend.standardize_dtype(tensor.dtype) == "bfloat16"
    return ops.cast(tensor, "float32") if is_half else tensor
