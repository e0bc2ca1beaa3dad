"""The words of a text, and the characters at which they begin and end."""

import re
import unicodedata
from collections.abc import Iterator, Sequence

Bounds = tuple[int, int]
"""Numbers of a word's first character and of the one after its last."""

# Scripts that write no spaces between words: each of their characters is a word.
_CHARACTER = "\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"
_RUN = re.compile(rf"[{_CHARACTER}]|[^\s{_CHARACTER}]+")
_PUNCTUATION = ("P", "S")  # general categories: punctuation and symbols


def split_words(text: str) -> list[Bounds]:
    """Return the bounds of a text's words, in their order.

    Words are what white space separates, without the punctuation and symbols at their ends, each of
    which is a word by itself, as `(` and `.` are in `(in the U.K.)`. Each Chinese character and
    each Japanese syllable is a word, too.
    """
    return [bounds for run in _RUN.finditer(text) for bounds in _parts(text, *run.span())]


def join_words(words: Sequence[str]) -> tuple[str, list[Bounds]]:
    """Return words with a space between any two, and their bounds in this text.

    Blank words are joined, too; no word gives an empty text.
    """
    bounds, begin = [], 0
    for word in words:
        bounds.append((begin, begin + len(word)))
        begin += len(word) + 1
    return " ".join(words), bounds


def _parts(text: str, begin: int, end: int) -> Iterator[Bounds]:
    """Yield the words in a run of characters without white space: its middle, and signs around."""
    first, last = begin, end
    while first < last and _is_sign(text[first]):
        first += 1
    while last > first and _is_sign(text[last - 1]):
        last -= 1
    yield from ((number, number + 1) for number in range(begin, first))
    if first < last:
        yield first, last
    yield from ((number, number + 1) for number in range(last, end))


def _is_sign(character: str) -> bool:
    return unicodedata.category(character).startswith(_PUNCTUATION)
