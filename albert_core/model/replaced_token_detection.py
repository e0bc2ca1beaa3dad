"""Replaced-token detection: a small generator fills masks, ALBERT tells what it replaced.

Shape suffixes: B batch, S sequence, P predictions, H hidden, E embedding, V vocabulary.

Source: Clark et al. 2020, ELECTRA. Deviates from it: the model is an ALBERT, which also learns the
order of sentences, and the masks are those of the records.
"""

from typing import Any

import keras
from keras import ops

from albert_core.config import AlbertConfig
from albert_core.model.embeddings import Embeddings
from albert_core.model.encoder import AlbertEncoder
from albert_core.model.layers import (
    add_output_layer,
    apply_output_layer,
    build_in_scope,
    check_range,
    dense,
    hidden_activation,
)
from albert_core.model.pretraining import (
    METRIC_NAMES,
    SMALLEST_TOTAL,
    MaskedLmHead,
    PretrainingModel,
    SentenceOrderHead,
    Tensors,
    pretraining_losses,
    pretraining_values,
)
from albert_core.model.sampling import sample_tokens


class ReplacedTokenHead(keras.layers.Layer):
    """Score at every position whether the token there was replaced: a dense layer and an output.

    Makes logits [B, S], above 0 for `replaced`, of vectors [B, S, H].
    """

    def __init__(self, config: AlbertConfig) -> None:
        super().__init__(name="replaced_tokens")
        self.config = config
        self.transform = dense(config, config.hidden_size, "dense")
        self.activation = hidden_activation(config)

    def build(self, input_shape: Any = None) -> None:
        """Build the dense layer H to H, the output weights [1, H] and the bias [1]."""
        self.transform.build((None, None, self.config.hidden_size))
        add_output_layer(self, self.config, 1)

    def call(self, hidden_BSH: Any) -> Any:
        """Return logits [B, S]; above 0 for `replaced`."""
        transformed_BSH = self.activation(self.transform(hidden_BSH))
        return apply_output_layer(self, transformed_BSH)[..., 0]


class Generator(keras.layers.Layer):
    """A small encoder with the head of masked LM, on the embeddings of another encoder.

    Args:
        config: Its architecture; sizes of embeddings and vocabulary are those of the other.
        embeddings: Built embeddings of the other encoder.
        rematerialize: Whether layers are computed again for the gradient instead of kept.
    """

    def __init__(
        self, config: AlbertConfig, embeddings: Embeddings, *, rematerialize: bool
    ) -> None:
        """Make the encoder, without a pooler, and the head, not built."""
        super().__init__(name="generator")
        self.config = config
        # Nothing reads a pooled output, and a variable without a gradient cannot be trained.
        self.bert = AlbertEncoder(
            config, rematerialize=rematerialize, embeddings=embeddings, has_pooler=False
        )
        self.masked_lm = MaskedLmHead(config)

    def build(self, input_shape: Any = None) -> None:
        """Build all variables but the embeddings, under the original's names."""
        self.bert.build()
        build_in_scope("cls", self.masked_lm, None)

    def call(self, inputs: Tensors, training: bool | None = None) -> Any:
        """Return logits [B, P, V] for the masked positions.

        Args:
            inputs: `input_ids`, `input_mask`, `segment_ids` [B, S] and `masked_lm_positions` [B,
                P], all needed; on demand `position_offsets` [B].
            training: Whether dropout is on.
        """
        outputs = self.bert(
            inputs["input_ids"],
            input_mask=inputs["input_mask"],
            segment_ids=inputs["segment_ids"],
            output_positions=inputs["masked_lm_positions"],
            position_offsets=inputs.get("position_offsets"),
            training=training,
        )
        word_embeddings_VE = self.bert.embeddings.word_embeddings
        return self.masked_lm(outputs["sequence_output"], word_embeddings_VE=word_embeddings_VE)


