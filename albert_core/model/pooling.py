"""Heads that pool all tokens of a text, in place of the original's pooler over [CLS].

Each is a layer of an output layer's variables, and is named as in `albert_core.pooling`, so that
the names of a checkpoint's variables tell which head it has. They compute in float32.

Shape suffixes: B batch, C outputs, E embedding, F features, H hidden, L layers, N sequences
(2 B, in pairs), S sequence.
"""

import abc
from typing import Any

import keras
from keras import ops

from albert_core.config import AlbertConfig
from albert_core.model.encoder import AlbertEncoder
from albert_core.model.layers import add_output_layer, apply_output_layer
from albert_core.pooling import HeadPooling

_SMALLEST_VARIANCE = 1e-6  # a text without tokens has means of 0, whose variance is 0
# The optimizer moves all weights equally fast: a cosine alone among thousands of features would
# count for little until late.
_COSINE_FACTOR = 5.0


class PoolingHead(keras.layers.Layer, abc.ABC):
    """Base of the heads: an output layer on the features that a subclass makes of the tokens.

    Args:
        config: The architecture.
        num_outputs: Number of outputs C.

    Attributes:
        pooling: Name of the way to make them; subclasses must set it.
        starts_from_zero: Whether the output layer's weights begin as 0 and are not drawn.
    """

    pooling: HeadPooling
    starts_from_zero = False

    def __init__(self, config: AlbertConfig, num_outputs: int) -> None:
        """Make the layer, named after its pooling; it is not built yet."""
        super().__init__(name=self.pooling, dtype="float32")
        self.config, self.num_outputs = config, num_outputs

    @property
    def num_features(self) -> int:
        """Number of features F."""
        return self.config.hidden_size

    def build(self, input_shape: Any = None) -> None:
        """Make the output layer's weights [C, F] and its bias [C]; `input_shape` is not used.

        The weights are drawn, or 0 for heads that start from zero; the bias is 0.
        """
        add_output_layer(
            self,
            self.config,
            self.num_outputs,
            num_inputs=self.num_features,
            starts_from_zero=self.starts_from_zero,
        )

    def call(self, features_BF: Any) -> Any:
        """Return the outputs [B, C]."""
        return apply_output_layer(self, features_BF)

    @abc.abstractmethod
    def features(
        self, encoder: AlbertEncoder, ids: Any, mask: Any, segments: Any, training: bool | None
    ) -> Any:
        """Return the features of texts, float32 [B, F].

        Args:
            encoder: The model's encoder.
            ids: Token ids [B, S], or [N, S] for texts that are encoded separately, as in the next
                two arguments.
            mask: 1 where there is a token.
            segments: Segment of each token.
            training: Whether dropout is on.
        """


class MeanHead(PoolingHead):
    """Reads the mean of the last layer's tokens, [CLS] and [SEP] among them."""

    pooling = "mean"

    def features(
        self, encoder: AlbertEncoder, ids: Any, mask: Any, segments: Any, training: bool | None
    ) -> Any:
        """Return the mean of the last layer's outputs over all tokens but padding [B, H]."""
        outputs = encoder(ids, input_mask=mask, segment_ids=segments, training=training)
        return mean_of_tokens(outputs["sequence_output"], mask)


class LayerMixHead(PoolingHead):
    """Reads a weighted sum of the means of all layers, with weights that are learned.

    The weights are a softmax, as in Peters et al. 2018, section 3.2; at first they are equal.
    """

    pooling = "layer_mix"

    def build(self, input_shape: Any = None) -> None:
        """Make the output layer, and the logits of the blocks' weights [L], which are 0 at first.

        L is the number of block applications; `input_shape` is not used.
        """
        super().build(input_shape)
        num_blocks = self.config.num_hidden_layers * self.config.inner_group_num
        self.layer_logits = self.add_weight(
            name="layer_logits", shape=(num_blocks,), initializer="zeros", autocast=False
        )

    def features(
        self, encoder: AlbertEncoder, ids: Any, mask: Any, segments: Any, training: bool | None
    ) -> Any:
        """Return a learned mix of the means of all blocks' outputs [B, H].

        The mean of each block is over the tokens that are no padding; the weights of the blocks are
        a softmax of `layer_logits`.
        """
        outputs = encoder(
            ids,
            input_mask=mask,
            segment_ids=segments,
            return_all_layers=True,
            training=training,
        )
        # A softmax, written out: Keras warns of one over a single layer.
        weights_L = ops.exp(self.layer_logits - ops.logsumexp(self.layer_logits))
        means_LBH = ops.stack(
            [mean_of_tokens(output, mask) for output in outputs["all_layer_outputs"]]
        )
        return ops.einsum("l,lbh->bh", weights_L, means_LBH)


