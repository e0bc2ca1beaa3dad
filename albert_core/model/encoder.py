"""Embeddings, shared encoder and pooler of ALBERT.

Shape suffixes: B batch, S sequence, H hidden, N heads, D head size, E embedding, T segment
types, I intermediate.

Layers are named and nested so that a variable's path is its name in the original's checkpoints,
`bert/encoder/transformer/group_0/inner_group_0/attention_1/self/query/kernel` and so on.
Source: modeling.py of google-research/albert; Lan et al. 2020, section 3.
"""

from typing import Any

import keras
from keras import ops

from albert_core.config import AlbertConfig
from albert_core.errors import InputError
from albert_core.model.layers import (
    build_under,
    check_range,
    dense,
    hidden_activation,
    initializer,
    layer_norm,
)

_MASKED_SCORE = -10000.0  # added to the attention scores of masked positions, as in the original


class Embeddings(keras.layers.Layer):
    """Word, segment and position embeddings, all E wide: [B, S] ids to [B, S, E]."""

    def __init__(self, config: AlbertConfig) -> None:
        super().__init__(name="embeddings")
        self.config = config
        self.norm = layer_norm()
        self.dropout = keras.layers.Dropout(config.hidden_dropout_prob)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Make the three tables [V, E], [T, E], [max positions, E]."""
        c = self.config
        tables = {
            "word_embeddings": c.vocab_size,
            "token_type_embeddings": c.type_vocab_size,
            "position_embeddings": c.max_position_embeddings,
        }
        for name, rows in tables.items():
            shape = (rows, c.embedding_size)
            weight = self.add_weight(name=name, shape=shape, initializer=initializer(c))
            setattr(self, name, weight)
        self.norm.build((*input_shape, c.embedding_size))

    def call(self, ids_BS: Any, segments_BS: Any, training: bool | None = None) -> Any:
        """Return the normalised sum of the three embeddings [B, S, E]."""
        self._check(ids_BS, segments_BS)
        words_BSE = ops.take(self.word_embeddings, ids_BS, axis=0)
        types_BST = ops.one_hot(segments_BS, self.config.type_vocab_size, dtype=words_BSE.dtype)
        types_BSE = ops.matmul(types_BST, ops.cast(self.token_type_embeddings, words_BSE.dtype))
        positions_SE = self.position_embeddings[: ops.shape(ids_BS)[1]]
        summed_BSE = words_BSE + types_BSE + ops.cast(positions_SE, words_BSE.dtype)
        return self.dropout(self.norm(summed_BSE), training=training)

    def _check(self, ids_BS: Any, segments_BS: Any) -> None:
        c = self.config
        length = ids_BS.shape[1]
        if length is not None and length > c.max_position_embeddings:
            raise InputError(
                f"sequence length: got {length}, expected at most max_position_embeddings="
                f"{c.max_position_embeddings}"
            )
        check_range("input_ids", ids_BS, "vocab_size", c.vocab_size)
        check_range("segment_ids", segments_BS, "type_vocab_size", c.type_vocab_size)


class SelfAttention(keras.layers.Layer):
    """Multi-head scaled dot-product attention of [B, S, H] on itself."""

    def __init__(self, config: AlbertConfig) -> None:
        super().__init__(name="self")
        self.config = config
        for name in ("query", "key", "value"):
            setattr(self, name, dense(config, config.hidden_size, name))
        self.dropout = keras.layers.Dropout(config.attention_probs_dropout_prob)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Build the three projections [H, H]."""
        for projection in (self.query, self.key, self.value):
            projection.build(input_shape)

    def call(self, x_BSH: Any, bias_B11S: Any, training: bool | None = None) -> Any:
        """Return the attended values [B, S, H]; `bias_B11S` is added to the scores."""
        c = self.config
        heads = (-1, ops.shape(x_BSH)[1], c.num_attention_heads, c.head_size)
        q_BSND, k_BSND, v_BSND = (
            ops.reshape(projection(x_BSH), heads)
            for projection in (self.query, self.key, self.value)
        )
        if training and c.attention_probs_dropout_prob:
            context_BSND = self._with_dropout(q_BSND, k_BSND, v_BSND, bias_B11S)
        else:
            context_BSND = ops.dot_product_attention(q_BSND, k_BSND, v_BSND, bias=bias_B11S)
        return ops.reshape(context_BSND, ops.shape(x_BSH))

    def _with_dropout(self, q_BSND: Any, k_BSND: Any, v_BSND: Any, bias_B11S: Any) -> Any:
        """Attend with dropout on the probabilities, which the fused operation does not offer."""
        scores_BNSS = ops.einsum("bqnd,bknd->bnqk", q_BSND, k_BSND) * self.config.head_size**-0.5
        probabilities_BNSS = ops.softmax(scores_BNSS + bias_B11S, axis=-1)
        dropped_BNSS = self.dropout(probabilities_BNSS, training=True)
        return ops.einsum("bnqk,bknd->bqnd", dropped_BNSS, v_BSND)


