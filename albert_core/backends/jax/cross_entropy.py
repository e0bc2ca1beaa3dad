"""Cross entropy over a vocabulary for JAX, whose compiler makes single loops of it.

Shape suffixes: C classes.
"""

from typing import Any

import jax.numpy as jnp
import keras


def cross_entropy(labels: Any, logits: Any) -> Any:
    """Return softmax cross entropy per label, in float32.

    Args:
        labels: Class numbers [...], from 0 to below C; not checked.
        logits: [..., C], of any float type.

    Returns:
        [...], one number for each label.
    """
    # float32: a softmax over 30,000 logits in bfloat16 has two or three digits.
    return keras.losses.sparse_categorical_crossentropy(
        labels, logits.astype(jnp.float32), from_logits=True
    )


def most_likely_class(logits: Any) -> Any:
    """Return the number of the largest of [..., C] logits, int32 [...]; the first of equal ones."""
    return jnp.argmax(logits, axis=-1)
