"""The tokenizers inside a TensorFlow graph, by the operations of tensorflow-text.

The ids are those of `albert_core.tokenization`, including its normalisation of text and its
digit-comma rule. Three differences remain:

- Bytes that are not UTF-8, which a Python string cannot hold, are read as U+FFFD.
- Where SentencePiece can split a text into the same pieces in two orders, `66 6` or `6 66`, both
  are equally likely except for rounding. The operation rounds a little differently where the text
  holds characters the vocabulary lacks, and may then choose the other order; with Hugging Face's
  rules (`compat`) it may do so in any text.
- WordPiece that lower-cases leaves spacing marks with combining classes (such as U+302E) in the
  order they are in, where Python sorts them by class.

Shape suffixes: N texts, T characters of all texts, P tokens of all texts, U units that are
tokenized on their own: texts for SentencePiece, words for WordPiece; (P) the tokens of a text.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import tensorflow as tf
import tensorflow_text  # type: ignore[import-untyped]

from albert_core.errors import InputError
from albert_core.exports.code_points import Characters, Replacement, differs_from_next
from albert_core.exports.normalization import get_normalization
from albert_core.tokenization import SentencePieceTokenizer, Tokenizer, WordPieceTokenizer
from albert_core.tokenization.wordpiece import CONTINUATION, MAX_WORD_CHARACTERS, UNKNOWN

_SPACE = ord(" ")
_MOST_BYTES_OF_CHARACTER = 4


@dataclasses.dataclass(frozen=True)
class TokensWithOffsets:
    """The tokens of several texts, one after the other, and the characters they stand for.

    Attributes:
        ids: Token ids int32 [P].
        row_splits: Index of the first token of each text, and P, int64 [N + 1].
        begins: Index in the original text of the first character of each token, int32 [P].
        ends: One more than the index of its last character, int32 [P].
    """

    ids: Any
    row_splits: Any
    begins: Any
    ends: Any

    def by_text(self, values_P: Any) -> Any:
        """Return values of all tokens as a ragged tensor, a row for each text [N, (P)]."""
        return tf.RaggedTensor.from_row_splits(values_P, self.row_splits, validate=False)


class GraphTokenizer:
    """A tokenizer of `albert_core.tokenization` as functions of a graph.

    Args:
        tokenizer: The tokenizer.
        with_offsets: Whether `encode_with_offsets` is needed; without it the model is stored once.

    Attributes:
        resources: Objects that `tf.saved_model.save` must be able to reach from the module.

    Raises:
        InputError: tensorflow-text has no operation for this kind of tokenizer.
    """

    def __init__(self, tokenizer: Tokenizer, *, with_offsets: bool) -> None:
        """Make the normalisation and the operations for a tokenizer's kind; may take seconds.

        Raises:
            InputError: The vocabulary's kind has no operation in a graph.
        """
        self._normalization = get_normalization(tokenizer)
        if tokenizer.kind not in _OPERATIONS:
            raise InputError(
                f"vocabulary: got a {tokenizer.display_name} vocabulary, expected one of "
                f"{', '.join(_OPERATIONS)}: others have no operation in a TensorFlow graph"
            )
        self._operations = _OPERATIONS[tokenizer.kind](tokenizer, with_offsets)
        self.resources = self._operations.resources

    def encode(self, texts_N: Any) -> Any:
        """Return the token ids of strings, a ragged int32 tensor [N, (P)]."""
        return self._operations.encode(self._normalize(texts_N), tf.size(texts_N, tf.int64))

    def encode_with_offsets(self, texts_N: Any) -> TokensWithOffsets:
        """Return the tokens of strings and the characters they stand for.

        The object must have been made with `with_offsets` (not checked). If the digit-comma rule
        splits a piece, the comma has its own offsets, and each token of the number has the offsets
        of the whole number.
        """
        return self._operations.encode_with_offsets(
            self._normalize(texts_N), tf.size(texts_N, tf.int64)
        )

    def _normalize(self, texts_N: Any) -> Characters:
        """Return the characters of normalised strings."""
        return Characters(*self._normalized(texts_N))

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)], autograph=False)
    def _normalized(self, texts_N: Any) -> tuple[Any, Any, Any]:
        """Return code points, rows and offsets of normalised strings.

        A `tf.function`, so that all signatures call one function and its tables are stored once.
        """
        characters = self._normalization(texts_N)
        return characters.codes, characters.rows, characters.offsets


class _SentencePiece:
    """SentencePiece and the digit-comma rule, on characters that are already normalised.

    tensorflow-text has two operations. `FastSentencepieceTokenizer` rounds scores like the library
    in Python, except for rare texts, but has no offsets and refuses models with unused pieces,
    which Hugging Face's rules need. `SentencepieceTokenizer` has offsets but rounds in another way,
    and may break ties differently. Ids are those of the first wherever it can be used, offsets
    those of the second.
    """

    def __init__(self, tokenizer: SentencePieceTokenizer, with_offsets: bool) -> None:
        """Make the operations for ids and, where needed, for offsets, which differ.

        By the original's rules ids come from the fast operation, and there is one for offsets only
        with `with_offsets`; by Hugging Face's rules the one for offsets does both.
        """
        is_original = tokenizer.compat == "original"
        self._offsets_operation: Any = None
        if with_offsets or not is_original:
            self._offsets_operation = tensorflow_text.SentencepieceTokenizer(tokenizer.used_model)
        self._ids_operation = self._offsets_operation
        if is_original:
            self._ids_operation = tensorflow_text.FastSentencepieceTokenizer(tokenizer.used_model)
        self._split = Replacement(tokenizer.split_ids, len(tokenizer))
        # The fast operation keeps its model as a constant, the other as a resource.
        self.resources: list[Any] = [self._offsets_operation]

    def encode(self, characters: Characters, num_texts: Any) -> Any:
        """Return the token ids of texts [N, (P)], from their normalised characters."""
        whole = self._encode_unsplit(characters, num_texts)
        ids_P, source_P = self._split(whole.values)
        rows_P = tf.gather(whole.value_rowids(), source_P)
        return tf.RaggedTensor.from_value_rowids(ids_P, rows_P, nrows=num_texts, validate=False)

    def _encode_unsplit(self, characters: Characters, num_texts: Any) -> Any:
        """Return the ids before the digit-comma rule splits some [N, (P)]."""
        texts_N = _strings(characters, characters.rows, num_texts)
        return self._ids_operation.tokenize(texts_N).with_row_splits_dtype(tf.int64)

    def encode_with_offsets(self, characters: Characters, num_texts: Any) -> TokensWithOffsets:
        """Return the tokens of texts with the characters they stand for.

        The object must have been made with `with_offsets`, or of a tokenizer by Hugging Face's
        rules.
        """
        whole = self._encode_unsplit(characters, num_texts)
        rows = whole.value_rowids()
        first, last, splits = _character_spans(
            self._offsets_operation, characters, characters.rows, num_texts
        )
        # Both operations find the same number of pieces, except in rare texts: stay in bounds.
        number = tf.ragged.range(whole.row_lengths()).values
        known = tf.gather(splits, rows) + number
        known = tf.minimum(known, tf.gather(splits, rows + 1) - 1)
        ids_P, source_P = self._split(whole.values)
        first_P, last_P = (tf.gather(tf.gather(part, known), source_P) for part in (first, last))
        # A piece such as "1," was split: the comma is its last character, the number the rest.
        is_part_P = tf.gather(whole.values, source_P) != ids_P
        is_comma_P = is_part_P & differs_from_next(source_P)
        first_P = tf.where(is_comma_P, last_P, first_P)
        last_P = tf.where(is_part_P & ~is_comma_P, tf.maximum(first_P, last_P - 1), last_P)
        rows_P = tf.gather(rows, source_P)
        return _make_tokens(characters, ids_P, rows_P, num_texts, first_P, last_P)


class _WordPiece:
    """WordPiece on normalised words between spaces; a word of over 200 characters is unknown.

    The operation of tensorflow-text limits the bytes of a word, the tokenizer its characters. Here
    longer words are therefore replaced by the unknown token first, and the operation's limit is set
    so high that no other word reaches it.

    Args:
        tokenizer: A WordPiece tokenizer, whose vocabulary is taken.
    """

    def __init__(self, tokenizer: WordPieceTokenizer, _with_offsets: bool) -> None:
        """Make the operation from the vocabulary; it has offsets whether they are needed or not.

        The tokens of a word are looked up in a word alone: splitting at spaces is left to the
        methods.
        """
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
        """Return ids, and begins and ends in bytes within their word, of words [U, (P)].

        It has the interface of the operations of tensorflow-text.
        """
        lengths_U = tf.strings.length(words_U, "UTF8_CHAR")
        return self._operation.tokenize_with_offsets(
            tf.where(lengths_U > MAX_WORD_CHARACTERS, UNKNOWN, words_U)
        )

    def encode(self, characters: Characters, num_texts: Any) -> Any:
        """Return the token ids of texts [N, (P)], from their normalised characters."""
        tokens = self.encode_with_offsets(characters, num_texts)
        return tokens.by_text(tokens.ids)

    def encode_with_offsets(self, characters: Characters, num_texts: Any) -> TokensWithOffsets:
        """Return the tokens of texts with the characters they stand for.

        Words are split at spaces here: the operation expects single words (`no_pretokenization`).
        """
        is_space_T = characters.codes == _SPACE
        begins_T = ~is_space_T & characters.is_first_or_after(is_space_T)
        words_T = (tf.cumsum(tf.cast(begins_T, tf.int64)) - 1)[~is_space_T]
        rows_U = characters.rows[begins_T]
        characters = characters.select(~is_space_T)
        num_words = tf.size(rows_U, tf.int64)
        words_U = _strings(characters, words_T, num_words)
        ids = self.tokenize_with_offsets(words_U)[0]
        first_P, last_P, _ = _character_spans(self, characters, words_T, num_words)
        rows_P = tf.gather(rows_U, ids.value_rowids())
        return _make_tokens(characters, ids.values, rows_P, num_texts, first_P, last_P)


_OPERATIONS: Mapping[str, Callable[[Any, bool], _SentencePiece | _WordPiece]] = {
    SentencePieceTokenizer.kind: _SentencePiece,
    WordPieceTokenizer.kind: _WordPiece,
}
"""Classes by the kind of tokenizer; tensorflow-text has operations for these."""


def _strings(characters: Characters, units_T: Any, num_units: Any) -> Any:
    """Return the UTF-8 strings of units [U], from the unit of each character, which must rise."""
    codes = tf.RaggedTensor.from_value_rowids(
        characters.codes, units_T, nrows=num_units, validate=False
    )
    return tf.strings.unicode_encode(codes, "UTF-8")


def _character_spans(
    operation: Any, characters: Characters, units_T: Any, num_units: Any
) -> tuple[Any, Any, Any]:
    """Return index of first and last character of each token [P], and the units' splits [U + 1].

    The operations count bytes within a unit; here they become indices of `characters`. A token
    without a character, such as a word start on its own, gets the character after it.

    Args:
        operation: Anything with the `tokenize_with_offsets` of tensorflow-text.
        characters: The characters.
        units_T: Index of each one's unit, rising.
        num_units: U.
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
        tf.gather(character_of_byte, tf.minimum(before_P + bytes_P, highest))
        for bytes_P in (begins_P, tf.maximum(begins_P, ends_P - 1))
    )
    return first_P, last_P, begins.row_splits


def _make_tokens(
    characters: Characters, ids_P: Any, rows_P: Any, num_texts: Any, first_P: Any, last_P: Any
) -> TokensWithOffsets:
    """Return tokens whose offsets are those of their first and last characters.

    Args:
        characters: The characters.
        ids_P: Token ids.
        rows_P: Index of each token's text, rising.
        num_texts: N.
        first_P: Index in `characters` of each token's first character.
        last_P: Index of its last character.
    """
    ids = tf.RaggedTensor.from_value_rowids(ids_P, rows_P, nrows=num_texts, validate=False)
    begins_P = tf.gather(characters.offsets, first_P)
    return TokensWithOffsets(
        ids_P, ids.row_splits, begins_P, tf.gather(characters.offsets, last_P) + 1
    )
