"""Gradients of Keras variables, under either backend."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np


def value_and_gradients(
    function: Callable[[], Any], variables: Sequence[keras.Variable]
) -> tuple[float, list[np.ndarray]]:
    """Return a scalar function's value and its gradient by each variable."""
    differentiate = {"tensorflow": _differentiate_by_tensorflow, "jax": _differentiate_by_jax}
    value, gradients = differentiate[keras.backend.backend()](function, variables)
    return float(value), [np.asarray(gradient) for gradient in gradients]


def _differentiate_by_tensorflow(
    function: Callable[[], Any], variables: Sequence[keras.Variable]
) -> Any:
    import tensorflow as tf

    with tf.GradientTape() as tape:
        value = function()
    gradients = tape.gradient(value, [variable.value for variable in variables])
    return value, map(tf.convert_to_tensor, gradients)


def _differentiate_by_jax(function: Callable[[], Any], variables: Sequence[keras.Variable]) -> Any:
    import jax

    def compute(values: Sequence[Any]) -> Any:
        mapping = list(zip(variables, values, strict=True))
        with keras.StatelessScope(state_mapping=mapping):
            return function()

    return jax.value_and_grad(compute)([variable.value for variable in variables])
