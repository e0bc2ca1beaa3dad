"""What SavedModels compute of texts, and what they must."""

from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from albert_core.checkpoints import (
    Checkpoint,
)
from albert_core.checkpoints.checkpoint import reference_function
from albert_core.finetuning.batches import answer_mask, pad_inputs
from albert_core.finetuning.features import Features
from albert_core.tasks import Example


def served(folder: Path, **inputs: Any) -> dict[str, np.ndarray]:
    """Return what the signature on strings computes."""
    signature = tf.saved_model.load(str(folder)).signatures["serving_default"]
    tensors = {name: tf.constant(value, tf.string) for name, value in inputs.items()}
    return {name: value.numpy() for name, value in signature(**tensors).items()}


def in_python(checkpoint: Checkpoint, features: Features) -> dict[str, np.ndarray]:
    """Return what the Keras model computes of features."""
    inputs = pad_inputs(features, np.arange(len(features)), int(features.lengths.max()))
    if "span_beam" in checkpoint.heads:
        inputs["p_mask"] = answer_mask(inputs)
    return {**reference_function(checkpoint)(inputs), "input_ids": inputs["input_ids"]}


def examples_of(*columns: Any) -> list[Example]:
    rows = zip(*columns, strict=True)
    return [Example(id="", texts=tuple(row), target=None) for row in rows]


def assert_close(found: np.ndarray, expected: np.ndarray) -> None:
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)
