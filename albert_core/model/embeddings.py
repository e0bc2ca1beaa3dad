"""ALBERT's factorised embeddings: tables E wide, which the encoder projects to H.

Shape suffixes: B batch, S sequence, V vocabulary, E embedding, T segment types, M positions.

Source: embedding_lookup and embedding_postprocessor in modeling.py of google-research/albert;
Lan et al. 2020, section 3.1.
"""

from typing import Any

import keras
from keras import ops

from albert_core.config import AlbertConfig
from albert_core.errors import InputError
from albert_core.model.layers import check_range, initializer, layer_norm


class Embeddings(keras.layers.Layer):
    """Sum of word, segment and position embeddings, normalised: [B, S] ids to [B, S, E]."""

    def __init__(self, config: AlbertConfig) -> None:
        """Make normalisation and dropout; the tables are made by `build`."""
        super().__init__(name="embeddings")
        self.config = config
        self.norm = layer_norm()
        self.dropout = keras.layers.Dropout(config.hidden_dropout_prob)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Make the tables [V, E], [T, E], [M, E], and build the normalisation."""
        c = self.config
        tables = {
            "word_embeddings": c.vocab_size,
            "token_type_embeddings": c.type_vocab_size,
            "position_embeddings": c.max_position_embeddings,
        }
        for name, num_rows in tables.items():
            shape = (num_rows, c.embedding_size)
            # Not cast by Keras, which would cast the whole table: `call` casts the rows it takes.
            table = self.add_weight(
                name=name, shape=shape, initializer=initializer(c), autocast=False
            )
            setattr(self, name, table)
        self.norm.build((*input_shape, c.embedding_size))

    def call(
        self,
        ids_BS: Any,
        segments_BS: Any,
        position_offsets_B: Any = None,
        training: bool | None = None,
    ) -> Any:
        """Return the embeddings [B, S, E].

        Args:
            ids_BS: Token ids.
            segments_BS: Segment of each position.
            position_offsets_B: Position of the first token of each sequence; 0 for all when None.
            training: Whether dropout is on.

        Raises:
            InputError: The sequence is longer than the position table, or an id or an offset is out
                of range; neither is checked inside a compiled step.
        """
        self._check(ids_BS, segments_BS, position_offsets_B)
        words_BSE = self.embed_words(ids_BS)
        # As in the original: with so few rows a product is faster than a lookup.
        segments_BST = ops.one_hot(segments_BS, self.config.type_vocab_size, dtype=words_BSE.dtype)
        segments_BSE = ops.matmul(
            segments_BST, ops.cast(self.token_type_embeddings, words_BSE.dtype)
        )
        positions = self._embed_positions(ops.shape(ids_BS)[1], position_offsets_B)
        summed_BSE = words_BSE + segments_BSE + ops.cast(positions, words_BSE.dtype)
        # Dropout after the normalisation, unlike in a block: so it is in embedding_postprocessor.
        return self.dropout(self.norm(summed_BSE), training=training)

    def embed_words(self, ids_BS: Any) -> Any:
        """Return the word embeddings alone, [B, S, E] in the type that layers compute in."""
        # The rows are cast, not the table: so the gradient of a row is summed in float32. With JAX
        # on a GPU it would be summed in bfloat16, with its 8 bits, which took half of the step.
        return ops.cast(ops.take(self.word_embeddings, ids_BS, axis=0), self.compute_dtype)

    def _embed_positions(self, length: Any, position_offsets_B: Any) -> Any:
        """Return the embeddings of `length` positions: [S, E] from 0 on, or [B, S, E] with offsets.

        Row b begins at position `position_offsets_B[b]`. Positions beyond the table are not
        checked.
        """
        if position_offsets_B is None:
            # A slice, as in the original: positions count from 0, so there is nothing to look up.
            return self.position_embeddings[:length]
        offsets_B1 = ops.expand_dims(ops.cast(position_offsets_B, "int32"), axis=1)
        positions_BS = offsets_B1 + ops.arange(length, dtype="int32")
        return ops.take(self.position_embeddings, positions_BS, axis=0)

    def _check(self, ids_BS: Any, segments_BS: Any, position_offsets_B: Any) -> None:
        """Refuse sequences, offsets and ids that the tables have no rows for.

        Raises:
            InputError: Under the conditions that `call` names.
        """
        c = self.config
        length = ids_BS.shape[1]
        if length is not None and length > c.max_position_embeddings:
            raise InputError(
                f"sequence length: got {length}, expected at most max_position_embeddings="
                f"{c.max_position_embeddings}"
            )
        check_range("input_ids", ids_BS, "vocab_size", c.vocab_size)
        check_range("segment_ids", segments_BS, "type_vocab_size", c.type_vocab_size)
        if position_offsets_B is not None and length is not None:
            limit = c.max_position_embeddings - length + 1
            check_range("position_offsets", position_offsets_B, "positions - length + 1", limit)
