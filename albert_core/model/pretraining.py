"""The pretraining model: masked language modelling and sentence-order heads, and their losses.

Shape suffixes: B batch, S sequence, P predictions, H hidden, E embedding, V vocabulary.
"""

from collections.abc import Mapping
from typing import Any

import keras
from keras import ops

from albert_core.backends import cross_entropy, most_likely_class
from albert_core.config import AlbertConfig
from albert_core.model.encoder import AlbertEncoder
from albert_core.model.gradient_accumulation import GradientAccumulationModel
from albert_core.model.layers import (
    PACKAGE,
    ConfigSerializable,
    add_output_layer,
    apply_output_layer,
    build_in_scope,
    check_range,
    dense,
    hidden_activation,
    layer_norm,
    select_positions,
)

# Added to the number of predictions, as in the original: a batch without any divides by it.
SMALLEST_TOTAL = 1e-5
Tensors = Mapping[str, Any]


class MaskedLmHead(keras.layers.Layer):
    """Score the vocabulary at the masked positions; shares the word embeddings.

    Makes logits [B, P, V] of vectors [B, P, H]: a dense layer to width E, activation,
    normalisation, then the product with the table of word embeddings [V, E], and a bias.
    """

    def __init__(self, config: AlbertConfig) -> None:
        """Make the transform and its normalisation, not built."""
        super().__init__(name="predictions")
        self.config = config
        self.transform = dense(config, config.embedding_size, "dense")
        self.activation = hidden_activation(config)
        self.norm = layer_norm()

    def build(self, input_shape: Any = None) -> None:
        """Build the transform H to E, its normalisation, and the output bias [V]."""
        c = self.config
        build_in_scope("transform", self.transform, (None, None, c.hidden_size))
        build_in_scope("transform", self.norm, (None, None, c.embedding_size))
        # Not in the scope `transform`: the original's name is cls/predictions/output_bias.
        self.output_bias = self.add_weight(
            name="output_bias", shape=(c.vocab_size,), initializer="zeros"
        )

    def call(self, masked_BPH: Any, word_embeddings_VE: Any) -> Any:
        """Return logits [B, P, V] for the outputs at the masked positions.

        Args:
            masked_BPH: The encoder's outputs at the masked positions.
            word_embeddings_VE: The encoder's word embeddings, by which the logits are scored; a
                bias for each token is added.
        """
        # The normalisation after the activation: so it is in get_masked_lm_output.
        transformed_BPE = self.norm(self.activation(self.transform(masked_BPH)))
        # The embeddings are the output layer, too: their gradient is the sum of both uses.
        table_VE = ops.cast(word_embeddings_VE, transformed_BPE.dtype)
        logits_BPV = ops.matmul(transformed_BPE, ops.transpose(table_VE))
        return logits_BPV + ops.cast(self.output_bias, logits_BPV.dtype)


class SentenceOrderHead(keras.layers.Layer):
    """Score `in order` (0) and `swapped` (1) from the pooled output.

    Makes logits [B, 2] of vectors [B, H].
    """

    def __init__(self, config: AlbertConfig) -> None:
        super().__init__(name="seq_relationship")
        self.config = config

    def build(self, input_shape: Any = None) -> None:
        """Make the weights [2, H] and the bias [2]."""
        add_output_layer(self, self.config, 2)

    def call(self, pooled_BH: Any) -> Any:
        """Return logits [B, 2]."""
        return apply_output_layer(self, pooled_BH)


# Checkpoints number the variables of these means: in another order, an interval that is continued
# would have wrong means.
METRIC_NAMES = (
    "masked_lm_accuracy",
    "masked_lm_loss",
    "sentence_order_accuracy",
    "sentence_order_loss",
)


