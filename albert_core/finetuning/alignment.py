"""Align the tokens of a text with its characters.

Tokenization normalises text, so tokens and text differ in places: marks dropped, characters
decomposed, white space folded. As in the original the two are matched by a longest common
subsequence within a band around the diagonal, character by character, and gaps are filled.

Deviates from the original: letters that normalisation takes apart, as Korean syllables and vowel
signs of Tamil and Thai, are matched by what becomes of them; there they match nothing, so that
texts in these scripts have no answers. A letter with its marks and vowels is never divided.

Source: `_convert_index` and `_lcs_match` of the original's squad_utils.py.

Shape suffixes: C characters of the text, E characters that they become, K characters of the tokens,
P tokens.
"""

import dataclasses
import sys
import unicodedata
from collections.abc import Sequence

import numpy as np

from albert_core.finetuning.letter_clusters import find_letter_clusters
from albert_core.processes.kernels import kernel
from albert_core.tokenization import Tokenizer

_ABSENT = -1
_SEVERAL, _UNMET, _NOT_ONE, _VANISHING = -3, -2, -1, 0  # instead of a normalised code point
_UP, _LEFT, _MATCH, _UNREACHED = 0, 1, 2, 3
_ENOUGH = 0.8  # of the text's characters must match; the original counts vanishing ones, too
_SLACK = 5


@dataclasses.dataclass(frozen=True, kw_only=True)
class AlignedText:
    """A text, its tokens, and the characters each of them stands for.

    Attributes:
        text: The text.
        ids: Token ids, int32 [P].
        starts: Number of each token's first character in the text, int32 [P].
        ends: Number of its last character, int32 [P].
        start_tokens: For a span that begins at a character: its first token, int32 [C].
        end_tokens: For a span that ends at a character: its last token, int32 [C].
    """

    text: str
    ids: np.ndarray
    starts: np.ndarray
    ends: np.ndarray
    start_tokens: np.ndarray
    end_tokens: np.ndarray

    def span_tokens(self, start: int, length: int) -> tuple[int, int]:
        """Return the numbers of the first and the last token of a span of characters.

        Args:
            start: Number of its first character in the text, from 0.
            length: Number of its characters, 1 or more.
        """
        return int(self.start_tokens[start]), int(self.end_tokens[start + length - 1])


