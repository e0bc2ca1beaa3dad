"""The head that gives each token a class, such as the tags of named entities.

Shape suffixes: B batch, S sequence, H hidden, C classes.
"""

from typing import Any

import keras
from keras import ops

from albert_core.backends import cross_entropy
from albert_core.config import AlbertConfig
from albert_core.model.heads import AlbertWithHead
from albert_core.model.layers import PACKAGE, add_output_layer, apply_output_layer
from albert_core.model.pretraining import Tensors


class TokenHead(keras.layers.Layer):
    """Score the classes of every position by itself.

    Makes logits [B, S, C] of vectors [B, S, H].
    """

    def __init__(self, config: AlbertConfig, num_labels: int) -> None:
        super().__init__(name="token_classifier")
        self.config, self.num_labels = config, num_labels

    def build(self, input_shape: Any = None) -> None:
        """Make the weights [C, H] and the bias [C]."""
        add_output_layer(self, self.config, self.num_labels)

    def call(self, sequence_BSH: Any) -> Any:
        """Return logits [B, S, C]."""
        return apply_output_layer(self, sequence_BSH)


@keras.saving.register_keras_serializable(PACKAGE)
class AlbertForTokenClassification(AlbertWithHead):
    """ALBERT that gives each token one of C classes.

    Inputs are a dict of `input_ids`, `input_mask`, `segment_ids` [B, S]; targets are class numbers
    [B, S], below 0 for tokens without one. The original has no such head; transformers has the
    same (`AlbertForTokenClassification`).

    Args:
        config: The architecture.
        num_labels: Number of classes C.
        classifier_dropout: Dropout on what the output layer reads, while training.
    """

    def __init__(
        self, config: AlbertConfig, *, num_labels: int, classifier_dropout: float = 0.1
    ) -> None:
        """Make the encoder and the head, and build all variables."""
        super().__init__(config)
        self.head = TokenHead(config, num_labels)
        self.dropout = keras.layers.Dropout(classifier_dropout)
        self.build()

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the model as JSON holds them."""
        return {
            **super().get_config(),
            "num_labels": self.head.num_labels,
            "classifier_dropout": self.dropout.rate,
        }

    def build(self, input_shape: Any = None) -> None:
        """Create all variables; the pooler is not trained.

        `__init__` calls it; Keras refuses a second call (ValueError). `input_shape` is not used.
        """
        self.bert.build()
        self.bert.pooler.trainable = False  # nothing reads its output: it has no gradient
        self.head.build()
        self.built = True

    def call(self, inputs: Tensors, training: bool | None = None) -> Any:
        """Return logits [B, S, C].

        Raises:
            InputError: An input does not have the axes [B, S].
        """
        sequence_BSH = self.encode(inputs, training)["sequence_output"]
        return self.head(self.dropout(sequence_BSH, training=training))

    def example_losses(self, targets: Any, outputs: Any) -> Any:
        """Return the cross entropy of each token [B, S]; without meaning where it has no class."""
        return cross_entropy(ops.maximum(ops.cast(targets, "int32"), 0), outputs)

    def loss_weights(self, targets: Any, sample_weight: Any) -> Any:
        """Return the weights of the tokens [B, S]: 0 without a class, else that of the example.

        Each token with a class counts as much, not each example, as in transformers.
        """
        weights_BS = ops.cast(ops.cast(targets, "int32") >= 0, "float32")
        if sample_weight is None:
            return weights_BS
        return weights_BS * ops.cast(sample_weight, "float32")[:, None]
