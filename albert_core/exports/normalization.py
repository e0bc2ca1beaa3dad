"""The tokenizers' normalisation of text as operations of a TensorFlow graph.

TensorFlow has neither Python's `unicodedata` nor its lower-casing. The tokenizer itself is
therefore run on every character, between two letters, and what it returns becomes a table in the
graph. This is exact for every rule that looks at one character. Three rules look at its neighbours
and are written as operations: white space is folded, a capital sigma becomes another small letter
at a word's end than elsewhere, and Hugging Face's rules make one quotation mark of two.

Shape suffix: T characters of all texts.
"""

from collections.abc import Callable, Sequence
from typing import Any
from unicodedata import category

import numpy as np
import tensorflow as tf

from albert_core.exports.code_points import (
    NUM_CODE_POINTS,
    Characters,
    LookupTable,
    Replacement,
    fold_white_space,
)
from albert_core.tokenization import Tokenizer

# Outside these are surrogates, which no string holds, and characters that normalisation leaves as
# they are: none is white space, a mark or a capital, or decomposes.
_TABULATED = (range(0xD800), range(0xE000, 0x30000), range(0xE0000, 0xE1000))
_SIGMA, _FINAL_SIGMA = ord("σ"), ord("ς")
# What a character is to a sigma beside it; 0 is anything that ends a word.
_TRANSPARENT, _OF_WORD = 1, 2
# Two characters take the place of two, so that the offsets of what follows stay right. The second
# is dropped: a combining acute accent with all accents; where they are kept, what is no character.
_PAIRS_OF_QUOTES, _ACCENT, _NO_CHARACTER = "``|''", "\u0301", "\U0010ffff"