class Aligner:
    """Tokenizes texts and aligns the tokens with their characters.

    Args:
        tokenizer: The tokenizer.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        """Begin without any normalised character; they are kept for all texts as they come."""
        self._tokenizer = tokenizer
        self._codes = np.full(sys.maxunicode + 1, _UNMET, np.int32)
        self._expansions: dict[int, np.ndarray] = {}  # of the characters whose code is _SEVERAL

    def align(self, texts: Sequence[str]) -> list[AlignedText | None]:
        """Return each text with its tokens, in order; None for one that cannot be aligned.

        That is an empty text, one without tokens, and one of whose characters fewer than 80 % have
        a match in the tokens; characters that normalisation drops do not count.
        """
        batch = self._tokenizer.tokenize_batch(texts)
        return [self._align(text, tokens) for text, tokens in zip(texts, batch, strict=True)]

    def _align(self, text: str, tokens: list[str]) -> AlignedText | None:
        """Align a text with its tokens; return None if that is not possible.

        None for an empty text, for tokens without any character, and if none of the text's
        characters, or fewer than 80 % of those that normalisation keeps, have a match in the
        tokens.

        Args:
            text: The text.
            tokens: Its tokens, as the tokenizer returned them.
        """
        surfaces = self._tokenizer.surfaces(tokens)
        joined = "".join(surfaces)
        if not text or not joined:
            return None
        codes_E, begins_C = self._normalised(text)
        match = _match(codes_E, _code_points(joined))
        if match is None:
            return None
        in_tokens_E, in_text_K = match
        lengths_P = np.fromiter(map(len, surfaces), np.int64, len(surfaces))
        ends_P = np.cumsum(lengths_P)
        token_of_K = np.repeat(np.arange(len(surfaces), dtype=np.int32), lengths_P)
        from_text_E = GapFilledMap(in_tokens_E)
        from_tokens_K = GapFilledMap(in_text_K, limit=len(codes_E))
        sizes_C = np.diff(begins_C, append=len(codes_E))
        character_of_E = np.repeat(np.arange(len(text), dtype=np.int32), sizes_C)
        # A letter that several tokens share belongs to the one that it begins in.
        starts_P = from_tokens_K.starts(ends_P - lengths_P)
        begins_inside_P = starts_P > begins_C[character_of_E[starts_P]]
        last_characters_P = character_of_E[from_tokens_K.ends(ends_P - 1)]
        first_characters_P = np.minimum(
            character_of_E[starts_P] + begins_inside_P,
            np.maximum(last_characters_P, character_of_E[starts_P]),
        )
        return _keep_clusters_whole(
            AlignedText(
                text=text,
                ids=np.array(self._tokenizer.token_ids(tokens), np.int32),
                starts=first_characters_P.astype(np.int32),
                ends=last_characters_P,
                start_tokens=token_of_K[from_text_E.starts(begins_C)],
                end_tokens=token_of_K[from_text_E.ends(begins_C)],
            )
        )

    def _normalised(self, text: str) -> tuple[np.ndarray, np.ndarray]:
        """Return the code points that the characters become, int32 [E], and where each begins [C].

        Every character has one at least: `_VANISHING` where it becomes none, `_NOT_ONE` where a
        sign that is no letter becomes several, which the original leaves unmatched. The longest
        common subsequence matches neither.
        """
        codes_C = _code_points(text)
        # Each character once for all texts: normalising is slow, and few are different.
        for code in set(codes_C[self._codes[codes_C] == _UNMET].tolist()):
            normal = self._tokenizer.normalize_character(chr(code))
            if len(normal) > 1 and unicodedata.category(chr(code))[0] in "LM":
                normal = self._in_tokens(chr(code))
            if len(normal) > 1 and unicodedata.category(chr(code))[0] in "LM":
                self._codes[code] = _SEVERAL
                self._expansions[code] = _code_points(normal)
                continue
            several = _NOT_ONE if normal else _VANISHING
            self._codes[code] = ord(normal) if len(normal) == 1 else several
        normal_C = self._codes[codes_C]
        if not (normal_C == _SEVERAL).any():
            return normal_C, np.arange(len(text))
        parts = [
            self._expansions[code] if normal == _SEVERAL else np.array([normal], np.int32)
            for code, normal in zip(codes_C.tolist(), normal_C.tolist(), strict=True)
        ]
        lengths_C = np.fromiter(map(len, parts), np.int64, len(parts))
        return np.concatenate(parts), np.cumsum(lengths_C) - lengths_C

    def _in_tokens(self, letter: str) -> str:
        """Return a letter as its tokens hold it: SentencePiece may put together what was apart."""
        return "".join(self._tokenizer.surfaces(self._tokenizer.tokenize(letter))).strip()


def _keep_clusters_whole(aligned: AlignedText) -> AlignedText:
    """Return an alignment in which each letter cluster belongs to the token that it begins in.

    A token that begins and ends inside a cluster begun by another has no other characters: it
    keeps its start, ends with the cluster, and overlaps the other.

    Normalisation drops marks, so that no token holds them; without the last one `ضُ` is another
    word. Between Thai words there are no spaces, and a token may hold the last vowel of one word
    and the first letter of the next.
    """
    clusters = find_letter_clusters(aligned.text)
    if clusters is None:
        return aligned
    starts_P, ends_P = aligned.starts, aligned.ends
    begins_inside_P = clusters.begins[starts_P] < starts_P
    next_clusters_P = clusters.ends[starts_P] + 1
    has_next_P = begins_inside_P & (next_clusters_P <= ends_P)
    return dataclasses.replace(
        aligned,
        starts=np.where(has_next_P, next_clusters_P, starts_P),
        ends=clusters.ends[ends_P],
        start_tokens=aligned.start_tokens[clusters.begins],
        end_tokens=aligned.end_tokens[clusters.begins],
    )


class GapFilledMap:
    """A monotonic map between positions of two texts, in which gaps are filled by neighbours.

    Args:
        index: The position that each position maps to, int32; -1 in gaps.
        limit: Length of the text that is mapped to. With it a gap at the end reaches to the end of
            that text; without it it maps to the last known position.
    """

    def __init__(self, index: np.ndarray, limit: int | None = None) -> None:
        """Find for each position the nearest known targets: at or before it, and at or after it."""
        self._limit = limit
        positions = np.arange(len(index))
        known = index >= 0
        before = np.maximum.accumulate(np.where(known, positions, -1))
        after = np.minimum.accumulate(np.where(known, positions, len(index))[::-1])[::-1]
        self._front = np.where(before >= 0, index[before], _ABSENT)
        self._rear = np.where(after < len(index), index[np.minimum(after, len(index) - 1)], _ABSENT)
        self._index = index

    def starts(self, positions: np.ndarray) -> np.ndarray:
        """Return the positions to which the first positions of spans map, int32.

        For a gap between two matches it is the position after the first match, if the other text
        has a gap there, too; else the second match. Before the first match it is 0; after the last
        one, the position after it, or the last match where `limit` leaves no such position or is
        not given.
        """
        front, rear = self._front[positions], self._rear[positions]
        inside = np.where(rear > front + 1, front + 1, rear)
        return self._fill_gaps(positions, inside, at_begin=np.zeros_like(rear), at_end=front + 1)

    def ends(self, positions: np.ndarray) -> np.ndarray:
        """Return the positions to which the last positions of spans map, int32.

        For a gap between two matches it is the position before the second match, if the other text
        has a gap there, too; else the first match. Before the first match it is the position before
        it, 0 at least; after the last one, the position `limit` - 1, or the last match without a
        limit.
        """
        front, rear = self._front[positions], self._rear[positions]
        inside = np.where(rear > front + 1, rear - 1, front)
        last = np.full_like(front, (self._limit or 0) - 1)
        return self._fill_gaps(positions, inside, at_begin=np.maximum(rear - 1, 0), at_end=last)

    def _fill_gaps(
        self, positions: np.ndarray, inside: np.ndarray, at_begin: np.ndarray, at_end: np.ndarray
    ) -> np.ndarray:
        """Return the target of each position: the known one, or one of three by where its gap is.

        `at_begin` where nothing before the position is known, `at_end` where nothing after it is
        (unless the target has no room there: then the last known one), else `inside`.
        """
        front, rear = self._front[positions], self._rear[positions]
        has_room = front < (self._limit or 0) - 1
        at_end = np.where(has_room, at_end, front)
        filled = np.where(front < 0, at_begin, np.where(rear < 0, at_end, inside))
        known = self._index[positions]
        return np.where(known >= 0, known, filled).astype(np.int32)


def _match(text_codes_C: np.ndarray, token_codes_K: np.ndarray) -> tuple[np.ndarray, ...] | None:
    """Return the position of each character of one in the other [C], [K]; None if too few match.

    The position is -1 for a character without a match. Too few are none, or less than 80 % of the
    text's characters that do not vanish. If a first try does not match more than these 80 %, a
    second one counts, which compares characters up to twice as far apart, and costs twice as much.
    """
    needed = _ENOUGH * np.count_nonzero(text_codes_C != _VANISHING)
    # The original's band and its one wider try: another width could match other characters.
    max_distance = abs(len(text_codes_C) - len(token_codes_K)) + _SLACK
    for distance in (max_distance, 2 * max_distance):
        num_matched, in_tokens_C, in_text_K = _longest_common_subsequence(
            text_codes_C, token_codes_K, distance
        )
        # More than needed ends the search, fewer refuse the text: so the original compares, too.
        if num_matched > needed:
            break
    if num_matched < needed or num_matched == 0:
        return None
    return in_tokens_C, in_text_K


@kernel(nogil=True)
def _longest_common_subsequence(first, second, max_distance):  # type: ignore[no-untyped-def]
    """Return the length of the longest common subsequence and the pairs that it is made of.

    The pairs are two arrays: for each element of `first` its position in `second`, and for each of
    `second` that in `first`; -1 where it has no partner.

    Only pairs (i, j) with i - max_distance <= j < i + max_distance are compared: the whole table
    of a context of 10,000 characters would be 100 million pairs.
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


@kernel(nogil=True)
def _fill(first, second, max_distance):  # type: ignore[no-untyped-def]
    """Fill the table of the longest common subsequence in a band around the diagonal.

    Row i and column k stand for the prefixes first[: i + 1] and second[: j + 1], j = i + k -
    max_distance. Prefixes outside of the band count as 0.

    Returns:
        The lengths of their longest common subsequences, int32 [N, 2 * max_distance + 1], whose
        last column is 0; and the last move to each, int8 [N, 2 * max_distance].
    """
    width = 2 * max_distance
    # One more column that stays 0: lengths[i - 1, k + 1] is read there, outside of the band.
    lengths = np.zeros((len(first), width + 1), np.int32)
    moves = np.full((len(first), width), _UNREACHED, np.int8)
    for i in range(len(first)):
        begin = max(0, max_distance - i)
        for k in range(begin, min(width, len(second) - i + max_distance)):
            j = i - max_distance + k
            best, move = 0, _UNREACHED
            # As in the original's `_lcs_match`, of equally long ones up wins over left, and both
            # over a match: `>=` anywhere would move answers.
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
    # JSON can write half of a pair of surrogates, which UTF-32 refuses otherwise.
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.int32)
