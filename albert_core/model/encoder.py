"""Embeddings, shared encoder and pooler of ALBERT.

Shape suffixes: B batch, S sequence, Q queries, P predictions, H hidden, N heads, D head size,
E embedding, T segment types, I intermediate.

Layers are named and nested so that a variable's path is its name in the original's checkpoints,
`bert/encoder/transformer/group_0/inner_group_0/attention_1/self/query/kernel` and so on.
Source: modeling.py of google-research/albert; Lan et al. 2020, section 3.
"""

import collections
import contextlib
import functools
import itertools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import keras
from keras import ops

from albert_core.config import AlbertConfig
from albert_core.errors import InputError
from albert_core.model.layers import (
    build_under,
    cast_once,
    check_range,
    dense,
    hidden_activation,
    initializer,
    kept,
    layer_norm,
)

IS_JAX = keras.backend.backend() == "jax"
_MASKED_SCORE = -10000.0  # added to the attention scores of masked positions, as in the original


class Visible(NamedTuple):
    """Which positions may be attended to.

    Attributes:
        bias: [B, 1, 1, S], added to the attention scores.
        lengths: int [B], how many positions those are, where they are the first of a sequence.
    """

    bias: Any
    lengths: Any = None


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

    def call(
        self, queries_BQH: Any, x_BSH: Any, visible: Visible, training: bool | None = None
    ) -> Any:
        """Return what each of Q positions attends to [B, Q, H]."""
        c = self.config
        q_BQND, k_BSND, v_BSND = (
            ops.reshape(
                kept(projection(inputs)),
                (-1, ops.shape(inputs)[1], c.num_attention_heads, c.head_size),
            )
            for projection, inputs in (
                (self.query, queries_BQH),
                (self.key, x_BSH),
                (self.value, x_BSH),
            )
        )
        has_dropout = training and c.attention_probs_dropout_prob > 0
        if IS_JAX and not has_dropout:
            from albert_core.model.attention_jax import attend

            context_BQND = attend(q_BQND, k_BSND, v_BSND, *visible)
        else:
            context_BQND = self._attend(q_BQND, k_BSND, v_BSND, visible.bias, training)
        return ops.reshape(context_BQND, ops.shape(queries_BQH))

    def _attend(
        self, q_BQND: Any, k_BSND: Any, v_BSND: Any, bias_B11S: Any, training: bool | None
    ) -> Any:
        """Attend in batched matrix products, with dropout on the probabilities."""
        scaled_BQND = q_BQND * self.config.head_size**-0.5
        scores_BNQS = ops.matmul(_by_head(scaled_BQND), ops.transpose(k_BSND, (0, 2, 3, 1)))
        probabilities_BNQS = ops.softmax(scores_BNQS + bias_B11S, axis=-1)
        dropped_BNQS = self.dropout(probabilities_BNQS, training=training)
        return _by_head(ops.matmul(dropped_BNQS, _by_head(v_BSND)))


def _is_compiled_by_jax(x: Any) -> bool:
    if not IS_JAX:
        return False
    import jax

    return isinstance(x, jax.core.Tracer)


def select_positions(x_BSH: Any, positions_BP: Any) -> Any:
    """Return the rows of some positions: [B, S, H] and int [B, P] to [B, P, H].

    A matrix product with ones and zeros: exact, and unlike a gather it has a gradient that
    accelerators and batches spread over devices take in their stride.
    """
    length = ops.shape(x_BSH)[1]
    return ops.matmul(ops.one_hot(positions_BP, length, dtype=x_BSH.dtype), x_BSH)


def _by_head(tensor: Any) -> Any:
    """Exchange the second and third axes: [B, S, N, D] to [B, N, S, D], and back."""
    return ops.transpose(tensor, (0, 2, 1, 3))


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

    @property
    def dense_layers(self) -> tuple[keras.layers.Dense, ...]:
        """The layers with most of the weights."""
        projections = (self.attention.query, self.attention.key, self.attention.value)
        return (*projections, self.attention_output, self.intermediate, self.output_projection)

    def call(
        self,
        x_BSH: Any,
        visible: Visible,
        positions_BQ: Any = None,
        training: bool | None = None,
    ) -> Any:
        """Return the block's output [B, S, H], or that of the given positions alone [B, Q, H]."""
        queries_BQH = x_BSH if positions_BQ is None else select_positions(x_BSH, positions_BQ)
        context_BQH = self.attention(queries_BQH, x_BSH=x_BSH, visible=visible, training=training)
        attended_BQH = self.attention_output(context_BQH)
        summed_BQH = queries_BQH + self.dropout(attended_BQH, training=training)
        x_BQH = self.attention_norm(kept(summed_BQH))
        wide_BQI = self.activation(self.intermediate(x_BQH), training=training)
        narrow_BQH = self.output_projection(kept(wide_BQI))
        return self.output_norm(kept(x_BQH + self.dropout(narrow_BQH, training=training)))


