"""Heads on one vector for a text: a class or a number for a text or a pair (GLUE), a choice (RACE).

Shape suffixes: B batch, C classes or choices, S sequence, H hidden, F features.
"""

from typing import Any

import keras
from keras import ops

from albert_core.backends import cross_entropy
from albert_core.config import AlbertConfig
from albert_core.errors import InputError
from albert_core.model.heads import ENCODER_INPUTS, AlbertWithHead, check_axes
from albert_core.model.layers import PACKAGE, add_output_layer, apply_output_layer
from albert_core.model.pooling import new_pooling_head
from albert_core.model.pretraining import Tensors
from albert_core.pooling import POOLINGS, HeadPooling


class PooledOutputModel(AlbertWithHead):
    """ALBERT with dropout and one output layer on the pooled outputs of the encoder.

    Args:
        config: The architecture.
        num_outputs: Width of the output layer.
        classifier_dropout: Dropout on what the output layer reads, while training.
        pooling: Which of the encoder's outputs the output layer reads; `pooler` is the original's.
    """

    def __init__(
        self,
        config: AlbertConfig,
        *,
        num_outputs: int,
        classifier_dropout: float,
        pooling: HeadPooling,
    ) -> None:
        """Make the encoder and the head, and build all variables."""
        super().__init__(config)
        self.num_outputs, self.pooling = num_outputs, pooling
        self.head = new_pooling_head(pooling, config, num_outputs)
        # Features of a head of its own are in float32, and stay in it.
        self.dropout = keras.layers.Dropout(
            classifier_dropout, dtype=self.head.dtype_policy if self.head else None
        )
        self.build()

    def build(self, input_shape: Any = None) -> None:
        """Create all variables; the pooler is trained only if the head reads it.

        `__init__` calls it; Keras refuses a second call (ValueError). `input_shape` is not used.
        With `pooler` the output layer has the original's names, else it is in a scope that is named
        as the pooling.
        """
        self.bert.build()
        if self.head is not None:
            self.bert.pooler.trainable = False  # nothing reads its output: it has no gradient
            self.head.build()
        else:
            with keras.name_scope(self.name, caller=self):
                add_output_layer(self, self.config, self.num_outputs)
        self.built = True

    # Not a property: Keras walks through all attributes when it saves, and would never end.
    def output_layer(self) -> keras.layers.Layer:
        """Return the layer with the variables `output_weights` and `output_bias`: head or model."""
        return self if self.head is None else self.head

    def get_config(self) -> dict[str, Any]:
        """Return `config` (a dict), `classifier_dropout` and `pooling`, by name, for `from_config`.

        The number of outputs is left out: each subclass adds its own argument for it, such as
        `num_labels`.
        """
        return {
            **super().get_config(),
            "classifier_dropout": self.dropout.rate,
            "pooling": self.pooling,
        }

    def logits(self, inputs: Tensors, training: bool | None) -> Any:
        """Return a row of outputs for each sequence: [B, S] inputs to [B, num_outputs].

        For texts that are encoded separately the inputs are [2 B, S]: sequences 2 k and 2 k + 1 are
        the texts of example k, and give one row.

        Raises:
            InputError: An input does not have the axes [B, S].
        """
        if self.head is None:
            pooled_BH = self.encode(inputs, training, pooled_only=True)["pooled_output"]
            return apply_output_layer(self, self.dropout(pooled_BH, training=training))
        check_axes(inputs, "batch", "sequence")
        ids, mask, segments = (inputs[name] for name in ENCODER_INPUTS)
        features_BF = self.head.features(self.bert, ids, mask, segments, training)
        return self.head(self.dropout(features_BF, training=training))


