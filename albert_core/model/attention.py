"""Multi-head self-attention and its mask.

Shape suffixes: B batch, S sequence, Q queries, H hidden, N heads, D head size, E embedding.

Source: attention_layer in modeling.py of google-research/albert; Vaswani et al. 2017, section 3.2.
"""

import functools
from typing import Any, NamedTuple

import keras
from keras import ops

from albert_core.backends import attend, get_prefix_lengths, save_for_backward
from albert_core.config import AlbertConfig
from albert_core.model.layers import dense

_MASKED_SCORE = -10000.0  # of the original; not -inf, which rows without any position make NaN


class AttentionMask(NamedTuple):
    """The positions that may be attended to.

    Attributes:
        bias: [B, 1, 1, S], added to the attention scores: 0, or -10000 for masked positions.
        lengths: int [B], numbers of unmasked positions, for cuDNN's kernel, which needs them
            instead of the bias; None where there is no such kernel, and in predictions.
    """

    bias: Any
    lengths: Any = None

    @property
    def tensors(self) -> tuple[Any, ...]:
        """The bias, and the lengths unless they are None."""
        return tuple(tensor for tensor in self if tensor is not None)


def make_attention_mask(
    input_mask_BS: Any, x_BSE: Any, head_size: int, training: bool | None
) -> tuple[AttentionMask, Any]:
    """Return the attention mask of a batch, and its embeddings.

    The mask is a bias of the scores, -10,000 where a position is masked and 0 elsewhere; while
    training also the number of unmasked positions, where the backend's attention wants it.

    Args:
        input_mask_BS: 1 where a position may be attended to, else 0.
        x_BSE: The embeddings. They are returned as they are, except while training where cuDNN's
            kernel attends (JAX on an NVIDIA GPU in bfloat16 or float16): rows whose ones do not
            come first become NaN there, so that training fails visibly.
        head_size: Width D of the heads that will attend.
        training: Whether the step trains; predictions take any mask.
    """
    is_masked_BS = 1.0 - ops.cast(input_mask_BS, x_BSE.dtype)
    bias_B11S = ops.expand_dims(is_masked_BS, (1, 2)) * _MASKED_SCORE
    if not training:  # predictions take any mask
        return AttentionMask(bias_B11S), x_BSE
    lengths_B, x_BSE = get_prefix_lengths(input_mask_BS, x_BSE, head_size)
    return AttentionMask(bias_B11S, lengths_B), x_BSE


class SelfAttention(keras.layers.Layer):
    """Multi-head scaled dot-product attention of [B, S, H] on itself, without output projection."""

    def __init__(self, config: AlbertConfig) -> None:
        """Make the three projections and the dropout of attention probabilities, not built."""
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
        self,
        queries_BQH: Any,
        x_BSH: Any,
        attention_mask: AttentionMask,
        training: bool | None = None,
    ) -> Any:
        """Return the weighted sum of values for each query, its heads side by side [B, Q, H].

        Args:
            queries_BQH: The positions that attend: those of `x_BSH`, or some of them.
            x_BSH: The positions attended to.
            attention_mask: Which of these may be attended to.
            training: Whether dropout is on.
        """
        # Three products, not one that is three times as wide: the original's variables are apart.
        q_BQND = self._project(self.query, queries_BQH)
        k_BSND = self._project(self.key, x_BSH)
        v_BSND = self._project(self.value, x_BSH)
        # None, not a rate of 0: attention without dropout may go to a fused kernel.
        dropout = None
        if training and self.config.attention_probs_dropout_prob > 0:
            dropout = functools.partial(self.dropout, training=True)
        context_BQND = attend(q_BQND, k_BSND, v_BSND, *attention_mask, dropout=dropout)
        return ops.reshape(context_BQND, ops.shape(queries_BQH))

    def _project(self, projection: keras.layers.Dense, x: Any) -> Any:
        """Apply a projection and cut its output into heads: [B, S, H] to [B, S, N, D]."""
        c = self.config
        heads = (-1, ops.shape(x)[1], c.num_attention_heads, c.head_size)
        return ops.reshape(save_for_backward(projection(x)), heads)