class AlbertForReplacedTokenDetection(PretrainingModel):
    """ALBERT that detects replaced tokens, with its generator; `fit` minimises the sum of losses.

    The generator predicts the masked tokens. At their positions the text gets tokens drawn from its
    predictions; ALBERT (the discriminator) reads that text without masks, and tells at each
    position whether the token was replaced, and whether the segments are in order. No gradient goes
    through the draws. The embeddings are shared.

    Inputs are those of `AlbertForPreTraining` and, for the texts without masks, `masked_lm_ids` and
    `masked_lm_weights` [B, P] of the targets; `replacement_draws` int32 [B, P], numbers below 2**24
    that the tokens are drawn by; and on demand `position_offsets` [B]. Targets are those of
    `AlbertForPreTraining`.

    Args:
        config: The architecture of ALBERT.
        generator_config: Architecture of the generator.
        loss_weight: What the loss of the detection is multiplied by.
        rematerialize: Whether both encoders compute layers again for the gradient.
        sentence_order_weight: What the sentence-order loss is multiplied by in the sum.
    """

    metric_names = (*METRIC_NAMES, "replaced_token_accuracy", "replaced_token_loss")
    # Not while training: the log takes the means between two rows from those of an interval, which
    # needs about as many values at each step, and at first nothing is taken for replaced.
    evaluation_names = (
        "replaced_token_precision",
        "replaced_token_recall",
        "replaced_token_fraction",
        "replaced_token_predicted_fraction",
    )

    def __init__(
        self,
        config: AlbertConfig,
        generator_config: AlbertConfig,
        *,
        loss_weight: float,
        rematerialize: bool = False,
        sentence_order_weight: float = 1.0,
    ) -> None:
        """Make both encoders, all heads and the means of the metrics, and build all variables."""
        super().__init__()
        self.config, self.generator_config = config, generator_config
        self.loss_weight, self.sentence_order_weight = loss_weight, sentence_order_weight
        self.bert = AlbertEncoder(config, rematerialize=rematerialize)
        self.sentence_order = SentenceOrderHead(config)
        self.replaced_tokens = ReplacedTokenHead(config)
        self.generator = Generator(
            generator_config, self.bert.embeddings, rematerialize=rematerialize
        )
        self.means = {name: keras.metrics.Mean(name=name) for name in self.metric_names}
        self.build()

    def build(self, input_shape: Any = None) -> None:
        """Create all variables, those of the published model under the original's names.

        `__init__` calls it; Keras refuses a second call (ValueError). `input_shape` is not used.
        """
        self.bert.build()
        build_in_scope("cls", self.sentence_order, None)
        self.replaced_tokens.build()
        self.generator.build()
        self.built = True

    def call(self, inputs: Tensors, training: bool | None = None) -> dict[str, Any]:
        """Return the outputs of generator and discriminator.

        Returns:
            `masked_lm_logits` [B, P, V] of the generator; `is_replaced` [B, S], 1 where the
            discriminator's input is not the text's token; from the discriminator
            `replaced_token_logits` [B, S], `sentence_order_logits` [B, 2] and the encoder's
            outputs.

        Raises:
            InputError: The sequence is too long, or an id or a masked position is out of range (not
                checked inside a compiled step).
        """
        positions_BP = inputs["masked_lm_positions"]
        check_range(
            "masked_lm_positions", positions_BP, "sequence length", inputs["input_ids"].shape[1]
        )
        logits_BPV = self.generator(inputs, training=training)
        text_BS, corrupted_BS = replace_tokens(
            inputs, sample_tokens(ops.stop_gradient(logits_BPV), inputs["replacement_draws"])
        )
        outputs = self.bert(
            corrupted_BS,
            input_mask=inputs["input_mask"],
            segment_ids=inputs["segment_ids"],
            position_offsets=inputs.get("position_offsets"),
            training=training,
        )
        return {
            **outputs,
            "masked_lm_logits": logits_BPV,
            "sentence_order_logits": self.sentence_order(outputs["pooled_output"]),
            "replaced_token_logits": self.replaced_tokens(outputs["sequence_output"]),
            # A token that was drawn as it was is not replaced, as in ELECTRA.
            "is_replaced": ops.cast(ops.not_equal(corrupted_BS, text_BS), "int32"),
        }

    def set_depth(self, num_hidden_layers: int) -> None:
        """Apply the shared layers of both encoders so many times, from the next call on.

        Raises:
            InputError: The number is below 1, or uses other groups than the present one does.
        """
        super().set_depth(num_hidden_layers)
        self.generator.bert.set_depth(num_hidden_layers)

    def batch_totals(
        self, inputs: Tensors, targets: Tensors, sample_weight: Any = None
    ) -> dict[str, Any]:
        """Return the numbers that the losses of a batch are divided by, float32.

        Args:
            inputs: `input_mask` is read.
            targets: `masked_lm_weights` are read.
            sample_weight: Not used.

        Returns:
            `num_predictions`, the sum of `masked_lm_weights`, for masked LM; `num_sequences`, B,
            for the sentence order; and `num_tokens`, the number of positions that are no padding,
            for the detection.
        """
        num_tokens = ops.sum(ops.cast(inputs["input_mask"], "float32"))
        return {**super().batch_totals(inputs, targets), "num_tokens": num_tokens}

    def batch_losses(self, inputs: Tensors, targets: Tensors, outputs: Tensors) -> dict[str, Any]:
        """Return the losses of `replaced_token_losses`, by the weights given to `__init__`.

        Args:
            inputs: `input_mask` is read.
            targets: As `replaced_token_losses` takes them.
            outputs: Outputs of `call`.
        """
        return replaced_token_losses(
            inputs,
            targets,
            outputs,
            loss_weight=self.loss_weight,
            sentence_order_weight=self.sentence_order_weight,
        )

    def metric_values(
        self, inputs: Tensors, targets: Tensors, outputs: Tensors, losses: Tensors
    ) -> dict[str, tuple[Any, Any]]:
        """Return values and weights of each metric by its name; the metric is their weighted mean.

        For masked LM and the sentence order they are what `pretraining_values` returns; for the
        detection they are [B, S], of weight 0 for padding. The precision is the mean of what was
        replaced over the tokens predicted as replaced; the recall is the mean of the prediction
        over the tokens that were replaced.

        Args:
            inputs: `input_mask` is read.
            targets: Targets of the model.
            outputs: Outputs of `call`.
            losses: What `batch_losses` returned; `replaced_token_example_loss` is read, and what
                `pretraining_values` reads.
        """
        tokens_BS = ops.cast(inputs["input_mask"], "float32")
        replaced_BS = ops.cast(outputs["is_replaced"], "float32")
        predicted_BS = ops.cast(ops.greater(outputs["replaced_token_logits"], 0), "float32")
        return {
            **pretraining_values(targets, outputs, losses),
            "replaced_token_accuracy": (
                ops.cast(ops.equal(predicted_BS, replaced_BS), "float32"),
                tokens_BS,
            ),
            "replaced_token_loss": (losses["replaced_token_example_loss"], tokens_BS),
            "replaced_token_precision": (replaced_BS, tokens_BS * predicted_BS),
            "replaced_token_recall": (predicted_BS, tokens_BS * replaced_BS),
            "replaced_token_fraction": (replaced_BS, tokens_BS),
            "replaced_token_predicted_fraction": (predicted_BS, tokens_BS),
        }


