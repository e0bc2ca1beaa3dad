"""Dense layers for TensorFlow that are applied many times in a step.

Shape suffixes: I inputs, O outputs, R rows.
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import keras
import tensorflow as tf

from albert_core.backends.tensorflow._sums import sum_rows, sum_tensors


class SharedDense(keras.layers.Dense):
    """A dense layer that, inside `cast_once`, casts its weights once for several calls."""

    # `.keras` archives hold the name of the class, in snake case, before the weights.

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self._cast_weights = _CastWeights()

    @contextlib.contextmanager
    def cast_once(self, times: int) -> Iterator[None]:
        """Cast the weights now, for at most `times` calls of the layer inside.

        The layer must be built and have a bias. One call more inside raises StopIteration. Contexts
        of the same layer must not be nested, which is not checked: the end of the inner one would
        end both.
        """
        # In bfloat16 a layer applied twelve times would cast its weights twelve times, and twelve
        # gradients back to float32; so, gradients are summed first, in one loop.
        casts = (
            _copy_cast(tf.convert_to_tensor(variable), self.compute_dtype, times)
            for variable in (self.kernel, self.bias)
        )
        self._cast_weights.pairs = zip(*casts, strict=True)
        try:
            yield
        finally:
            self._cast_weights.pairs = None

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """Return [..., O] for [..., I]; inside `cast_once` it uses up one copy of the weights."""
        if self._cast_weights.pairs is None:
            return super().call(inputs, training=training)
        return self.activation(_affine(inputs, *next(self._cast_weights.pairs)))


@contextlib.contextmanager
def cast_weights_once(uses: Mapping[SharedDense, int]) -> Iterator[None]:
    """Let dense layers cast their weights once for all calls in the body.

    Args:
        uses: How often each layer will be called at most; a further call raises StopIteration.
    """
    with contextlib.ExitStack() as stack:
        for layer, times in uses.items():
            stack.enter_context(layer.cast_once(times))
        yield


class _CastWeights:
    """Holds the cast weights of a layer: Keras would track them as an attribute of the layer."""

    pairs: Iterator[tuple[Any, Any]] | None = None


def _copy_cast(weight: Any, dtype: str, times: int) -> list[Any]:
    """Return `times` copies of a weight, cast to `dtype` once.

    The gradient of the weight is the sum of the copies' gradients, in float32.
    """

    @tf.custom_gradient
    def copy(weight: Any) -> tuple[list[Any], Callable[..., Any]]:
        cast = tf.cast(weight, dtype)
        # Copies, because TensorFlow adds up gradients of one tensor before it asks this function.
        return [tf.identity(cast) for _ in range(times)], lambda *upstream: sum_tensors(upstream)

    return copy(weight)


@tf.custom_gradient
def _affine(x: Any, kernel_IO: Any, bias_O: Any) -> tuple[Any, Callable[[Any], Any]]:
    """Return `x @ kernel + bias` [..., O], and the function of its gradients.

    TensorFlow takes the second value for itself; callers of `_affine` get only the first.
    """
    num_inputs, num_outputs = kernel_IO.shape
    *leading, _ = (
        known if known is not None else actual
        for known, actual in zip(x.shape, tf.unstack(tf.shape(x)), strict=True)
    )
    x_RI = tf.reshape(x, (-1, num_inputs))

    def differentiate(upstream: Any) -> tuple[Any, Any, Any]:
        """Return the gradients by x, kernel and bias."""
        upstream_RO = tf.reshape(upstream, (-1, num_outputs))
        x_gradient_RI = tf.matmul(upstream_RO, kernel_IO, transpose_b=True)
        return (
            tf.reshape(x_gradient_RI, (*leading, num_inputs)),
            tf.matmul(x_RI, upstream_RO, transpose_a=True),
            sum_rows(upstream_RO),
        )

    # Side by side and of two axes, TensorFlow runs product and bias as one operation.
    y_RO = tf.nn.bias_add(tf.matmul(x_RI, kernel_IO), bias_O)
    return tf.reshape(y_RO, (*leading, num_outputs)), differentiate
