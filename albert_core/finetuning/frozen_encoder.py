"""Means of the outputs of every layer of an encoder whose weights stay as they are.

Shape suffixes: B batch, S sequence, H hidden, L layers, M texts.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from albert_core.backends import JITS_VARYING_LENGTHS
from albert_core.config import AlbertConfig
from albert_core.errors import InputError
from albert_core.finetuning.batches import pad_inputs
from albert_core.finetuning.features import Features
from albert_core.finetuning.prediction import predict_outputs
from albert_core.model.encoder import AlbertEncoder
from albert_core.model.pooling import mean_of_tokens
from albert_core.model.weights import assign_by_name
from albert_core.model_function import ModelFunction, compiled_function

_ENCODER = "bert/"


def pretrained_encoder(
    config: AlbertConfig, weights: Mapping[str, np.ndarray], *, source: str
) -> AlbertEncoder:
    """Return an encoder with given weights.

    Args:
        config: Its architecture.
        weights: Arrays by the original's names; those of heads are ignored.
        source: Where they come from, for messages.

    Raises:
        InputError: A variable is missing, unknown or of another shape; all are listed.
    """
    encoder = AlbertEncoder(config)
    encoder.build()
    variables = {variable.path: variable for variable in encoder.weights}
    arrays = {name: array for name, array in weights.items() if name.startswith(_ENCODER)}
    assign_by_name(variables, arrays, source=source)
    return encoder


def random_encoder(config: AlbertConfig, seed: int) -> AlbertEncoder:
    """Return an encoder with random weights of a seed; sets Keras's random state."""
    keras.utils.set_random_seed(seed)
    encoder = AlbertEncoder(config)
    encoder.build()
    return encoder


def means_function(encoder: AlbertEncoder) -> ModelFunction:
    """Return a function from inputs [B, S] to the means of each layer's output over the tokens.

    It is compiled when it is first called, and computes with the weights that the encoder has when
    it is called. Its only output is `means`, float32 [B, L, H]. Without dropout.
    """
    model = _LayerMeans(encoder)
    model.compile(jit_compile=JITS_VARYING_LENGTHS)
    return compiled_function(model)


def layer_means(
    means: ModelFunction, features: Features, *, max_length: int, source: str
) -> np.ndarray:
    """Return the mean of each layer's output over the tokens of each text, float32 [M, L, H].

    [CLS] and [SEP] are among the tokens.

    Args:
        means: Function of `means_function`.
        features: One sequence for each text, at least one.
        max_length: Longest sequence that the settings allow, in tokens.
        source: What the encoder is, for messages.

    Raises:
        InputError: A mean is not a finite number.
    """
    outputs = predict_outputs(means, features, pad_inputs, max_length=max_length)
    means_MLH = np.stack(outputs["means"])
    if not np.isfinite(means_MLH).all():
        raise InputError(
            f"{source}: got outputs that are not finite numbers, expected those of a trained "
            "model; its weights are damaged, or its training diverged"
        )
    return means_MLH


class _LayerMeans(keras.Model):
    """A model from a batch of sequences to the means of each layer over their tokens."""

    def __init__(self, encoder: AlbertEncoder) -> None:
        """Keep the encoder."""
        super().__init__(name="layer_means")
        self.encoder = encoder

    def call(self, inputs: Mapping[str, Any], training: bool | None = None) -> dict[str, Any]:
        """Return `means` [B, L, H]: the mean of each layer's outputs over all tokens but padding.

        Inputs are `input_ids`, `input_mask` and `segment_ids` [B, S].
        """
        outputs = self.encoder(
            inputs["input_ids"],
            input_mask=inputs["input_mask"],
            segment_ids=inputs["segment_ids"],
            return_all_layers=True,
            training=training,
        )
        every = self.encoder.config.inner_group_num  # a layer is so many blocks
        layers: Sequence = outputs["all_layer_outputs"][every - 1 :: every]
        means = [mean_of_tokens(tokens_BSH, inputs["input_mask"]) for tokens_BSH in layers]
        return {"means": ops.stack(means, axis=1)}
