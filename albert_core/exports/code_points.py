"""Texts as code points inside a TensorFlow graph, and tables that replace code points.

A SavedModel may only hold TensorFlow's operations, none of which normalises text as the tokenizers
do. Here all characters of all texts are one flat array, which tables and gathers can change.

Shape suffixes: T code points of all texts one after the other, N texts.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

NUM_CODE_POINTS = 0x110000
_BLOCK = 128


class LookupTable:
    """A table of small numbers by index, compressed for a TensorFlow graph.

    The graph holds the table as constants. A value for each of the 1.1 million code points would
    take megabytes. Therefore the values are cut into blocks of 128. Most blocks are equal to
    another one, and equal ones are kept only once, which takes kilobytes.

    Args:
        values: The numbers [index], whole, 0 or more and below 2**31. At least one; not checked.
    """

    def __init__(self, values: np.ndarray) -> None:
        """Cut the values into blocks of 128, the last padded with 0, and keep equal ones once."""
        padded = np.zeros(-(-len(values) // _BLOCK) * _BLOCK, np.int32)
        padded[: len(values)] = values
        blocks, block_of = np.unique(padded.reshape(-1, _BLOCK), axis=0, return_inverse=True)
        self._values, self._block_of = _narrow(blocks.reshape(-1)), _narrow(block_of)

    def __call__(self, index: Any) -> Any:
        """Return the values, int32, at int32 indices of any shape, which must be in the table."""
        block = _gather_int32(self._block_of, index // _BLOCK)
        return _gather_int32(self._values, block * _BLOCK + index % _BLOCK)


class Replacement:
    """Replaces numbers by sequences of numbers, as a function of a graph.

    Args:
        parts: The sequence, perhaps empty, that replaces each number; other numbers stay.
        size: All numbers, those to replace too, are from 0 to below it; not checked.
    """

    def __init__(self, parts: Mapping[int, Sequence[int]], size: int) -> None:
        """Tabulate row, length and beginning of each number's sequence, the sequences joined."""
        # Row 0 stands for all numbers that stay.
        row_of = np.zeros(size, np.int32)
        row_of[list(parts)] = 1 + np.arange(len(parts))
        self._row_of = LookupTable(row_of)
        self._lengths = _narrow(np.array([1, *map(len, parts.values())]))
        self._parts = np.array([0, *(n for part in parts.values() for n in part)], np.int32)

    def __call__(self, numbers_T: Any) -> tuple[Any, Any]:
        """Return the new numbers, and for each the index in `numbers_T` it comes from, rising.

        Both are int32 and as long as all sequences and remaining numbers together.
        """
        row_T = self._row_of(numbers_T)
        length_T = _gather_int32(self._lengths, row_T)
        source = tf.repeat(tf.range(tf.size(row_T)), length_T)
        within = tf.range(tf.size(source)) - tf.gather(tf.cumsum(length_T, exclusive=True), source)
        row = tf.gather(row_T, source)
        begins = tf.cumsum(tf.cast(tf.constant(self._lengths), tf.int32), exclusive=True)
        replaced = tf.gather(tf.constant(self._parts), tf.gather(begins, row) + within)
        return tf.where(row == 0, tf.gather(numbers_T, source), replaced), source


def _narrow(values: np.ndarray) -> np.ndarray:
    """Return numbers of 0 or more in the smallest type: a graph stores constants uncompressed."""
    return values.astype(np.min_scalar_type(values.max(initial=0)))


def _gather_int32(values: np.ndarray, index: Any) -> Any:
    """Return the values at some indices as int32."""
    return tf.cast(tf.gather(tf.constant(values), index), tf.int32)


@dataclasses.dataclass(frozen=True)
class Characters:
    """The characters of several texts, one after the other.

    Attributes:
        codes: Code points int32 [T].
        rows: Index of each one's text, rising, int64 [T].
        offsets: Index in the original text of the character each comes from, int32 [T].
    """

    codes: Any
    rows: Any
    offsets: Any

    @classmethod
    def from_strings(cls, texts_N: Any) -> "Characters":
        """Return the characters of UTF-8 strings; invalid bytes become U+FFFD."""
        ragged = tf.strings.unicode_decode(texts_N, "UTF-8")
        offsets = tf.ragged.range(ragged.row_lengths()).values
        return cls(ragged.values, ragged.value_rowids(), tf.cast(offsets, tf.int32))

    def replace(self, codes: Any, source: Any) -> "Characters":
        """Return characters with new codes; texts and offsets are those at the indices `source`.

        Both have a value for each new character; `source` must rise.
        """
        return Characters(codes, tf.gather(self.rows, source), tf.gather(self.offsets, source))

    def select(self, is_selected_T: Any) -> "Characters":
        """Return the characters for which a mask is true."""
        index = tf.where(is_selected_T)[:, 0]
        return self.replace(tf.gather(self.codes, index), index)

    def is_first(self) -> Any:
        """Return whether each character is the first of its text [T]."""
        return tf.reverse(differs_from_next(tf.reverse(self.rows, [0])), [0])

    def is_first_or_after(self, is_marked_T: Any) -> Any:
        """Return whether each character is the first of its text or follows a marked one [T]."""
        follows_T = tf.concat([[True], is_marked_T[:-1]], 0)[: tf.size(is_marked_T)]
        return follows_T | self.is_first()


def fold_white_space(characters: Characters, is_space: LookupTable) -> Characters:
    """Drop white space at both ends of each text, and all but the first of several in a row.

    The first stays the character that it is; it does not become a space.

    Args:
        characters: The characters.
        is_space: 1 for code points that are white space, else 0.
    """
    space_T = is_space(characters.codes) > 0
    single = characters.select(~(space_T & characters.is_first_or_after(space_T)))
    return single.select(~((is_space(single.codes) > 0) & differs_from_next(single.rows)))


def differs_from_next(values_T: Any) -> Any:
    """Return whether each value differs from the next one [T]; true for the last."""
    # Cut, because without any value the concatenation still has one.
    return tf.concat([values_T[1:] != values_T[:-1], [True]], 0)[: tf.size(values_T)]