class Block(keras.layers.Layer):
    """Attention and feed-forward of one inner group, each with a residual and post-norm."""

    def __init__(self, config: AlbertConfig, index: int) -> None:
        super().__init__(name=f"inner_group_{index}")
        self.config = config
        self.attention = SelfAttention(config)
        self.attention_output = dense(config, config.hidden_size, "dense")
        self.attention_norm = layer_norm()
        self.intermediate = dense(config, config.intermediate_size, "dense")
        self.output_projection = dense(config, config.hidden_size, "dense")
        self.output_norm = layer_norm("LayerNorm_1")
        self.dropout = keras.layers.Dropout(config.hidden_dropout_prob)
        self.activation = hidden_activation(config)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Build under the original's names."""
        wide = (*input_shape[:-1], self.config.intermediate_size)
        build_under("attention_1", self.attention, input_shape)
        build_under("attention_1/output", self.attention_output, input_shape)
        self.attention_norm.build(input_shape)
        build_under("ffn_1/intermediate", self.intermediate, input_shape)
        build_under("ffn_1/intermediate/output", self.output_projection, wide)
        self.output_norm.build(input_shape)

    def call(self, x_BSH: Any, bias_B11S: Any, training: bool | None = None) -> Any:
        """Return the block's output [B, S, H]."""
        attended_BSH = self.attention_output(
            self.attention(x_BSH, bias_B11S=bias_B11S, training=training)
        )
        x_BSH = self.attention_norm(x_BSH + self.dropout(attended_BSH, training=training))
        wide_BSI = self.activation(self.intermediate(x_BSH))
        narrow_BSH = self.output_projection(wide_BSI)
        return self.output_norm(x_BSH + self.dropout(narrow_BSH, training=training))


class AlbertEncoder(keras.layers.Layer):
    """Embeddings, the shared layers applied over and over, and the pooler.

    Args:
        config: The architecture.
    """

    def __init__(self, config: AlbertConfig) -> None:
        super().__init__(name="bert")
        self.config = config
        self.embeddings = Embeddings(config)
        self.projection = None
        if config.embedding_size != config.hidden_size:
            self.projection = dense(config, config.hidden_size, "embedding_hidden_mapping_in")
        self.groups = [
            [Block(config, inner) for inner in range(config.inner_group_num)]
            for _ in range(config.num_hidden_groups)
        ]
        self.pooler = dense(config, config.hidden_size, "dense", activation="tanh")

    def build(self, input_shape: Any = None) -> None:
        """Build under the original's names."""
        c = self.config
        self.embeddings.build((None, None))
        if self.projection is not None:
            build_under("encoder", self.projection, (None, None, c.embedding_size))
        for index, group in enumerate(self.groups):
            for block in group:
                scope = f"encoder/transformer/group_{index}"
                build_under(scope, block, (None, None, c.hidden_size))
        build_under("pooler", self.pooler, (None, c.hidden_size))

    def call(
        self,
        input_ids: Any,
        input_mask: Any = None,
        segment_ids: Any = None,
        training: bool | None = None,
    ) -> dict[str, Any]:
        """Encode a batch.

        Args:
            input_ids: int [B, S], piece ids.
            input_mask: int [B, S], 1 where a position may be attended to; all when None.
            segment_ids: int [B, S], segment of each position; all 0 when None.
            training: Whether dropout is on.

        Returns:
            `sequence_output` [B, S, H], `pooled_output` [B, H], and `all_layer_outputs`, a list
            with the output [B, S, H] of every block application.
        """
        input_mask = ops.ones_like(input_ids) if input_mask is None else input_mask
        segment_ids = ops.zeros_like(input_ids) if segment_ids is None else segment_ids
        x = self.embeddings(input_ids, segments_BS=segment_ids, training=training)
        bias_B11S = (1.0 - ops.cast(input_mask, x.dtype))[:, None, None, :] * _MASKED_SCORE
        if self.projection is not None:
            x = self.projection(x)
        outputs = []
        for layer in range(self.config.num_hidden_layers):
            group = layer * self.config.num_hidden_groups // self.config.num_hidden_layers
            for block in self.groups[group]:
                x = block(x, bias_B11S=bias_B11S, training=training)
                outputs.append(x)
        return {
            "sequence_output": x,
            "pooled_output": self.pooler(x[:, 0]),
            "all_layer_outputs": outputs,
        }