class AlbertEncoder(keras.layers.Layer):
    """Embeddings, the shared layers applied over and over, and the pooler.

    On JAX the shared layers are one compiled body in a loop, without dropout: compiled in a
    fraction of the time that copies of it take, and as fast.

    Args:
        config: The architecture.
        rematerialize: Whether a layer's intermediate values are computed again for the gradient
            instead of kept: a third more work, memory for one layer instead of all.
    """

    def __init__(self, config: AlbertConfig, *, rematerialize: bool = False) -> None:
        super().__init__(name="bert")
        self.config = config
        self.rematerialize = rematerialize
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
        output_positions: Any = None,
        return_all_layers: bool = False,
        training: bool | None = None,
    ) -> dict[str, Any]:
        """Encode a batch.

        Args:
            input_ids: int [B, S], piece ids.
            input_mask: int [B, S], 1 where a position may be attended to; all when None. To train
                with JAX on an NVIDIA GPU in bfloat16, the ones come first; the output is NaN where
                they do not.
            segment_ids: int [B, S], segment of each position; all 0 when None.
            output_positions: int [B, P], positions whose output is needed; all when None. The last
                layer then computes those and [CLS] only, with the same result.
            return_all_layers: Whether `all_layer_outputs` is returned, too.
            training: Whether dropout is on.

        Returns:
            `sequence_output` [B, S, H], or [B, P, H] for the given positions; `pooled_output`
            [B, H]; and on demand `all_layer_outputs`, a list with the output [B, S, H] of every
            block application.
        """
        input_mask = ops.ones_like(input_ids) if input_mask is None else input_mask
        segment_ids = ops.zeros_like(input_ids) if segment_ids is None else segment_ids
        x = self.embeddings(input_ids, segments_BS=segment_ids, training=training)
        hidden_BS = 1.0 - ops.cast(input_mask, x.dtype)
        visible = Visible(ops.expand_dims(hidden_BS, (1, 2)) * _MASKED_SCORE)
        if IS_JAX and training:
            from albert_core.model.attention_jax import lengths_of

            lengths_B, x = lengths_of(input_mask, x)
            visible = visible._replace(lengths=lengths_B)
        if self.projection is not None:
            x = self.projection(x)
        if return_all_layers:
            outputs = self._every_output(x, visible, training)
            x = outputs[-1]
            more = {"all_layer_outputs": outputs}
        else:
            with self._weights_cast_once(training):
                x, more = self._last_output(x, visible, output_positions, training), {}
        first = int(output_positions is not None)
        return {"sequence_output": x[:, first:], "pooled_output": self.pooler(x[:, 0]), **more}

    def _blocks_by_layer(self) -> list[list[Block]]:
        """Return the blocks of each layer in the order they are applied."""
        c = self.config
        return [
            self.groups[layer * c.num_hidden_groups // c.num_hidden_layers]
            for layer in range(c.num_hidden_layers)
        ]

    def _weights_cast_once(self, training: bool | None) -> contextlib.AbstractContextManager[Any]:
        if not training or self.rematerialize:
            return contextlib.nullcontext()
        uses = collections.Counter(itertools.chain.from_iterable(self._blocks_by_layer()))
        layers = ((layer, times) for block, times in uses.items() for layer in block.dense_layers)
        return cast_once(dict(layers))

    def _every_output(self, x: Any, visible: Visible, training: bool | None) -> list[Any]:
        outputs = []
        for block in itertools.chain.from_iterable(self._blocks_by_layer()):
            x = block(x, visible=visible, training=training)
            outputs.append(x)
        return outputs

    def _last_output(
        self, x: Any, visible: Visible, output_positions: Any, training: bool | None
    ) -> Any:
        """Return the output of the last layer: [B, S, H], or [B, 1 + P, H] with [CLS] first."""

        def apply(blocks: Sequence[Block], x: Any, *visible: Any) -> Any:
            for block in blocks:
                x = block(x, visible=Visible(*visible), training=training)
            return x

        def rematerialized(function: Callable[..., Any]) -> Callable[..., Any]:
            return keras.remat(function) if self.rematerialize and training else function

        tensors = tuple(tensor for tensor in visible if tensor is not None)
        *layers, last_layer = self._blocks_by_layer()
        has_dropout = training and self.config.has_dropout
        if _is_compiled_by_jax(x) and self.config.num_hidden_groups == 1 and not has_dropout:
            from albert_core.model.loop_jax import applied

            x = applied(
                lambda x: apply(last_layer, x, *tensors),
                x,
                len(layers),
                rematerialize=self.rematerialize,
            )
        else:
            for blocks in layers:
                x = rematerialized(functools.partial(apply, blocks))(x, *tensors)
        *blocks, last_block = last_layer
        x = apply(blocks, x, *tensors)
        if output_positions is not None:
            output_positions = ops.pad(output_positions, ((0, 0), (1, 0)))
        return last_block(x, visible=visible, positions_BQ=output_positions, training=training)
