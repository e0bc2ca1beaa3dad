"""Where the words of a text begin, read off the pieces of a vocabulary.

Shape suffix: V vocabulary.
"""

import functools
import unicodedata
from collections.abc import Iterable, Sequence

import numpy as np

# Bits of the tables that `Tokenizer.word_borders` returns.
BEGINS_WORD = 1  # the token begins a word, wherever it stands
ENDS_WORD = 2  # whatever token follows begins a word

# Scripts that put no spaces between words: beginnings of the names of their characters.
_WITHOUT_SPACES = (
    "CJK", "IDEOGRAPHIC", "HIRAGANA", "KATAKANA", "HENTAIGANA", "BOPOMOFO", "YI ", "TANGUT",
    "NUSHU", "KHITAN", "THAI", "LAO", "KHMER", "MYANMAR", "TIBETAN", "JAVANESE", "BALINESE",
    "TAI ", "NEW TAI",
)  # fmt: skip


def is_english(pieces: Iterable[str], *, word_start: str) -> bool:
    """Return whether a vocabulary is one of English, by its letters.

    It is if letters that are not ASCII are pieces by themselves only, as rare letters are, and at
    most half of all letters. A vocabulary without letters is English.

    Args:
        pieces: The vocabulary.
        word_start: The mark of a piece that begins a word.
    """
    texts = {piece.removeprefix(word_start) for piece in pieces}
    letters = {char for text in texts for char in text if _is_letter(char)}
    others = {char for char in letters if not char.isascii()}
    is_joined = any(len(text) > 1 and not others.isdisjoint(text) for text in texts)
    return not is_joined and 2 * len(others) <= len(letters)


def text_word_borders(pieces: Sequence[str], *, word_start: str) -> np.ndarray:
    """Return a table of bits, uint8 [V], of where words begin and end in the text.

    A word is a run of letters, their marks, numbers and invisible format characters. Any other
    sign is one by itself, and so is each piece in a script that puts no spaces between words, as
    Chinese and Thai: a vocabulary knows no other words of theirs.

    Args:
        pieces: The vocabulary.
        word_start: The mark of a piece that begins a word.
    """
    return np.array([_borders(piece, word_start) for piece in pieces], np.uint8)


def _borders(piece: str, word_start: str) -> int:
    """Return the bits of a piece; the mark alone does not end a word, but begins the next."""
    text = piece.removeprefix(word_start)
    begins = text != piece or not text or not _continues_word(text[0])
    ends = bool(text) and not _continues_word(text[-1])
    return begins * BEGINS_WORD | ends * ENDS_WORD


@functools.cache
def _continues_word(character: str) -> bool:
    """Return whether a character belongs to the same word as a letter beside it.

    Letters, their marks, numbers (all of Unicode's category N: digits, fractions, Roman numerals)
    and invisible format characters do; not those of scripts that put no spaces between words.
    """
    # Cf: joiners and hyphenation marks, which are invisible inside words.
    if not (_is_letter(character) or unicodedata.category(character)[0] == "N"):
        return unicodedata.category(character) == "Cf"
    return not unicodedata.name(character, "").startswith(_WITHOUT_SPACES)


def _is_letter(character: str) -> bool:
    """Return whether a character is a letter or a mark of one, such as a vowel sign."""
    return unicodedata.category(character)[0] in "LM"
