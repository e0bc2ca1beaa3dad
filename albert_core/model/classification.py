"""Heads on the pooled output: a label or a number for a text or a pair (GLUE), a choice (RACE).

Shape suffixes: B batch, C classes or choices, S sequence, H hidden.
"""

from typing import Any

import keras
from keras import ops

from albert_core.config import AlbertConfig
from albert_core.model.heads import ENCODER_INPUTS, AlbertWithHead, check_axes
from albert_core.model.layers import PACKAGE, add_output_layer, apply_output_layer
from albert_core.model.pretraining import Tensors, cross_entropy


class PooledOutputModel(AlbertWithHead):
    """ALBERT with dropout and one output layer on the pooled output.

    Args:
        config: The architecture.
        num_outputs: Width of the output layer.
        classifier_dropout: Dropout on the pooled output while training.
    """

    def __init__(
        self, config: AlbertConfig, *, num_outputs: int, classifier_dropout: float
    ) -> None:
        """Make the encoder and the head, and build all variables."""
        super().__init__(config)
        self.num_outputs = num_outputs
        self.dropout = keras.layers.Dropout(classifier_dropout)
        self.build()

    def build(self, input_shape: Any = None) -> None:
        """Build all variables at once, under the original's names."""
        self.bert.build()
        with keras.name_scope(self.name, caller=self):
            add_output_layer(self, self.config, self.num_outputs)
        self.built = True

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the model as JSON holds them."""
        return {**super().get_config(), "classifier_dropout": self.dropout.rate}

    def logits(self, inputs: Tensors, training: bool | None) -> Any:
        """Return a row of outputs for each sequence: [B, S] inputs to [B, num_outputs].

        Raises:
            InputError: An input does not have the axes [B, S].
        """
        pooled_BH = self.encode(inputs, training, pooled_only=True)["pooled_output"]
        return apply_output_layer(self, self.dropout(pooled_BH, training=training))


@keras.saving.register_keras_serializable(PACKAGE)
class AlbertForSequenceClassification(PooledOutputModel):
    """ALBERT with the original's classification head; with one class it is regression.

    Inputs are a dict of `input_ids`, `input_mask`, `segment_ids` [B, S]; targets are class
    numbers [B], float scores [B] for regression, or 1 and 0 for each label [B, C] of which any
    number may apply. Source: run_classifier.py of the original, which has no such labels.

    Args:
        config: The architecture.
        num_labels: Number of classes C; 1 is regression.
        is_multi_label: Whether each class applies or not by itself.
        classifier_dropout: Dropout on the pooled output while training.
    """

    def __init__(
        self,
        config: AlbertConfig,
        *,
        num_labels: int,
        is_multi_label: bool = False,
        classifier_dropout: float = 0.1,
    ) -> None:
        super().__init__(config, num_outputs=num_labels, classifier_dropout=classifier_dropout)
        self.is_multi_label = is_multi_label

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the model as JSON holds them."""
        return {
            **super().get_config(),
            "num_labels": self.num_outputs,
            "is_multi_label": self.is_multi_label,
        }

    def call(self, inputs: Tensors, training: bool | None = None) -> Any:
        """Return logits [B, C], or scores [B, 1] for regression.

        Raises:
            InputError: An input does not have the axes [B, S].
        """
        return self.logits(inputs, training)

    def example_losses(self, targets: Any, outputs: Any) -> Any:
        """Return the cross entropy, or the squared error for regression, of each example [B].

        Of labels of which any number may apply it is the mean of their binary cross entropies.
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
        classifier_dropout: Dropout on the pooled output while training.
    """

    def __init__(self, config: AlbertConfig, *, classifier_dropout: float = 0.1) -> None:
        super().__init__(config, num_outputs=1, classifier_dropout=classifier_dropout)

    def call(self, inputs: Tensors, training: bool | None = None) -> Any:
        """Return logits [B, C], one for each choice.

        Raises:
            InputError: An input does not have the axes [B, C, S].
        """
        check_axes(inputs, "batch", "choices", "sequence")
        _, num_choices, length = ops.shape(inputs["input_ids"])
        flat = {name: ops.reshape(inputs[name], (-1, length)) for name in ENCODER_INPUTS}
        return ops.reshape(self.logits(flat, training), (-1, num_choices))

    def example_losses(self, targets: Any, outputs: Any) -> Any:
        """Return the cross entropy over the choices [B]."""
        return cross_entropy(targets, outputs)


def binary_cross_entropy(targets: Any, logits: Any) -> Any:
    """Return the mean over C of the binary cross entropies of logits [B, C], float32 [B]."""
    logits_BC, targets_BC = ops.cast(logits, "float32"), ops.cast(targets, "float32")
    # By softplus, which unlike log and sigmoid does not overflow.
    return ops.mean(ops.softplus(logits_BC) - targets_BC * logits_BC, axis=-1)