class PretrainingModel(GradientAccumulationModel):
    """Base of the pretraining models: the loss of a batch, and the means of its metrics.

    Inputs and targets are those of `records.batch`. Subclasses add heads, `call`, `batch_losses`
    and `metric_values`, make `means` and build all variables.

    Attributes:
        config: The architecture.
        bert: Its encoder.
        sentence_order_weight: What the sentence-order loss is multiplied by in the sum.
        metric_names: Metrics of training and evaluation, each a mean.
        evaluation_names: Metrics of an evaluation alone, whose number of values differs by batch.
        means: The means of `metric_names`, by name.
    """

    config: AlbertConfig
    bert: AlbertEncoder
    sentence_order_weight: float
    metric_names: tuple[str, ...]
    evaluation_names: tuple[str, ...] = ()
    means: dict[str, keras.metrics.Mean]

    def set_depth(self, num_hidden_layers: int) -> None:
        """Set how often the encoder applies its shared layers, as `AlbertEncoder.set_depth` does.

        Steps that are compiled already keep their number.

        Raises:
            InputError: The number is below 1, or uses other groups than the present one does.
        """
        self.bert.set_depth(num_hidden_layers)

    def batch_totals(
        self, inputs: Tensors, targets: Tensors, sample_weight: Any = None
    ) -> dict[str, Any]:
        """Return the numbers that the losses of a batch are divided by, float32.

        Returns:
            `num_predictions`, the sum of `masked_lm_weights`, and `num_sequences`, B. Inputs and
            `sample_weight` are not used.
        """
        weights_BP = ops.cast(targets["masked_lm_weights"], "float32")
        num_sequences = ops.cast(ops.shape(weights_BP)[0], "float32")
        return {"num_predictions": ops.sum(weights_BP), "num_sequences": num_sequences}

    def batch_losses(self, inputs: Tensors, targets: Tensors, outputs: Tensors) -> dict[str, Any]:
        """Return the losses of a batch by name; the one called `loss` is minimised.

        Subclasses must define it.

        Args:
            inputs: As `call` takes them.
            targets: As `records.batch` makes them; while training, also what `batch_totals`
                returned for the whole batch, by which the losses of a micro-batch are divided.
            outputs: Outputs of `call`.
        """
        raise NotImplementedError

    def metric_values(
        self, inputs: Tensors, targets: Tensors, outputs: Tensors, losses: Tensors
    ) -> dict[str, tuple[Any, Any]]:
        """Return the values that the metrics are means of, each with its weights or None.

        Subclasses must define it, for `metric_names` and `evaluation_names`.

        Args:
            inputs: As `call` takes them.
            targets: As `records.batch` makes them; while training, also what `batch_totals`
                returned for the whole batch, by which the losses of a micro-batch are divided.
            outputs: Outputs of `call`.
            losses: What `batch_losses` returned for these.
        """
        raise NotImplementedError

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> Any:
        """Return the loss of a batch, and update the means of `metric_names`.

        Args:
            x: Inputs.
            y: Targets; while training, also what `batch_totals` returned for the whole batch.
            y_pred: Outputs of `call`.
            sample_weight: Not used: `masked_lm_weights` among the targets weigh the predictions.
            training: Not used.
        """
        # Not in `compute_metrics`: Keras calls it once a step, without micro-batches' outputs.
        losses = self.batch_losses(x, y, y_pred)
        values = self.metric_values(x, y, y_pred, losses)
        for name in self.metric_names:
            value, weights = values[name]
            self.means[name].update_state(value, sample_weight=weights)
        return losses["loss"]

    def compute_metrics(
        self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None
    ) -> dict[str, Any]:
        """Return the metrics that `compute_loss` has updated; no argument is used."""
        return self.get_metrics_result()


