"""Cross entropy over a vocabulary for TensorFlow, in compiled loops forward and backward.

Equal to `keras.losses.sparse_categorical_crossentropy` of logits in float32.

Shape suffixes: C classes.
"""

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

# Below this number of classes compiling costs more than it saves, and shapes of few classes (span
# logits, one for each length of a batch) are many.
_MANY_CLASSES = 1024


def cross_entropy(labels: Any, logits: Any) -> Any:
    """Return softmax cross entropy per label, in float32.

    Args:
        labels: Class numbers [...], from 0 to below C; not checked.
        logits: [..., C], of any float type.

    Returns:
        [...], one number for each label.
    """
    logits = tf.convert_to_tensor(logits)
    # TensorFlow's operation takes a quarter of a small model's step, single passes over logits in
    # float32 another tenth: XLA makes one loop of them, forward and backward.
    if logits.shape.is_fully_defined() and logits.shape[-1] >= _MANY_CLASSES:
        return _compiled_cross_entropy(logits, tf.convert_to_tensor(labels))
    # float32: a softmax over 30,000 logits in bfloat16 has two or three digits.
    return keras.losses.sparse_categorical_crossentropy(
        labels, tf.cast(logits, tf.float32), from_logits=True
    )


def most_likely_class(logits: Any) -> Any:
    """Return the number of the largest of [..., C] logits, int32 [...]; the first of equal ones."""
    # Not `keras.ops.argmax`: to tell -0.0 from 0.0 it passes over the logits five times more.
    return tf.argmax(logits, axis=-1, output_type=tf.int32)


@tf.custom_gradient
def _compiled_cross_entropy(logits: Any, labels: Any) -> tuple[Any, Callable[[Any], Any]]:
    """Return the losses, and the function of the gradient by the logits.

    TensorFlow takes the second value for itself; callers get only the losses.
    """
    losses, largest, log_sums = _forward(logits, labels)
    return losses, lambda upstream: (_backward(logits, labels, largest, log_sums, upstream), None)


@tf.function(jit_compile=True, autograph=False)
def _forward(logits: Any, labels: Any) -> tuple[Any, Any, Any]:
    """Return, for each label, loss, largest logit, and log of the sum of exp(logit - largest)."""
    wide = tf.cast(logits, tf.float32)
    largest = tf.reduce_max(wide, axis=-1)
    log_sums = tf.math.log(tf.reduce_sum(tf.exp(wide - largest[..., tf.newaxis]), axis=-1))
    label_logits = tf.reduce_sum(tf.where(_is_label(wide, labels), wide, 0.0), axis=-1)
    # Not `largest + log_sums - label_logits`, which has the rounding error of the largest logit.
    return log_sums - (label_logits - largest), largest, log_sums


@tf.function(jit_compile=True, autograph=False)
def _backward(logits: Any, labels: Any, largest: Any, log_sums: Any, upstream: Any) -> Any:
    """Return the gradient by the logits, in their type: (softmax - label) times `upstream`."""
    shifted = tf.cast(logits, tf.float32) - largest[..., tf.newaxis]
    probabilities = tf.exp(shifted - log_sums[..., tf.newaxis])
    difference = probabilities - tf.cast(_is_label(shifted, labels), tf.float32)
    return tf.cast(difference * upstream[..., tf.newaxis], logits.dtype)


def _is_label(logits: Any, labels: Any) -> Any:
    """Return where of [..., C] the label is, as bool."""
    # A comparison, not a gather or `one_hot`: XLA joins it with the loop that reads the logits.
    classes_C = tf.range(logits.shape[-1], dtype=labels.dtype)
    return tf.equal(classes_C, labels[..., tf.newaxis])
