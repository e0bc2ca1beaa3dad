"""Gradients of Keras variables, under either backend."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np

Function = Callable[[], Any]
Gradients = Callable[[], tuple[np.ndarray, list[np.ndarray]]]


def gradient_function(
    function: Function,
    variables: Sequence[keras.Variable],
    *,
    state: Sequence[keras.Variable] = (),
) -> Gradients:
    """Return what computes a function and its gradients at the variables' values of the moment.

    Of a function with a result of shape [N] these are those of each of its N numbers.

    Args:
        function: Of no arguments.
        variables: What it is differentiated by.
        state: All variables that it reads. With them JAX compiles it as a whole, which is faster
            if it is called several times; without, operation by operation.

    Returns:
        A function of no arguments; it returns the result and, for each variable, the gradients:
        of the variable's shape, or [N, ...].
    """
    if keras.backend.backend() == "jax":
        return _with_jax(function, variables, state)
    return _with_tensorflow(function, variables)


def value_and_gradients(
    function: Function, variables: Sequence[keras.Variable]
) -> tuple[float, list[np.ndarray]]:
    """Return a scalar function's value and its gradient by each variable."""
    value, gradients = gradient_function(function, variables)()
    return float(value), gradients


def _with_tensorflow(function: Function, variables: Sequence[keras.Variable]) -> Gradients:
    import tensorflow as tf

    def differentiate(tape: Any, value: Any) -> list[np.ndarray]:
        gradients = tape.gradient(value, [variable.value for variable in variables])
        return [np.asarray(tf.convert_to_tensor(gradient)) for gradient in gradients]

    def compute() -> tuple[np.ndarray, list[np.ndarray]]:
        with tf.GradientTape(persistent=True) as tape:
            value = function()
            values = tf.unstack(value) if value.shape.rank else [value]
        rows = [differentiate(tape, one) for one in values]
        gradients = (
            rows[0] if not value.shape.rank else list(map(np.stack, zip(*rows, strict=True)))
        )
        return np.asarray(value), gradients

    return compute


def _with_jax(
    function: Function, variables: Sequence[keras.Variable], state: Sequence[keras.Variable]
) -> Gradients:
    import jax

    def evaluate(values: Sequence[Any], state_values: Sequence[Any]) -> Any:
        mapping = [*zip(state, state_values, strict=True), *zip(variables, values, strict=True)]
        with keras.StatelessScope(state_mapping=mapping):
            result = function()
        return result, result

    differentiate = jax.jacrev(evaluate, has_aux=True)
    if state:
        differentiate = jax.jit(differentiate)

    def compute() -> tuple[np.ndarray, list[np.ndarray]]:
        values, state_values = ([v.value for v in part] for part in (variables, state))
        gradients, value = differentiate(values, state_values)
        return np.asarray(value), [np.asarray(gradient) for gradient in gradients]

    return compute
