"""Our tokenizers inside a TensorFlow graph, by the operations of tensorflow-text.

The piece ids are those of `albert_core.tokenization`, including its normalisation of text and its
digit-comma rule. Three differences are left:

- Bytes that are no UTF-8, which a Python string cannot hold, are read as U+FFFD.
- Where SentencePiece can cut a text into the same pieces in two orders, `66 6` or `6 66`, both are
  equally likely but for rounding. The operation rounds a little differently where the text holds
  characters the vocabulary lacks, and may then choose the other order; with Hugging Face's rules
  (`compat`) it may do so in any text.
- WordPiece that lower-cases leaves spacing marks with combining classes (such as U+302E) in the
  order they are in, where Python sorts them by class.

Shape suffixes: N texts, T characters of all texts, P pieces of all texts, U units that are cut by
themselves: texts for SentencePiece, words for WordPiece.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import tensorflow as tf
import tensorflow_text  # type: ignore[import-untyped]

from albert_core.errors import InputError
from albert_core.exports.code_points import Characters, Replacement, differs_from_next
from albert_core.exports.normalization import Normalization
from albert_core.tokenization import SentencePieceTokenizer, Tokenizer, WordPieceTokenizer
from albert_core.tokenization.wordpiece import CONTINUATION, MAX_WORD_CHARACTERS, UNKNOWN

_SPACE = ord(" ")
_MOST_BYTES_OF_CHARACTER = 4


@dataclasses.dataclass(frozen=True)
class Pieces:
    """The pieces of texts, one after the other.

    Attributes:
        ids: Piece ids int32 [P].
        row_splits: Where each text's pieces begin, and the end, int64 [N + 1].
        begins: The character of its text, as it was given, that each piece begins with, int32 [P].
        ends: One behind its last character, int32 [P].
    """

    ids: Any
    row_splits: Any
    begins: Any
    ends: Any

    def by_text(self, values_P: Any) -> Any:
        """Return something of each piece by text [N, (P)]."""
        return tf.RaggedTensor.from_row_splits(values_P, self.row_splits, validate=False)


class GraphTokenizer:
    """A tokenizer of ours as a function of a graph.

    Args:
        tokenizer: The tokenizer.
        knows_places: Whether it has `encode_with_places`.

    Attributes:
        resources: What has to be saved with the graph.

    Raises:
        InputError: It is of a kind that has no operation here.
    """

    def __init__(self, tokenizer: Tokenizer, *, knows_places: bool) -> None:
        self._normalization = Normalization(tokenizer)
        if tokenizer.kind not in _CUTTERS:
            raise InputError(
                f"vocabulary: got a {tokenizer.display_name} vocabulary, expected one of "
                f"{', '.join(_CUTTERS)}: others have no operation in a TensorFlow graph"
            )
        self._cutter = _CUTTERS[tokenizer.kind](tokenizer, knows_places)
        self.resources = self._cutter.resources

    def encode(self, texts_N: Any) -> Any:
        """Return the piece ids of strings [N, (P)]."""
        return self._cutter.cut(self._normalize(texts_N), tf.size(texts_N, tf.int64))

    def encode_with_places(self, texts_N: Any) -> Pieces:
        """Return the pieces of strings and which characters they stand for.

        What the digit-comma rule split is told apart as number and comma.
        """
        return self._cutter.cut_with_places(self._normalize(texts_N), tf.size(texts_N, tf.int64))

    def _normalize(self, texts_N: Any) -> Characters:
        return Characters(*self._normalized(texts_N))

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)], autograph=False)
    def _normalized(self, texts_N: Any) -> tuple[Any, Any, Any]:
        """Normalise texts; a function of its own, so that a graph holds its tables once."""
        characters = self._normalization(texts_N)
        return characters.codes, characters.rows, characters.places


class _SentencePieceCutter:
    """SentencePiece and the digit-comma rule.

    One operation rounds as Python does but for rare texts, the other knows the places; where they
    cut in different orders, the places are those of the other. The former refuses models with
    pieces that are never used, as Hugging Face's rules have.
    """

    def __init__(self, tokenizer: SentencePieceTokenizer, knows_places: bool) -> None:
        is_original = tokenizer.compat == "original"
        self.placing: Any = None
        if knows_places or not is_original:
            self.placing = tensorflow_text.SentencepieceTokenizer(tokenizer.used_model)
        self._exact = self.placing
        if is_original:
            self._exact = tensorflow_text.FastSentencepieceTokenizer(tokenizer.used_model)
        self._split = Replacement(tokenizer.split_ids, len(tokenizer))
        self.resources: list[Any] = [self.placing]

    def cut(self, characters: Characters, num_texts: Any) -> Any:
        whole = self._whole(characters, num_texts)
        ids_P, source_P = self._split(whole.values)
        rows_P = tf.gather(whole.value_rowids(), source_P)
        return tf.RaggedTensor.from_value_rowids(ids_P, rows_P, nrows=num_texts, validate=False)

    def _whole(self, characters: Characters, num_texts: Any) -> Any:
        """Return the ids before the rule."""
        texts_N = _strings(characters, characters.rows, num_texts)
        return self._exact.tokenize(texts_N).with_row_splits_dtype(tf.int64)

    def cut_with_places(self, characters: Characters, num_texts: Any) -> Pieces:
        whole = self._whole(characters, num_texts)
        rows = whole.value_rowids()
        first, last, splits = _places(self.placing, characters, characters.rows, num_texts)
        number = tf.ragged.range(whole.row_lengths()).values
        known = tf.gather(splits, rows) + number
        known = tf.minimum(known, tf.gather(splits, rows + 1) - 1)
        ids_P, source_P = self._split(whole.values)
        first_P, last_P = (tf.gather(tf.gather(part, known), source_P) for part in (first, last))
        is_part_P = tf.gather(whole.values, source_P) != ids_P
        is_comma_P = is_part_P & differs_from_next(source_P)
        first_P = tf.where(is_comma_P, last_P, first_P)
        last_P = tf.where(is_part_P & ~is_comma_P, tf.maximum(first_P, last_P - 1), last_P)
        rows_P = tf.gather(rows, source_P)
        return _pieces(characters, ids_P, rows_P, num_texts, first_P, last_P)


class _WordPieceCutter:
    """Words cut into the longest pieces; a word of too many characters is unknown."""

    def __init__(self, tokenizer: WordPieceTokenizer, _knows_places: bool) -> None:
        self.resources: list[Any] = []
        self._operation = tensorflow_text.FastWordpieceTokenizer(
            tokenizer.pieces,
            suffix_indicator=CONTINUATION,
            max_bytes_per_word=_MOST_BYTES_OF_CHARACTER * MAX_WORD_CHARACTERS,
            token_out_type=tf.int32,
            unknown_token=UNKNOWN,
            no_pretokenization=True,
        )

    def tokenize_with_offsets(self, words_U: Any) -> tuple[Any, Any, Any]:
        """Return ids, and begins and ends in bytes, of words [U, (P)]."""
        lengths_U = tf.strings.length(words_U, "UTF8_CHAR")
        return self._operation.tokenize_with_offsets(
            tf.where(lengths_U > MAX_WORD_CHARACTERS, UNKNOWN, words_U)
        )

    def cut(self, characters: Characters, num_texts: Any) -> Any:
        pieces = self.cut_with_places(characters, num_texts)
        return pieces.by_text(pieces.ids)

    def cut_with_places(self, characters: Characters, num_texts: Any) -> Pieces:
        is_space_T = characters.codes == _SPACE
        begins_T = ~is_space_T & characters.follow(is_space_T)
        words_T = (tf.cumsum(tf.cast(begins_T, tf.int64)) - 1)[~is_space_T]
        rows_U = characters.rows[begins_T]
        characters = characters.kept(~is_space_T)
        num_words = tf.size(rows_U, tf.int64)
        words_U = _strings(characters, words_T, num_words)
        ids = self.tokenize_with_offsets(words_U)[0]
        first_P, last_P, _ = _places(self, characters, words_T, num_words)
        rows_P = tf.gather(rows_U, ids.value_rowids())
        return _pieces(characters, ids.values, rows_P, num_texts, first_P, last_P)


_CUTTERS: Mapping[str, Callable[[Any, bool], _SentencePieceCutter | _WordPieceCutter]] = {
    SentencePieceTokenizer.kind: _SentencePieceCutter,
    WordPieceTokenizer.kind: _WordPieceCutter,
}
"""The kinds of tokenizers that have an operation in a graph."""


def _strings(characters: Characters, units_T: Any, num_units: Any) -> Any:
    """Return the strings of units [U]."""
    codes = tf.RaggedTensor.from_value_rowids(
        characters.codes, units_T, nrows=num_units, validate=False
    )
    return tf.strings.unicode_encode(codes, "UTF-8")


def _places(
    operation: Any, characters: Characters, units_T: Any, num_units: Any
) -> tuple[Any, Any, Any]:
    """Return the first and last character of each piece [P], and the splits of the units [U + 1].

    A piece without a character, such as a word start by itself, has the one after it.
    """
    units_U = _strings(characters, units_T, num_units)
    _, begins, ends = operation.tokenize_with_offsets(units_U)
    bytes_T = tf.strings.length(tf.strings.unicode_encode(characters.codes[:, None], "UTF-8"))
    character_of_byte = tf.repeat(tf.range(tf.size(bytes_T)), bytes_T)
    before_U = tf.cumsum(tf.strings.length(units_U), exclusive=True)
    before_P = tf.gather(before_U, begins.value_rowids())
    begins_P, ends_P = (tf.cast(part.values, tf.int32) for part in (begins, ends))
    highest = tf.size(character_of_byte) - 1
    first_P, last_P = (
        tf.gather(character_of_byte, tf.minimum(before_P + places_P, highest))
        for places_P in (begins_P, tf.maximum(begins_P, ends_P - 1))
    )
    return first_P, last_P, begins.row_splits


def _pieces(
    characters: Characters, ids_P: Any, rows_P: Any, num_texts: Any, first_P: Any, last_P: Any
) -> Pieces:
    ids = tf.RaggedTensor.from_value_rowids(ids_P, rows_P, nrows=num_texts, validate=False)
    begins_P = tf.gather(characters.places, first_P)
    return Pieces(ids_P, ids.row_splits, begins_P, tf.gather(characters.places, last_P) + 1)
