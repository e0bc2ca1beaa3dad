"""A model's encoder by itself on several devices, for vectors of texts.

Shape suffixes: B batch, S sequence, H hidden.
"""

from typing import Any

import keras

from albert_core.backends import JITS_VARYING_LENGTHS
from albert_core.model.encoder import AlbertEncoder
from albert_core.model.heads import ENCODER_INPUTS
from albert_core.model.pretraining import Tensors
from albert_core.model_function import ModelFunction, compiled_function


def spread_encoder_function(model: keras.Model) -> ModelFunction:
    """Return a function that runs a model's encoder, `model.bert`, on the devices of a strategy.

    It does what `encoder_function` does, compiled, and with the rows of a batch divided among the
    devices. Like the model, it must be made inside `use_devices`.
    """
    encoder = _EncoderModel(model.bert)
    encoder.compile(jit_compile=JITS_VARYING_LENGTHS)
    return compiled_function(encoder)


class _EncoderModel(keras.Model):
    """A built encoder as a model, which Keras can compile and spread."""

    def __init__(self, encoder: AlbertEncoder) -> None:
        """Take the encoder, whose variables are the model's."""
        super().__init__(name="encoder")
        self.bert = encoder
        self.built = True

    def call(self, inputs: Tensors, training: bool | None = None) -> dict[str, Any]:
        """Return `sequence_output` [B, S, H] and `pooled_output` [B, H] of sequences [B, S].

        Inputs are `input_ids`, `input_mask` and `segment_ids`; others are not read.
        """
        ids, mask, segments = (inputs[name] for name in ENCODER_INPUTS)
        return self.bert(ids, input_mask=mask, segment_ids=segments, training=training)
