"""Texts as code points inside a TensorFlow graph, and tables that change them.

Shape suffixes: T code points or pieces of all texts one after the other, N texts.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

NUM_CODE_POINTS = 0x110000
_BLOCK = 128


class Table:
    """An array of small numbers as its distinct blocks: of all code points a few kilobytes.

    Args:
        values: The array.
    """

    def __init__(self, values: np.ndarray) -> None:
        padded = np.zeros(-(-len(values) // _BLOCK) * _BLOCK, np.int32)
        padded[: len(values)] = values
        blocks, block_of = np.unique(padded.reshape(-1, _BLOCK), axis=0, return_inverse=True)
        self._values, self._block_of = _narrow(blocks.reshape(-1)), _narrow(block_of)

    def __call__(self, index: Any) -> Any:
        """Return the values at int32 indices of any shape."""
        block = _taken(self._block_of, index // _BLOCK)
        return _taken(self._values, block * _BLOCK + index % _BLOCK)


class Replacement:
    """Puts sequences of numbers in the place of numbers; others stay.

    Args:
        parts: What replaces each number.
        size: The numbers are below it.
    """

    def __init__(self, parts: Mapping[int, Sequence[int]], size: int) -> None:
        row_of = np.zeros(size, np.int32)
        row_of[list(parts)] = 1 + np.arange(len(parts))
        self._row_of = Table(row_of)
        self._lengths = _narrow(np.array([1, *map(len, parts.values())]))
        self._parts = np.array([0, *(n for part in parts.values() for n in part)], np.int32)

    def __call__(self, numbers_T: Any) -> tuple[Any, Any]:
        """Return the new numbers, and of each the place of the one it comes from."""
        row_T = self._row_of(numbers_T)
        length_T = _taken(self._lengths, row_T)
        source = tf.repeat(tf.range(tf.size(row_T)), length_T)
        within = tf.range(tf.size(source)) - tf.gather(tf.cumsum(length_T, exclusive=True), source)
        row = tf.gather(row_T, source)
        begins = tf.cumsum(tf.cast(tf.constant(self._lengths), tf.int32), exclusive=True)
        replaced = tf.gather(tf.constant(self._parts), tf.gather(begins, row) + within)
        return tf.where(row == 0, tf.gather(numbers_T, source), replaced), source


def _narrow(values: np.ndarray) -> np.ndarray:
    """Return numbers from 0 in a type that holds them all: a graph keeps them as they are."""
    return values.astype(np.min_scalar_type(values.max(initial=0)))


def _taken(values: np.ndarray, index: Any) -> Any:
    """Return the values at some indices, int32."""
    return tf.cast(tf.gather(tf.constant(values), index), tf.int32)


@dataclasses.dataclass(frozen=True)
class Characters:
    """The characters of texts, one after the other.

    Attributes:
        codes: Code points int32 [T].
        rows: Number of each one's text, rising, int64 [T].
        places: Number of the character of the text as it was given that each comes from [T].
    """

    codes: Any
    rows: Any
    places: Any

    @classmethod
    def of(cls, texts_N: Any) -> "Characters":
        """Return the characters of UTF-8 strings; bytes that are none become U+FFFD."""
        ragged = tf.strings.unicode_decode(texts_N, "UTF-8")
        places = tf.ragged.range(ragged.row_lengths()).values
        return cls(ragged.values, ragged.value_rowids(), tf.cast(places, tf.int32))

    def taken(self, codes: Any, source: Any) -> "Characters":
        """Return other characters that come from these."""
        return Characters(codes, tf.gather(self.rows, source), tf.gather(self.places, source))

    def kept(self, is_kept_T: Any) -> "Characters":
        """Return some of the characters."""
        kept = tf.where(is_kept_T)[:, 0]
        return self.taken(tf.gather(self.codes, kept), kept)

    def begins(self) -> Any:
        """Return whether each character is the first of its text [T]."""
        return tf.reverse(differs_from_next(tf.reverse(self.rows, [0])), [0])

    def follow(self, is_some_T: Any) -> Any:
        """Return whether each character begins a text or follows one of some [T]."""
        follows_T = tf.concat([[True], is_some_T[:-1]], 0)[: tf.size(is_some_T)]
        return follows_T | self.begins()


def folded(characters: Characters, is_space: Table) -> Characters:
    """Keep one of white space that follows white space, and none at a text's begin or end."""
    space_T = is_space(characters.codes) > 0
    single = characters.kept(~(space_T & characters.follow(space_T)))
    return single.kept(~((is_space(single.codes) > 0) & differs_from_next(single.rows)))


def differs_from_next(values_T: Any) -> Any:
    """Return whether each value differs from the next; the last one does [T]."""
    return tf.concat([values_T[1:] != values_T[:-1], [True]], 0)[: tf.size(values_T)]