def replace_tokens(inputs: Tensors, sampled_BP: Any) -> tuple[Any, Any]:
    """Return the texts without masks, and with other tokens at the masked positions.

    Args:
        inputs: Of `AlbertForReplacedTokenDetection`. Slots of weight 0 change nothing; if several
            slots have the same position, the last one counts.
        sampled_BP: The other tokens, int32.

    Returns:
        Token ids [B, S] of both, of the type of `input_ids`.
    """
    ids_BS, positions_BP = inputs["input_ids"], inputs["masked_lm_positions"]
    numbers_P = ops.arange(1, positions_BP.shape[1] + 1, dtype="int32")
    numbers_BP = numbers_P * ops.cast(inputs["masked_lm_weights"] > 0, "int32")
    at_position_BPS = ops.one_hot(positions_BP, ids_BS.shape[1], dtype="int32")
    # The number of each position's slot, or 0. A scatter would not be told to leave slots out, and
    # its order is open on accelerators.
    slot_BS = ops.max(at_position_BPS * numbers_BP[..., None], axis=1)
    index_BS = ops.maximum(slot_BS - 1, 0)

    def put(tokens_BP: Any) -> Any:
        tokens_BS = ops.take_along_axis(ops.cast(tokens_BP, ids_BS.dtype), index_BS, axis=1)
        return ops.where(slot_BS > 0, tokens_BS, ids_BS)

    return put(inputs["masked_lm_ids"]), put(sampled_BP)


def replaced_token_losses(
    inputs: Tensors,
    targets: Tensors,
    outputs: Tensors,
    *,
    loss_weight: float,
    sentence_order_weight: float = 1.0,
) -> dict[str, Any]:
    """Return the losses of replaced-token detection, in float32.

    Args:
        inputs: `input_mask` [B, S].
        targets: `masked_lm_ids`, `masked_lm_weights` [B, P], `sentence_order_labels` [B]; for a
            micro-batch also the whole batch's `num_predictions`, `num_sequences` and `num_tokens`.
        outputs: Of `AlbertForReplacedTokenDetection`.
        loss_weight: What the loss of the detection is multiplied by.
        sentence_order_weight: What the sentence-order loss is multiplied by.

    Returns:
        The losses of `pretraining_losses` (masked LM is the generator's);
        `replaced_token_example_loss` [B, S]; `replaced_token_loss`, its mean over all tokens except
        padding (1e-5 is added to their number); `loss`, the sum of the three with these weights.
    """
    losses = pretraining_losses(targets, outputs, sentence_order_weight)
    example_loss_BS = ops.binary_crossentropy(
        ops.cast(outputs["is_replaced"], "float32"),
        ops.cast(outputs["replaced_token_logits"], "float32"),
        from_logits=True,
    )
    weights_BS = ops.cast(inputs["input_mask"], "float32")
    num_tokens = targets.get("num_tokens", ops.sum(weights_BS)) + SMALLEST_TOTAL
    replaced_token_loss = ops.sum(weights_BS * example_loss_BS) / num_tokens
    return {
        **losses,
        "replaced_token_example_loss": example_loss_BS,
        "replaced_token_loss": replaced_token_loss,
        "loss": losses["loss"] + loss_weight * replaced_token_loss,
    }
