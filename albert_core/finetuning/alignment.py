"""Which characters of a text the pieces of its tokenization stand for.

Tokenization normalises text, so pieces and text differ in places: marks dropped, characters
decomposed, white space folded. As in the original the two are matched by a longest common
subsequence within a band around the diagonal, character by character, and gaps are bridged.

Source: `_convert_index` and `_lcs_match` of the original's squad_utils.py.

Shape suffixes: C characters of the text, K characters of the pieces, P pieces.
"""

import dataclasses
import sys
from collections.abc import Sequence

import numba
import numpy as np

from albert_core.tokenization import Tokenizer

_ABSENT = -1
_UNMET, _NOT_ONE, _VANISHING = -2, -1, 0  # instead of a normalised code point
_UP, _LEFT, _MATCH, _UNREACHED = 0, 1, 2, 3
_ENOUGH = 0.8  # of the text's characters must match; the original counts vanishing ones, too
_SLACK = 5


@dataclasses.dataclass(frozen=True, kw_only=True)
class AlignedText:
    """A text, its pieces, and where each lies in it.

    Attributes:
        text: The text.
        ids: Piece ids int32 [P].
        starts: Number of each piece's first character in the text, int32 [P].
        ends: Number of its last character, int32 [P].
        piece_of_start: The piece a span that begins at each character begins with, int32 [C].
        piece_of_end: The piece a span that ends at each character ends with, int32 [C].
    """

    text: str
    ids: np.ndarray
    starts: np.ndarray
    ends: np.ndarray
    piece_of_start: np.ndarray
    piece_of_end: np.ndarray

    def pieces_of(self, start: int, length: int) -> tuple[int, int]:
        """Return the first and the last piece of a span of characters."""
        return int(self.piece_of_start[start]), int(self.piece_of_end[start + length - 1])


