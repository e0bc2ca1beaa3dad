"""Letters with the marks and vowels that follow them, which no answer begins or ends between.

Shape suffix: C characters of a text.
"""

import dataclasses
import unicodedata

import numpy as np

# Thai and Lao vowels that are written after a consonant, though Unicode calls them letters: no word
# begins with them. SARA AM, U+0E33, is one and becomes two characters, of which one is a mark.
_FOLLOWING_VOWELS = frozenset("\u0e30\u0e32\u0e33\u0e45\u0eb0\u0eb2\u0eb3")


@dataclasses.dataclass(frozen=True, kw_only=True)
class LetterClusters:
    """The letter clusters of a text.

    Attributes:
        begins: For each character the first one of its cluster, int32 [C].
        ends: For each character the last one of its cluster, int32 [C].
    """

    begins: np.ndarray
    ends: np.ndarray


def find_letter_clusters(text: str) -> LetterClusters | None:
    """Return the letter clusters of a text; None if each character is a cluster by itself.

    A cluster is a character with the marks and following vowels (Thai, Lao) behind it.
    """
    if text.isascii():
        return None
    follows_C = np.fromiter(map(_follows_a_letter, text), bool, len(text))
    if not follows_C[1:].any():
        return None
    follows_C[0] = False
    positions_C = np.arange(len(text), dtype=np.int32)
    begins_C = np.maximum.accumulate(np.where(follows_C, 0, positions_C))
    is_last_C = np.append(~follows_C[1:], True)
    ends_C = np.where(is_last_C, positions_C, len(text) - 1)
    ends_C = np.minimum.accumulate(ends_C[::-1])[::-1]
    return LetterClusters(begins=begins_C.astype(np.int32), ends=ends_C.astype(np.int32))


def _follows_a_letter(character: str) -> bool:
    """Return whether a character belongs to the letter before it."""
    return unicodedata.category(character)[0] == "M" or character in _FOLLOWING_VOWELS
