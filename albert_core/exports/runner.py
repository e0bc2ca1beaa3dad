"""What is the same for a model in every format: what goes in and what comes out.

Shape suffixes: B batch, C choices, S sequence, P predictions.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from albert_core.checkpoints.checkpoint import Checkpoint, model_of

if TYPE_CHECKING:
    import keras

Inputs = Mapping[str, np.ndarray]
"""int32: `input_ids`, `input_mask`, `segment_ids` [B, S], of a multiple choice [B, C, S]; and what
else `input_names` says: `masked_lm_positions` [B, P] before fine-tuning, `p_mask` [B, S] for the
head of SQuAD 2.0."""

Outputs = Mapping[str, np.ndarray]
"""float32 by name: those of the Keras model's dict, or `logits` of a model that returns one
tensor."""

Runner = Callable[[Inputs], Outputs]
"""A model in some runtime."""


def input_names(checkpoint: Checkpoint) -> tuple[str, ...]:
    """Return the names of the inputs of a checkpoint's model, in the order every format has."""
    heads = checkpoint.heads
    more: tuple[str, ...] = ()
    if "span_beam" in heads:
        more = ("p_mask",)
    elif not heads & {"classifier", "span"}:
        more = ("masked_lm_positions",)
    return ("input_ids", "input_mask", "segment_ids", *more)


def reference_runner(checkpoint: Checkpoint) -> Runner:
    """Return the Keras model of a checkpoint, which every format is compared with."""
    model = model_of(checkpoint)

    def run(inputs: Inputs) -> Outputs:
        outputs = outputs_by_name(model, inputs)
        return {name: np.asarray(value) for name, value in outputs.items()}

    return run


def outputs_by_name(model: "keras.Model", inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a model computes without dropout, as a dict whatever its class returns."""
    outputs = model(dict(inputs), training=False)
    return dict(outputs) if isinstance(outputs, Mapping) else {"logits": outputs}