class Aligner:
    """Tokenizes texts and finds where their pieces lie.

    Args:
        tokenizer: The tokenizer.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._codes = np.full(sys.maxunicode + 1, _UNMET, np.int32)

    def align(self, texts: Sequence[str]) -> list[AlignedText | None]:
        """Return texts with their pieces; None where too little of a text is found in them."""
        batch = self._tokenizer.tokenize_batch(texts)
        return [self._align(text, pieces) for text, pieces in zip(texts, batch, strict=True)]

    def _align(self, text: str, pieces: list[str]) -> AlignedText | None:
        surfaces = self._tokenizer.surfaces(pieces)
        joined = "".join(surfaces)
        if not text or not joined:
            return None
        found = _match(self._normalised(text), _code_points(joined))
        if found is None:
            return None
        in_pieces_C, in_text_K = found
        lengths_P = np.fromiter(map(len, surfaces), np.int64, len(surfaces))
        ends_P = np.cumsum(lengths_P)
        piece_of_K = np.repeat(np.arange(len(surfaces), dtype=np.int32), lengths_P)
        from_text_C = Bridged(in_pieces_C)
        from_pieces_K = Bridged(in_text_K, limit=len(text))
        characters_C = np.arange(len(text))
        return AlignedText(
            text=text,
            ids=np.array(self._tokenizer.token_ids(pieces), np.int32),
            starts=from_pieces_K.starts(ends_P - lengths_P),
            ends=from_pieces_K.ends(ends_P - 1),
            piece_of_start=piece_of_K[from_text_C.starts(characters_C)],
            piece_of_end=piece_of_K[from_text_C.ends(characters_C)],
        )

    def _normalised(self, text: str) -> np.ndarray:
        """Return the code point that tokenization makes of each character, if it makes one."""
        codes_C = _code_points(text)
        for code in set(codes_C[self._codes[codes_C] == _UNMET].tolist()):
            normal = self._tokenizer.normalize_character(chr(code))
            several = _NOT_ONE if normal else _VANISHING
            self._codes[code] = ord(normal) if len(normal) == 1 else several
        return self._codes[codes_C]


class Bridged:
    """A map of positions with gaps; positions in a gap go with their neighbours.

    Args:
        index: What each position maps to, int32, -1 in gaps.
        limit: Length of what is mapped to; without it the last gap goes with its neighbour.
    """

    def __init__(self, index: np.ndarray, limit: int | None = None) -> None:
        self._limit = limit
        positions = np.arange(len(index))
        known = index >= 0
        before = np.maximum.accumulate(np.where(known, positions, -1))
        after = np.minimum.accumulate(np.where(known, positions, len(index))[::-1])[::-1]
        self._front = np.where(before >= 0, index[before], _ABSENT)
        self._rear = np.where(after < len(index), index[np.minimum(after, len(index) - 1)], _ABSENT)
        self._index = index

    def starts(self, positions: np.ndarray) -> np.ndarray:
        """Return where spans begin that begin at these positions: in a gap, at its begin."""
        front, rear = self._front[positions], self._rear[positions]
        inside = np.where(rear > front + 1, front + 1, rear)
        return self._bridge(positions, inside, at_begin=np.zeros_like(rear), at_end=front + 1)

    def ends(self, positions: np.ndarray) -> np.ndarray:
        """Return where spans end that end at these positions: in a gap, at its end."""
        front, rear = self._front[positions], self._rear[positions]
        inside = np.where(rear > front + 1, rear - 1, front)
        last = np.full_like(front, (self._limit or 0) - 1)
        return self._bridge(positions, inside, at_begin=np.maximum(rear - 1, 0), at_end=last)

    def _bridge(
        self, positions: np.ndarray, inside: np.ndarray, at_begin: np.ndarray, at_end: np.ndarray
    ) -> np.ndarray:
        front, rear = self._front[positions], self._rear[positions]
        has_room = front < (self._limit or 0) - 1
        at_end = np.where(has_room, at_end, front)
        bridged = np.where(front < 0, at_begin, np.where(rear < 0, at_end, inside))
        own = self._index[positions]
        return np.where(own >= 0, own, bridged).astype(np.int32)


def _match(text_codes_C: np.ndarray, piece_codes_K: np.ndarray) -> tuple[np.ndarray, ...] | None:
    """Return where each character of one is in the other, or None if too few are."""
    needed = _ENOUGH * np.count_nonzero(text_codes_C != _VANISHING)
    max_distance = abs(len(text_codes_C) - len(piece_codes_K)) + _SLACK
    for distance in (max_distance, 2 * max_distance):
        num_matched, in_pieces_C, in_text_K = _longest_common_subsequence(
            text_codes_C, piece_codes_K, distance
        )
        if num_matched > needed:
            break
    if num_matched < needed or num_matched == 0:
        return None
    return in_pieces_C, in_text_K


@numba.njit(nogil=True, cache=True)
def _longest_common_subsequence(first, second, max_distance):  # type: ignore[no-untyped-def]
    """Return its length, and where each element of one is in the other (-1: nowhere).

    Only pairs (i, j) with i - max_distance <= j < i + max_distance are looked at.
    """
    lengths, moves = _fill(first, second, max_distance)
    in_second = np.full(len(first), _ABSENT, np.int32)
    in_first = np.full(len(second), _ABSENT, np.int32)
    i, j = len(first) - 1, len(second) - 1
    last = j - i + max_distance
    while i >= 0 and j >= 0:
        k = j - i + max_distance
        if k < 0 or k >= 2 * max_distance or moves[i, k] == _UNREACHED:
            break
        if moves[i, k] == _MATCH:
            in_second[i], in_first[j] = j, i
        i, j = i - (moves[i, k] != _LEFT), j - (moves[i, k] != _UP)
    return lengths[-1, last], in_second, in_first


@numba.njit(nogil=True, cache=True)
def _fill(first, second, max_distance):  # type: ignore[no-untyped-def]
    """Return the lengths up to each pair (i, i + k - max_distance), and the moves to it."""
    width = 2 * max_distance
    # One column more, always 0: to the right of the band nothing is known.
    lengths = np.zeros((len(first), width + 1), np.int32)
    moves = np.full((len(first), width), _UNREACHED, np.int8)
    for i in range(len(first)):
        begin = max(0, max_distance - i)
        for k in range(begin, min(width, len(second) - i + max_distance)):
            j = i - max_distance + k
            best, move = 0, _UNREACHED
            if i > 0:
                best, move = lengths[i - 1, k + 1], _UP
            if k > begin and lengths[i, k - 1] > best:
                best, move = lengths[i, k - 1], _LEFT
            if first[i] == second[j]:
                diagonal = lengths[i - 1, k] if i > 0 and j > 0 else 0
                if diagonal + 1 > best:
                    best, move = diagonal + 1, _MATCH
            lengths[i, k], moves[i, k] = best, move
    return lengths, moves


def _code_points(text: str) -> np.ndarray:
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.int32)
