"""One label or one number for a sentence or a pair: the GLUE head.

Shape suffixes: B batch, C classes, H hidden.
"""

from typing import Any

import keras
from keras import ops

from albert_core.config import AlbertConfig
from albert_core.model.encoder import AlbertEncoder, initializer
from albert_core.model.pretraining import Tensors, cross_entropy


class AlbertForSequenceClassification(keras.Model):
    """ALBERT with the original's classification head; one output and squared error: regression.

    Inputs are a dict of `input_ids`, `input_mask`, `segment_ids` [B, S]; targets are class
    numbers [B], or float scores [B] for regression. Source: run_classifier.py of the original.

    Args:
        config: The architecture.
        num_labels: Number of classes C; 1 is regression.
        classifier_dropout: Dropout on the pooled output while training.
    """

    def __init__(
        self, config: AlbertConfig, *, num_labels: int, classifier_dropout: float = 0.1
    ) -> None:
        super().__init__()
        self.config = config
        self.num_labels = num_labels
        self.bert = AlbertEncoder(config)
        self.dropout = keras.layers.Dropout(classifier_dropout)
        self.build()

    def build(self, input_shape: Any = None) -> None:
        """Build all variables at once, under the original's names."""
        self.bert.build()
        with keras.name_scope(self.name, caller=self):
            self.output_weights = self.add_weight(
                name="output_weights",
                shape=(self.num_labels, self.config.hidden_size),
                initializer=initializer(self.config),
            )
            self.output_bias = self.add_weight(
                name="output_bias", shape=(self.num_labels,), initializer="zeros"
            )
        self.built = True

    def call(self, inputs: Tensors, training: bool | None = None) -> Any:
        """Return logits [B, C], or scores [B, 1] for regression."""
        pooled_BH = self.bert(
            inputs["input_ids"],
            input_mask=inputs["input_mask"],
            segment_ids=inputs["segment_ids"],
            training=training,
        )["pooled_output"]
        pooled_BH = self.dropout(pooled_BH, training=training)
        weights_CH = ops.cast(self.output_weights, pooled_BH.dtype)
        logits_BC = ops.matmul(pooled_BH, ops.transpose(weights_CH))
        return logits_BC + ops.cast(self.output_bias, logits_BC.dtype)

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> Any:
        """Return the mean cross entropy, or the mean squared error for regression."""
        if self.num_labels == 1:
            scores_B = ops.cast(y_pred[:, 0], "float32")
            return ops.mean(ops.square(scores_B - ops.cast(y, "float32")))
        return ops.mean(cross_entropy(y, y_pred))
