"""The ALBERT encoder: factorised embeddings, one group of blocks applied over and over, pooler.

Shape suffixes: B batch, S sequence, Q queries, P predictions, H hidden, E embedding,
I intermediate.

Layers are named and nested so that a variable's path is its name in the original's checkpoints,
`bert/encoder/transformer/group_0/inner_group_0/attention_1/self/query/kernel` and so on.
Source: modeling.py of google-research/albert; Lan et al. 2020, section 3.
"""

import collections
import contextlib
import functools
import itertools
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from albert_core.backends import cast_weights_once, repeat_layer, save_for_backward
from albert_core.config import AlbertConfig, refuse_redrawn_dropout
from albert_core.errors import InputError
from albert_core.model.attention import AttentionMask, SelfAttention, make_attention_mask
from albert_core.model.embeddings import Embeddings
from albert_core.model.layers import (
    build_in_scope,
    dense,
    hidden_activation,
    layer_norm,
    select_positions,
)


class Block(keras.layers.Layer):
    """A transformer block: self-attention and feed-forward, each with residual and post-norm."""

    def __init__(self, config: AlbertConfig, index: int) -> None:
        """Make the block's layers, not built; `index` is its number in its group, for its name."""
        super().__init__(name=f"inner_group_{index}")
        self.config = config

        # === Attention ===
        self.attention = SelfAttention(config)
        self.attention_output = dense(config, config.hidden_size, "dense")
        self.attention_norm = layer_norm()

        # === Feed-forward ===
        self.intermediate = dense(config, config.intermediate_size, "dense")
        self.output_projection = dense(config, config.hidden_size, "dense")
        # The original makes both norms in one scope, where TensorFlow 1 numbered the second.
        self.output_norm = layer_norm("LayerNorm_1")
        # One layer in both places: each call draws the next numbers of its generator.
        self.dropout = keras.layers.Dropout(config.hidden_dropout_prob)
        self.activation = hidden_activation(config)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Build all layers of the block under the original's names.

        Args:
            input_shape: Shape of the block's input, [..., H].
        """
        intermediate_shape = (*input_shape[:-1], self.config.intermediate_size)
        build_in_scope("attention_1", self.attention, input_shape)
        build_in_scope("attention_1/output", self.attention_output, input_shape)
        self.attention_norm.build(input_shape)
        build_in_scope("ffn_1/intermediate", self.intermediate, input_shape)
        # Within `intermediate`, odd as it looks: so the original's scopes are nested.
        build_in_scope("ffn_1/intermediate/output", self.output_projection, intermediate_shape)
        self.output_norm.build(input_shape)

    @property
    def dense_layers(self) -> tuple[keras.layers.Dense, ...]:
        """All dense layers: with them, nearly all weights of the block."""
        projections = (self.attention.query, self.attention.key, self.attention.value)
        return (*projections, self.attention_output, self.intermediate, self.output_projection)

    def call(
        self,
        x_BSH: Any,
        attention_mask: AttentionMask,
        positions_BQ: Any = None,
        training: bool | None = None,
    ) -> Any:
        """Return the block's output [B, S, H], or [B, Q, H] at some positions.

        Args:
            x_BSH: Output of the block before.
            attention_mask: Which positions may be attended to.
            positions_BQ: int [B, Q], positions to compute; they attend to all of `x_BSH`. None:
                all.
            training: Whether dropout is on.
        """
        # Not `mask`, here and in the layers below: Keras gives an argument of that name a meaning.
        # === Attention ===
        queries_BQH = x_BSH if positions_BQ is None else select_positions(x_BSH, positions_BQ)
        context_BQH = self.attention(
            queries_BQH, x_BSH=x_BSH, attention_mask=attention_mask, training=training
        )
        attended_BQH = self.attention_output(context_BQH)
        summed_BQH = queries_BQH + self.dropout(attended_BQH, training=training)
        x_BQH = self.attention_norm(save_for_backward(summed_BQH))

        # === Feed-forward ===
        wide_BQI = self.activation(self.intermediate(x_BQH), training=training)
        narrow_BQH = self.output_projection(save_for_backward(wide_BQI))
        summed_BQH = x_BQH + self.dropout(narrow_BQH, training=training)
        return self.output_norm(save_for_backward(summed_BQH))


class AlbertEncoder(keras.layers.Layer):
    """Embeddings, the shared layers applied over and over, and the pooler.

    A layer is a group of `inner_group_num` blocks; the layers are spread over
    `num_hidden_groups` groups, by `AlbertConfig.layer_groups`. Groups that no layer uses have no
    variables, as in the original. The released models have one group of one block.

    Args:
        config: The architecture.
        rematerialize: Whether a layer's intermediate values are computed again for the gradient
            instead of kept: a third more work, memory for one layer instead of all.
        embeddings: Built embeddings of another encoder, to share with it; new ones when not given.
        has_pooler: Whether there is a pooler, and so a `pooled_output`.

    Raises:
        InputError: `rematerialize` is set, and the architecture has dropout.
    """

    def __init__(
        self,
        config: AlbertConfig,
        *,
        rematerialize: bool = False,
        embeddings: Embeddings | None = None,
        has_pooler: bool = True,
    ) -> None:
        """Make embeddings, projection (only where E and H differ), blocks and pooler, not built."""
        super().__init__(name="bert")
        refuse_redrawn_dropout(config, rematerialize=rematerialize)
        self.config = config
        self.rematerialize = rematerialize

        # === Factorised embeddings ===
        self.embeddings = embeddings or Embeddings(config)
        # As in the original there is neither product nor variable where both are equally wide.
        self.projection = None
        if config.embedding_size != config.hidden_size:
            self.projection = dense(config, config.hidden_size, "embedding_hidden_mapping_in")

        # === Shared layers ===
        self.groups = [
            [Block(config, inner) for inner in range(config.inner_group_num)]
            for _ in config.used_groups
        ]

        # === Pooler ===
        self.pooler: Any = None
        if has_pooler:
            self.pooler = dense(config, config.hidden_size, "dense", activation="tanh")

    def build(self, input_shape: Any = None) -> None:
        """Create all variables under the original's names; embeddings that are built stay.

        To be called once by whoever makes the encoder; Keras refuses a second call (ValueError).
        `input_shape` is not used.
        """
        c = self.config
        if not self.embeddings.built:
            self.embeddings.build((None, None))
        if self.projection is not None:
            build_in_scope("encoder", self.projection, (None, None, c.embedding_size))
        for number, group in zip(c.used_groups, self.groups, strict=True):
            for block in group:
                scope = f"encoder/transformer/group_{number}"
                build_in_scope(scope, block, (None, None, c.hidden_size))
        if self.pooler is not None:
            build_in_scope("pooler", self.pooler, (None, c.hidden_size))

    def call(
        self,
        input_ids: Any,
        input_mask: Any = None,
        segment_ids: Any = None,
        output_positions: Any = None,
        position_offsets: Any = None,
        return_all_layers: bool = False,
        training: bool | None = None,
    ) -> dict[str, Any]:
        """Encode a batch.

        Args:
            input_ids: int [B, S], token ids.
            input_mask: int [B, S], 1 where a position may be attended to; all when None. To train
                with JAX on an NVIDIA GPU in 16 bits, the ones come first; the output is NaN where
                they do not.
            segment_ids: int [B, S], segment of each position; all 0 when None.
            output_positions: int [B, P], positions whose output is needed; all when None. The last
                layer then computes those and [CLS] only, with the same result.
            position_offsets: int [B], position embedding of the first token of each sequence, in
                training; 0 for all when None.
            return_all_layers: Whether `all_layer_outputs` is returned, too; every layer then
                computes every position.
            training: Whether dropout is on.

        Returns:
            `sequence_output` [B, S, H], or [B, P, H] for the given positions; `pooled_output`
            [B, H], if there is a pooler; and on demand `all_layer_outputs`, a list with the output
            [B, S, H] of every block application, the first one first.

        Raises:
            InputError: `output_positions` and `return_all_layers` are given together, the sequence
                is too long, or an id is out of range (not checked inside a compiled step).
        """
        if return_all_layers and output_positions is not None:
            raise InputError(
                "output_positions: got positions together with return_all_layers, expected one of "
                "them: the outputs of all layers are those of all positions"
            )
        input_mask = ops.ones_like(input_ids) if input_mask is None else input_mask
        segment_ids = ops.zeros_like(input_ids) if segment_ids is None else segment_ids

        # === Factorised embeddings ===
        x = self.embeddings(
            input_ids,
            segments_BS=segment_ids,
            position_offsets_B=position_offsets,
            training=training,
        )
        mask, x = make_attention_mask(input_mask, x, self.config.head_size, training)
        if self.projection is not None:
            x = self.projection(x)

        # === Shared layers ===
        optional_outputs = {}
        if return_all_layers:
            outputs = self._apply_blocks_one_by_one(x, mask, training)
            x = outputs[-1]
            optional_outputs = {"all_layer_outputs": outputs}
        else:
            with self._cast_weights_once(training):
                x = self._apply_layers(x, mask, output_positions, training)

        # === Pooler ===
        pooled = {} if self.pooler is None else {"pooled_output": self.pooler(x[:, 0])}
        first = int(output_positions is not None)  # [CLS] was put before the given positions
        return {"sequence_output": x[:, first:], **pooled, **optional_outputs}

    def set_depth(self, num_hidden_layers: int) -> None:
        """Apply the shared layers so many times from the next call on; the weights stay.

        Steps that are compiled already keep their number.

        Raises:
            InputError: The number is below 1, or uses other groups than the present one does.
        """
        self.config = self.config.with_depth(num_hidden_layers)

    def _get_layers(self) -> list[list[Block]]:
        """Return the blocks of each of `num_hidden_layers` layers, in the order of application.

        A group that several layers share is the same list in each of their places.
        """
        groups = dict(zip(self.config.used_groups, self.groups, strict=True))
        return [groups[number] for number in self.config.layer_groups]

    def _apply_blocks_one_by_one(
        self, x: Any, mask: AttentionMask, training: bool | None
    ) -> list[Any]:
        """Return the output [B, S, H] of each block application, in order, of all layers.

        There are `num_hidden_layers` times `inner_group_num` of them. Nothing is scanned; each
        block is rematerialised only while training, if the encoder is set so.
        """
        outputs = []
        for block in itertools.chain.from_iterable(self._get_layers()):
            x = repeat_layer(
                functools.partial(_apply_blocks, [block], training),
                x,
                mask.tensors,
                times=1,
                may_scan=False,
                rematerialize=self.rematerialize and bool(training),
            )
            outputs.append(x)
        return outputs

    def _apply_layers(
        self, x: Any, mask: AttentionMask, output_positions: Any, training: bool | None
    ) -> Any:
        """Apply all layers; return the output of the last one.

        All but the last go through `repeat_layer`, one group after the other; the last is applied
        by itself, and only its last block leaves out positions.

        Args:
            x: The projected embeddings [B, S, H].
            mask: Which positions may be attended to.
            output_positions: int [B, P], positions that the last block computes. None: all.
            training: Whether dropout is on.

        Returns:
            [B, S, H]; with `output_positions` [B, 1 + P, H], where [CLS] comes first.
        """
        *layers, last_layer = self._get_layers()
        for group in self.groups:  # the layers of one follow those of the other
            x = repeat_layer(
                functools.partial(_apply_blocks, group, training),
                x,
                mask.tensors,
                layers.count(group),
                may_scan=self._may_scan(training),
                # Predictions keep nothing, so that there is nothing to compute again.
                rematerialize=self.rematerialize and bool(training),
            )
        # The last block is not in the loop, because it need not compute positions that no head
        # reads: 5 to 6 % less work at 12 layers in pretraining, a little more for a classifier.
        *blocks, last_block = last_layer
        x = _apply_blocks(blocks, training, x, *mask.tensors)
        if output_positions is not None:
            output_positions = ops.pad(output_positions, ((0, 0), (1, 0)))  # [CLS] is position 0
        return last_block(x, attention_mask=mask, positions_BQ=output_positions, training=training)

    def _may_scan(self, training: bool | None) -> bool:
        """Tell whether one compiled body may stand for all layers: one group, no dropout now."""
        # Dropout draws numbers, which a loop's body must not. Several groups are several bodies.
        has_dropout = training and self.config.has_dropout
        return len(self.groups) == 1 and not has_dropout

    def _cast_weights_once(self, training: bool | None) -> contextlib.AbstractContextManager[Any]:
        """Return a context in which the blocks' weights are cast once for all layers.

        Outside of training, and with `rematerialize`, the context does nothing.
        """
        # Rematerialised layers are called again for the gradient, outside of this context.
        if not training or self.rematerialize:
            return contextlib.nullcontext()
        uses = collections.Counter(itertools.chain.from_iterable(self._get_layers()))
        layers = ((layer, times) for block, times in uses.items() for layer in block.dense_layers)
        return cast_weights_once(dict(layers))


def _apply_blocks(blocks: Sequence[Block], training: bool | None, x: Any, *mask: Any) -> Any:
    """Return x [B, S, H] after some blocks, one after the other.

    Args:
        blocks: The blocks.
        training: Whether dropout is on.
        x: Input of the first block [B, S, H].
        *mask: Tensors of an `AttentionMask`.
    """
    for block in blocks:
        x = block(x, attention_mask=AttentionMask(*mask), training=training)
    return x