@keras.saving.register_keras_serializable(PACKAGE)
class AlbertForPreTraining(ConfigSerializable, PretrainingModel):
    """ALBERT with both pretraining heads; `fit` minimises the weighted sum of their losses.

    Inputs are a dict of `input_ids`, `input_mask`, `segment_ids` [B, S] and
    `masked_lm_positions` [B, P]; targets are `masked_lm_ids`, `masked_lm_weights` [B, P] and
    `sentence_order_labels` [B]. Evaluation reports the original's metrics.

    Args:
        config: The architecture.
        rematerialize: Whether the encoder computes intermediate values again for the gradient
            instead of keeping them.
        num_micro_batches: Number of micro-batches that a batch is cut into while training.
        sentence_order_weight: What the sentence-order loss is multiplied by in the sum.
    """

    metric_names = METRIC_NAMES

    def __init__(
        self,
        config: AlbertConfig,
        *,
        rematerialize: bool = False,
        num_micro_batches: int = 1,
        sentence_order_weight: float = 1.0,
    ) -> None:
        """Make encoder, both heads and the means of the metrics, and build all variables."""
        super().__init__()
        self.config = config
        self.num_micro_batches = num_micro_batches
        self.sentence_order_weight = sentence_order_weight
        self.bert = AlbertEncoder(config, rematerialize=rematerialize)
        self.masked_lm = MaskedLmHead(config)
        self.sentence_order = SentenceOrderHead(config)
        self.means = {name: keras.metrics.Mean(name=name) for name in METRIC_NAMES}
        self.build()

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the model as JSON holds them."""
        return {
            **super().get_config(),
            "rematerialize": self.bert.rematerialize,
            "num_micro_batches": self.num_micro_batches,
            "sentence_order_weight": self.sentence_order_weight,
        }

    def build(self, input_shape: Any = None) -> None:
        """Create all variables of encoder and heads, under the original's names.

        `__init__` calls it, so that nobody else has to. Keras refuses a second call, which would
        add variables to layers that are built (ValueError).

        Args:
            input_shape: Not used: the architecture decides all shapes.
        """
        # Not at the first call: then paths would follow the calls, not the original's names.
        self.bert.build()
        build_in_scope("cls", self.masked_lm, None)
        build_in_scope("cls", self.sentence_order, None)
        self.built = True

    def call(self, inputs: Tensors, training: bool | None = None) -> dict[str, Any]:
        """Return `masked_lm_logits` [B, P, V], `sentence_order_logits` [B, 2], and encoder outputs.

        `sequence_output` of the encoder is [B, S, H], but while training [B, P, H]: only the masked
        positions. `input_mask`, `segment_ids` and `position_offsets` [B] may be missing from the
        inputs; then the encoder's defaults hold.

        Raises:
            InputError: The sequence is too long, or an id or a masked position is out of range (not
                checked inside a compiled step).
        """
        positions_BP = inputs["masked_lm_positions"]
        length = inputs["input_ids"].shape[1]
        # `select_positions` would give zeros for a position outside, which nobody would notice.
        check_range("masked_lm_positions", positions_BP, "sequence length", length)
        outputs = self.bert(
            inputs["input_ids"],
            input_mask=inputs.get("input_mask"),
            segment_ids=inputs.get("segment_ids"),
            # Evaluation and exports compute every position: callers read `sequence_output`.
            output_positions=positions_BP if training else None,
            position_offsets=inputs.get("position_offsets"),
            training=training,
        )
        masked_BPH = outputs["sequence_output"]
        if not training:
            masked_BPH = select_positions(masked_BPH, positions_BP)
        logits_BPV = self.masked_lm(
            masked_BPH, word_embeddings_VE=self.bert.embeddings.word_embeddings
        )
        return {
            **outputs,
            "masked_lm_logits": logits_BPV,
            "sentence_order_logits": self.sentence_order(outputs["pooled_output"]),
        }

    def batch_losses(self, inputs: Tensors, targets: Tensors, outputs: Tensors) -> dict[str, Any]:
        """Return what `pretraining_losses` does: the losses of both heads, and their sum as `loss`.

        In the sum that of sentence order is multiplied by `sentence_order_weight`. The inputs are
        not used.
        """
        return pretraining_losses(targets, outputs, self.sentence_order_weight)

    def metric_values(
        self, inputs: Tensors, targets: Tensors, outputs: Tensors, losses: Tensors
    ) -> dict[str, tuple[Any, Any]]:
        """Return what `pretraining_values` does: accuracy and loss of both heads, by metric.

        Each is a pair of values and their weights, None without weights. The inputs are not used.
        """
        return pretraining_values(targets, outputs, losses)


def pretraining_losses(
    targets: Tensors, outputs: Tensors, sentence_order_weight: float = 1.0
) -> dict[str, Any]:
    """Return the original's losses, in float32.

    Args:
        targets: `masked_lm_ids`, `masked_lm_weights` [B, P], `sentence_order_labels` [B]; and for
            a micro-batch the whole batch's `num_predictions` and `num_sequences`.
        outputs: `masked_lm_logits` [B, P, V], `sentence_order_logits` [B, 2].
        sentence_order_weight: What the sentence-order loss is multiplied by in the sum; 1 in the
            original.

    Returns:
        `masked_lm_example_loss` [B, P] (unweighted), `masked_lm_loss`, their weighted mean over
        the batch (1e-5 is added to the total weight, so that it may be 0);
        `sentence_order_example_loss` [B], `sentence_order_loss`, both without the weight; `loss`,
        the weighted sum. For a micro-batch, its contributions to the means over the
        whole batch.
    """
    masked_lm_example_loss_BP = cross_entropy(targets["masked_lm_ids"], outputs["masked_lm_logits"])
    weights_BP = ops.cast(targets["masked_lm_weights"], "float32")
    # The total of the whole batch, if given: micro-batches and replicas then add up to its loss.
    num_predictions = targets.get("num_predictions", ops.sum(weights_BP)) + SMALLEST_TOTAL
    masked_lm_loss = ops.sum(weights_BP * masked_lm_example_loss_BP) / num_predictions
    sentence_order_example_loss_B = cross_entropy(
        targets["sentence_order_labels"], outputs["sentence_order_logits"]
    )
    num_sequences = targets.get("num_sequences", sentence_order_example_loss_B.shape[0])
    sentence_order_loss = ops.sum(sentence_order_example_loss_B) / num_sequences
    return {
        "masked_lm_example_loss": masked_lm_example_loss_BP,
        "masked_lm_loss": masked_lm_loss,
        "sentence_order_example_loss": sentence_order_example_loss_B,
        "sentence_order_loss": sentence_order_loss,
        "loss": masked_lm_loss + sentence_order_weight * sentence_order_loss,
    }


def pretraining_values(
    targets: Tensors, outputs: Tensors, losses: Tensors
) -> dict[str, tuple[Any, Any]]:
    """Return the values that the metrics of `METRIC_NAMES` are means of, with weights or None.

    Args:
        targets: `masked_lm_ids`, `masked_lm_weights` [B, P], `sentence_order_labels` [B].
        outputs: `masked_lm_logits` [B, P, V], `sentence_order_logits` [B, 2].
        losses: What `pretraining_losses` returned for these.

    Returns:
        Values and weights [B, P] of masked LM, values [B] of sentence order; for an accuracy the
        value is 1 where the prediction is right and 0 where it is wrong.
    """
    weights_BP, labels_B = targets["masked_lm_weights"], targets["sentence_order_labels"]
    hits_BP = ops.equal(most_likely_class(outputs["masked_lm_logits"]), targets["masked_lm_ids"])
    hits_B = ops.equal(most_likely_class(outputs["sentence_order_logits"]), labels_B)
    return {
        "masked_lm_accuracy": (ops.cast(hits_BP, "float32"), weights_BP),
        "masked_lm_loss": (losses["masked_lm_example_loss"], weights_BP),
        "sentence_order_accuracy": (ops.cast(hits_B, "float32"), None),
        "sentence_order_loss": (losses["sentence_order_example_loss"], None),
    }