class SiameseHead(PoolingHead):
    """Compares two texts that were encoded separately, as Reimers and Gurevych 2019 do.

    The features are |a - b|, a * b and the cosine, of the standardised means of the last layer and
    of the word embeddings. Its weights begin at zero: what the encoder learned is not disturbed by
    the first steps.
    """

    pooling = "siamese"
    starts_from_zero = True

    @property
    def num_features(self) -> int:
        """Number of features F."""
        return 2 * (self.config.hidden_size + 1) + 2 * self.config.embedding_size

    def features(
        self, encoder: AlbertEncoder, ids: Any, mask: Any, segments: Any, training: bool | None
    ) -> Any:
        """Return the comparison of each pair of sequences: [N, S] to [B, F].

        Texts 2 k and 2 k + 1 are a pair. Compared are the standardized means of the last layer's
        tokens and, beside them, of the word embeddings. [CLS] and [SEP] do not count in the means.
        """
        outputs = encoder(ids, input_mask=mask, segment_ids=segments, training=training)
        words_NSE = encoder.embeddings.embed_words(ids)
        inner_NS = without_ends(mask)
        comparisons = []
        for tokens in (outputs["sequence_output"], words_NSE):
            means = standardized(mean_of_tokens(tokens, inner_NS))
            comparisons.append(compare(means[0::2], means[1::2]))
        return ops.concatenate(comparisons, axis=-1)


_HEADS: dict[HeadPooling, type[PoolingHead]] = {
    head.pooling: head for head in (MeanHead, LayerMixHead, SiameseHead)
}


def new_pooling_head(
    pooling: HeadPooling, config: AlbertConfig, num_outputs: int
) -> PoolingHead | None:
    """Return a head, not built; None for `pooler`, whose output layer is the model's own."""
    return None if pooling == "pooler" else _HEADS[pooling](config, num_outputs)


def mean_of_tokens(tokens: Any, mask: Any) -> Any:
    """Return the mean over the tokens of a mask, float32: [B, S, H] and [B, S] to [B, H].

    Without any token it is 0.
    """
    weights_BS = ops.cast(mask, "float32")
    total = ops.einsum("bs,bsh->bh", weights_BS, ops.cast(tokens, "float32"))
    return total / ops.maximum(ops.sum(weights_BS, axis=1, keepdims=True), 1.0)


def without_ends(mask_BS: Any) -> Any:
    """Return a mask without its first and its last one, those of [CLS] and [SEP].

    In each row the ones must come before the zeros (not checked). The shape stays; a text of two
    tokens or fewer has nothing left.
    """
    # What has a token behind it, but for the first: no position needs to be computed.
    return ops.pad(mask_BS[:, 2:], ((0, 0), (1, 1)))


def standardized(x: Any) -> Any:
    """Return vectors with mean 0 and variance 1 over their last axis; equal values become zeros."""
    centered = x - ops.mean(x, axis=-1, keepdims=True)
    variance = ops.mean(ops.square(centered), axis=-1, keepdims=True)
    return centered / ops.sqrt(variance + _SMALLEST_VARIANCE)


def compare(a: Any, b: Any) -> Any:
    """Return |a - b|, a * b and five times the cosine of standardised vectors: [B, H] to [B, 2H+1].

    Both must be standardised before, as by `standardized` (not checked): the mean of a * b is taken
    for the cosine.
    """
    product = a * b
    cosine = ops.mean(product, axis=-1, keepdims=True)
    return ops.concatenate([ops.abs(a - b), product, _COSINE_FACTOR * cosine], axis=-1)