@keras.saving.register_keras_serializable(PACKAGE)
class AlbertForSequenceClassification(PooledOutputModel):
    """ALBERT with a classification head, by default the original's; with one class, regression.

    Inputs are a dict of `input_ids`, `input_mask`, `segment_ids` [B, S], or [B, 2, S] with
    `siamese`, which encodes the two texts of an example separately; targets are class numbers [B],
    float scores [B] for regression, or 1 and 0 for each label [B, C] of which any number may apply.
    Source: run_classifier.py of the original, which has no such labels and no other pooling.

    Args:
        config: The architecture.
        num_labels: Number of classes C; 1 is regression.
        is_multi_label: Whether any number of classes may apply to an example.
        classifier_dropout: Dropout on what the output layer reads, while training.
        pooling: What the output layer reads of the encoder's outputs.
    """

    def __init__(
        self,
        config: AlbertConfig,
        *,
        num_labels: int,
        is_multi_label: bool = False,
        classifier_dropout: float = 0.1,
        pooling: HeadPooling = "pooler",
    ) -> None:
        """Make the encoder and the head, and build all variables."""
        super().__init__(
            config,
            num_outputs=num_labels,
            classifier_dropout=classifier_dropout,
            pooling=pooling,
        )
        self.is_multi_label = is_multi_label

    def get_config(self) -> dict[str, Any]:
        """Return all arguments of the model as JSON holds them, for `from_config`."""
        return {
            **super().get_config(),
            "num_labels": self.num_outputs,
            "is_multi_label": self.is_multi_label,
        }

    def call(self, inputs: Tensors, training: bool | None = None) -> Any:
        """Return logits [B, C], or scores [B, 1] for regression.

        Raises:
            InputError: An input does not have the axes [B, S], with `siamese` [B, 2, S].
        """
        if POOLINGS[self.pooling].encodes_apart:
            check_axes(inputs, "batch", "texts", "sequence")
            inputs = _flatten(inputs)
        return self.logits(inputs, training)

    def example_losses(self, targets: Any, outputs: Any) -> Any:
        """Return the cross entropy, or the squared error of a regression, of each example [B].

        A model with one class is a regression, unless it is multi-label: the loss of a multi-label
        model is the mean of the labels' binary cross entropies. All losses are in float32.
        """
        if self.is_multi_label:
            return binary_cross_entropy(targets, outputs)
        if self.num_outputs > 1:
            return cross_entropy(targets, outputs)
        # In bfloat16 the difference of two near scores would keep few of its digits.
        scores_B = ops.cast(outputs[:, 0], "float32")
        return ops.square(scores_B - ops.cast(targets, "float32"))


@keras.saving.register_keras_serializable(PACKAGE)
class AlbertForMultipleChoice(PooledOutputModel):
    """ALBERT that chooses the right one of C texts, such as the answers to a question of RACE.

    Inputs are a dict of `input_ids`, `input_mask`, `segment_ids` [B, C, S], one sequence for each
    choice; targets are the indices of the right choices [B]. C may differ from batch to batch.
    Source: race_utils.py of the original.

    Args:
        config: The architecture.
        classifier_dropout: Dropout on what the output layer reads, while training.
        pooling: What the output layer reads of the encoder's outputs.

    Raises:
        InputError: The pooling is for pairs of texts.
    """

    def __init__(
        self,
        config: AlbertConfig,
        *,
        classifier_dropout: float = 0.1,
        pooling: HeadPooling = "pooler",
    ) -> None:
        """Make the encoder and the head, and build all variables.

        Raises:
            InputError: The pooling is for pairs of texts.
        """
        if POOLINGS[pooling].encodes_apart:
            raise InputError(
                f"pooling: got {pooling}, which compares two texts, for multiple choice; expected "
                "pooler, mean or layer_mix"
            )
        super().__init__(
            config, num_outputs=1, classifier_dropout=classifier_dropout, pooling=pooling
        )

    def call(self, inputs: Tensors, training: bool | None = None) -> Any:
        """Return logits [B, C], one for each choice.

        Raises:
            InputError: An input does not have the axes [B, C, S].
        """
        check_axes(inputs, "batch", "choices", "sequence")
        num_choices = ops.shape(inputs["input_ids"])[1]
        return ops.reshape(self.logits(_flatten(inputs), training), (-1, num_choices))

    def example_losses(self, targets: Any, outputs: Any) -> Any:
        """Return the cross entropy over the choices [B]."""
        return cross_entropy(targets, outputs)


def _flatten(inputs: Tensors) -> dict[str, Any]:
    """Return the encoder's inputs of sequences one after the other: [B, C, S] to [B * C, S]."""
    length = ops.shape(inputs["input_ids"])[2]
    return {name: ops.reshape(inputs[name], (-1, length)) for name in ENCODER_INPUTS}


def binary_cross_entropy(targets: Any, logits: Any) -> Any:
    """Return the mean over C of the binary cross entropies of logits [B, C], float32 [B]."""
    logits_BC, targets_BC = ops.cast(logits, "float32"), ops.cast(targets, "float32")
    # By softplus, which unlike log and sigmoid does not overflow.
    return ops.mean(ops.softplus(logits_BC) - targets_BC * logits_BC, axis=-1)
