"""Means of the outputs of every layer of an encoder whose weights stay as they are.

Shape suffixes: B batch, S sequence, H hidden, L layers, M texts.
"""

from collections.abc import Mapping, Sequence

import keras
import numpy as np
from keras import ops

from albert_core.config import AlbertConfig
from albert_core.errors import InputError
from albert_core.finetuning.batches import pad_inputs
from albert_core.finetuning.features import Features
from albert_core.finetuning.prediction import predict_outputs
from albert_core.model.encoder import AlbertEncoder
from albert_core.model.pooling import mean_of_tokens
from albert_core.model.weights import assign_by_name
from albert_core.model_function import ModelInputs, ModelOutputs

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


def layer_means(
    encoder: AlbertEncoder, features: Features, *, max_length: int, source: str
) -> np.ndarray:
    """Return the mean of each layer's output over the tokens of each text, float32 [M, L, H].

    [CLS] and [SEP] are among the tokens. Without dropout.

    Args:
        encoder: The encoder.
        features: One sequence for each text, at least one.
        max_length: Longest sequence that the settings allow, in tokens.
        source: What the encoder is, for messages.

    Raises:
        InputError: A mean is not a finite number.
    """
    every = encoder.config.inner_group_num  # a layer is so many blocks

    def run(inputs: ModelInputs) -> ModelOutputs:
        """Return `means` [B, L, H]."""
        outputs = encoder(
            inputs["input_ids"],
            input_mask=inputs["input_mask"],
            segment_ids=inputs["segment_ids"],
            return_all_layers=True,
            training=False,
        )
        layers: Sequence = outputs["all_layer_outputs"][every - 1 :: every]
        means = [mean_of_tokens(tokens_BSH, inputs["input_mask"]) for tokens_BSH in layers]
        return {"means": np.asarray(ops.convert_to_numpy(ops.stack(means, axis=1)))}

    means_MLH = np.stack(predict_outputs(run, features, pad_inputs, max_length=max_length)["means"])
    if not np.isfinite(means_MLH).all():
        raise InputError(
            f"{source}: got outputs that are not finite numbers, expected those of a trained "
            "model; its weights are damaged, or its training diverged"
        )
    return means_MLH