class Normalization:
    """The normalisation of a tokenizer as a function of a graph.

    Making one takes seconds: it tabulates what the tokenizer makes of each character, by running it
    on all of them; for a lower-casing tokenizer also which neighbours change a final sigma.

    Args:
        tokenizer: The tokenizer.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        """Tabulate what the tokenizer makes of each character, by running it on all: takes seconds.

        The tables are: what replaces each character, which are white space and, for a tokenizer
        that lower-cases, which neighbours change a final sigma.
        """
        self._rules = tokenizer.context_rules
        codes = [code for part in _TABULATED for code in part]
        between = [text[1:-1] for text in _normalized(tokenizer, "a{}a", codes)]
        normal = dict(zip(codes, between, strict=True))
        dropped = _NO_CHARACTER if tokenizer.keeps_accents else _ACCENT
        self._one_quote = f'"{dropped}'
        parts = {code: [*map(ord, text)] for code, text in normal.items() if text != chr(code)}
        if self._rules.joins_quotes:
            parts[ord(dropped)] = []
        self._replacement = Replacement(parts, NUM_CODE_POINTS)
        self._is_space = _make_table(codes, [chr(code).isspace() for code in codes])
        self._final_sigma = None
        if tokenizer.lower_case:
            # The characters that can matter to a sigma beside them; far fewer than all.
            neighbours = [
                code for code, text in normal.items() if not _is_caseless(chr(code) + text)
            ]
            self._final_sigma = _FinalSigma(tokenizer, neighbours)

    def __call__(self, texts_N: Any) -> Characters:
        """Return the characters of UTF-8 strings after normalisation.

        Pairs of quotes are joined, white space is folded before or after all else, characters are
        replaced by the table and final sigmas set, each as far as the tokenizer's rules say so.
        Offsets are those of the strings before it. Invalid bytes become U+FFFD.
        """
        if self._rules.joins_quotes:
            texts_N = tf.strings.regex_replace(texts_N, _PAIRS_OF_QUOTES, self._one_quote)
        characters = Characters.from_strings(texts_N)
        if self._rules.white_space == "folded_before":
            characters = fold_white_space(characters, self._is_space)
        codes, source = self._replacement(characters.codes)
        if self._final_sigma:
            is_final = tf.gather(self._final_sigma(characters), source)
            codes = tf.where(is_final, _FINAL_SIGMA, codes)
        characters = characters.replace(codes, source)
        if self._rules.white_space == "folded_after":
            return fold_white_space(characters, self._is_space)
        return characters


# By the content hash of the tokenizer: the models of a run share a vocabulary, and to run it on all
# characters takes seconds.
_NORMALIZATIONS: dict[str, Normalization] = {}


def get_normalization(tokenizer: Tokenizer) -> Normalization:
    """Return the normalisation of a tokenizer, made once in a process for equal tokenizers."""
    key = tokenizer.content_hash()
    if key not in _NORMALIZATIONS:
        _NORMALIZATIONS[key] = Normalization(tokenizer)
    return _NORMALIZATIONS[key]


class _FinalSigma:
    """Finds the capital sigmas that `str.lower` turns into a final sigma.

    These are the ones with a cased letter before them and none after them, where some characters,
    such as apostrophes and accents, are transparent: the rule looks through them. Which characters
    are what is read off `str.lower` by putting each beside a sigma.

    Args:
        tokenizer: A tokenizer that lower-cases.
        codes: The characters that may be cased or transparent.
    """

    def __init__(self, tokenizer: Tokenizer, codes: Sequence[int]) -> None:
        """Tabulate by the tokenizer which characters are a capital sigma, a letter or transparent.

        A transparent one, such as an accent, is looked through for the character behind it. What a
        character is may differ for the sigma after it and for the one before it.
        """
        final, inside = chr(_FINAL_SIGMA), chr(_SIGMA)
        as_last, within, before, behind, after, amid = (
            _normalized(tokenizer, form, codes)
            for form in ("a{}", "a{}a", "{}Σ", "a{}Σ", "aΣ{}", "aΣ{}a")
        )
        self._is_sigma = _make_table(
            codes,
            [
                last == f"a{final}" and between == f"a{inside}a"
                for last, between in zip(as_last, within, strict=True)
            ],
        )
        self._before = _make_table(
            codes,
            [
                _OF_WORD if alone[-1] == final else _TRANSPARENT * (beside[-1] == final)
                for alone, beside in zip(before, behind, strict=True)
            ],
        )
        self._after = _make_table(
            codes,
            [
                _OF_WORD if first[1] == inside else _TRANSPARENT * (second[1] == inside)
                for first, second in zip(after, amid, strict=True)
            ],
        )

    def __call__(self, characters: Characters) -> Any:
        """Return whether each character is a sigma after a letter and before none [T]."""
        codes_T = characters.codes
        before_T = _nearest(characters, self._before(codes_T), tf.identity)
        after_T = _nearest(characters, self._after(codes_T), _backwards)
        return (self._is_sigma(codes_T) > 0) & (before_T == _OF_WORD) & (after_T != _OF_WORD)


def _nearest(characters: Characters, classes_T: Any, directed: Callable[[Any], Any]) -> Any:
    """Return the class of the nearest character before each that is not transparent [T].

    It is 0 where the text has none.

    Args:
        characters: The characters.
        classes_T: Their classes.
        directed: `tf.identity`; or `_backwards` for the nearest character after each.
    """
    rows_T, classes_T = directed(characters.rows), directed(classes_T)
    solid_T = classes_T != _TRANSPARENT
    # The number of solid characters before a character is the index, among the solid ones and
    # behind a stand-in for none, of the nearest.
    number_T = tf.cumsum(tf.cast(solid_T, tf.int32), exclusive=True)
    solid_rows = tf.concat([[-1], rows_T[solid_T]], 0)
    solid_classes = tf.concat([[0], classes_T[solid_T]], 0)
    is_same_text_T = tf.gather(solid_rows, number_T) == rows_T
    return directed(tf.where(is_same_text_T, tf.gather(solid_classes, number_T), 0))


def _backwards(values_T: Any) -> Any:
    """Return values in reverse order; twice, they are as before."""
    return values_T[::-1]


def _is_caseless(characters: str) -> bool:
    """Return whether all characters are letters without case or unassigned."""
    return not any(c.islower() or category(c) not in ("Lo", "Cn") for c in characters)


def _normalized(tokenizer: Tokenizer, form: str, codes: Sequence[int]) -> list[str]:
    """Return a form, such as `a{}a`, with each character in it, normalised."""
    before, after = form.split("{}")
    return [tokenizer.preprocess(f"{before}{chr(code)}{after}") for code in codes]


def _make_table(codes: Sequence[int], values: Sequence[int]) -> LookupTable:
    """Return the table of all code points with some values; 0 elsewhere."""
    array = np.zeros(NUM_CODE_POINTS, np.int32)
    array[codes] = values
    return LookupTable(array)
