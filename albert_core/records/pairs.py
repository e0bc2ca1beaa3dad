"""From the sentences of documents to segment pairs, as ranges of one array of pieces.

Shape suffixes: T pieces, N sentences, D documents, M pairs, V vocabulary.

Source: create_instances_from_document of the original's create_pretraining_data.py. Deviates from
the original: a chunk of one sentence is never paired with a random document, and swaps are drawn
when a pair is masked (docs/deviations.md); `compat="original"` does as the original.
"""

import dataclasses
from typing import Any

import numba
import numpy as np

from albert_core.records.config import NUM_SPECIAL_PIECES, RecordsConfig
from albert_core.records.rng import below, next_bits, uniform

IN_ORDER, NOT_IN_ORDER, UNDECIDED = 0, 1, -1


@dataclasses.dataclass(frozen=True)
class Documents:
    """Encoded documents, one after the other.

    Attributes:
        pieces: int32 [T].
        sentences: int64 [N + 1], where each sentence begins, and the end of the last.
        documents: int64 [D + 1], the sentence each document begins with, and N.
    """

    pieces: np.ndarray
    sentences: np.ndarray
    documents: np.ndarray


@dataclasses.dataclass(frozen=True)
class SegmentPairs:
    """Segment pairs, without special pieces.

    Attributes:
        pieces: int32 [T], the pieces of all pairs, one after the other.
        lengths: int64 [M], pieces of each pair.
        first_lengths: int64 [M], pieces of each first segment.
        labels: int8 [M]: 0 the segments are in the order of the text, 1 they are not, -1 in order
            here, and whether to swap them is left to the reader.
        streams: uint64 [M], the state of each pair's further draws.
        num_documents: Documents that gave a pair.
    """

    pieces: np.ndarray
    lengths: np.ndarray
    first_lengths: np.ndarray
    labels: np.ndarray
    streams: np.ndarray
    num_documents: int = 0

    def __len__(self) -> int:
        return len(self.lengths)


def cut_pairs(
    documents: Documents,
    streams: np.ndarray,
    *,
    instance: int,
    config: RecordsConfig,
    word_starts: np.ndarray,
) -> SegmentPairs:
    """Cut every document once into pairs of at most the sequence length, specials included.

    Args:
        documents: What to cut; a random segment comes from another document among these.
        streams: uint64 [D], the state of each document's draws.
        instance: Which copy of the documents this is. Every other one begins a sentence later,
            so that other sentences meet.
        config: How to cut.
        word_starts: bool [V], whether a piece begins a word.

    Returns:
        The pairs in random order.
    """
    original = config.compat == "original"
    num_sentences = len(documents.sentences) - 1
    bounds = np.zeros((num_sentences, 4), np.int64)
    labels = np.zeros(num_sentences, np.int8)
    of_pairs = np.zeros(num_sentences, np.uint64)
    count, num_documents = _cut_documents(
        documents.pieces, documents.sentences, documents.documents, streams, word_starts,
        0 if original else instance % 2, config.sequence_length - NUM_SPECIAL_PIECES,
        config.short_sequence_probability, config.random_next_sentence, original,
        bounds, labels, of_pairs,
    )  # fmt: skip
    order = np.argsort(of_pairs[:count], kind="stable")
    bounds = bounds[order]
    first_lengths = bounds[:, 1] - bounds[:, 0]
    lengths = first_lengths + bounds[:, 3] - bounds[:, 2]
    return SegmentPairs(
        pieces=_gather(documents.pieces, bounds, int(lengths.sum())),
        lengths=lengths,
        first_lengths=first_lengths,
        labels=labels[order],
        streams=of_pairs[order],
        num_documents=num_documents,
    )


@numba.njit(cache=True)
def _gather(pieces: Any, bounds: Any, size: int) -> Any:
    flat = np.empty(size, pieces.dtype)
    end = 0
    for pair in range(len(bounds)):
        for side in range(2):
            begin, stop = bounds[pair, 2 * side], bounds[pair, 2 * side + 1]
            flat[end : end + stop - begin] = pieces[begin:stop]
            end += stop - begin
    return flat


@numba.njit(cache=True, nogil=True)
def _cut_documents(
    pieces: Any, sentences: Any, documents: Any, streams: Any, word_starts: Any, shift: int,
    limit: int, short_sequence_probability: float, random_next: bool, original: bool,
    bounds: Any, labels: Any, of_pairs: Any,
) -> tuple[int, int]:  # fmt: skip
    """Return the numbers of pairs and of documents that gave one."""
    state = np.zeros(1, np.uint64)
    count, num_documents = 0, 0
    for document in range(len(documents) - 1):
        state[0] = streams[document]
        target = limit
        if uniform(state) < short_sequence_probability:
            target = 2 + below(state, limit - 1)
        before = count
        begin, end = documents[document], documents[document + 1]
        position = begin + (shift if end - begin > 2 else 0)
        while position < end:
            position, label = _next_pair(
                position, document, target, limit, pieces, sentences, documents, word_starts,
                random_next, original, state, bounds[count],
            )  # fmt: skip
            pair = bounds[count]
            if pair[1] > pair[0] and pair[3] > pair[2]:
                labels[count] = label
                of_pairs[count] = next_bits(state)
                count += 1
        num_documents += count > before
    return count, num_documents


@numba.njit(cache=True)
def _next_pair(
    begin: int, document: int, target: int, limit: int, pieces: Any, sentences: Any,
    documents: Any, word_starts: Any, random_next: bool, original: bool, state: Any, pair: Any,
) -> Any:  # fmt: skip
    """Write the bounds of the next pair, equal ones for none; return the next sentence, the label.

    The chunk from `begin` on ends where it has `target` pieces.
    """
    end = _chunk_end(sentences, begin, documents[document + 1], target, original)
    lone = end - begin == 1
    cut = end if lone else begin + 1 + below(state, end - begin - 1)
    pair[0], pair[1], pair[2], pair[3] = (
        sentences[begin], sentences[cut], sentences[cut], sentences[end],
    )  # fmt: skip
    if lone and not original:
        middle = _middle(pieces, pair[0], pair[1], word_starts, state)
        if middle < 0:
            pair[1] = pair[0]
            return end, IN_ORDER
        pair[1] = pair[2] = middle
    label = UNDECIDED if not (random_next or original) else IN_ORDER
    has_others = original or len(documents) > 2
    if (lone and original) or (random_next and has_others and uniform(state) < 0.5):
        num_wanted = target - (pair[1] - pair[0])
        pair[2], pair[3] = _random_segment(document, num_wanted, sentences, documents, state)
        end, label = cut, NOT_IN_ORDER
    elif original and not random_next and uniform(state) < 0.5:
        pair[0], pair[1], pair[2], pair[3] = pair[2], pair[3], pair[0], pair[1]
        label = NOT_IN_ORDER
    _truncate(pair, limit, original, state)
    return end, label


@numba.njit(cache=True)
def _chunk_end(sentences: Any, begin: int, end: int, target: int, original: bool) -> int:
    """Return the end of the chunk from `begin` on; a lone last sentence joins it."""
    position = begin + 1
    while position < end and sentences[position] - sentences[begin] < target:
        position += 1
    if not original and position == end - 1 and sentences[end] - sentences[position] < target:
        return end
    return position


@numba.njit(cache=True)
def _middle(pieces: Any, begin: int, end: int, word_starts: Any, state: Any) -> int:
    """Return the word start nearest the middle of a sentence; -1 for a single word.

    Of two equally near the coin decides, so that the lengths do not tell the order of the text.
    """
    for distance in range(end - begin + 1):
        before, after = -1, -1
        if (begin + end - distance) % 2 == 0:
            before, after = (begin + end - distance) // 2, (begin + end + distance) // 2
        is_before = before > begin and word_starts[pieces[before]]
        is_after = begin < after < end and word_starts[pieces[after]]
        if is_before and is_after:
            return before if uniform(state) < 0.5 else after
        if is_before or is_after:
            return before if is_before else after
    return -1


@numba.njit(cache=True)
def _random_segment(
    document: int, num_wanted: int, sentences: Any, documents: Any, state: Any
) -> Any:
    """Return the bounds of sentences of another document, from a random one on.

    As in the original, ten draws that all give the document itself are left at that. Equal bounds
    are those of a document without text.
    """
    other = document
    for _ in range(10):
        other = below(state, len(documents) - 1)
        if other != document:
            break
    if documents[other] == documents[other + 1]:
        return 0, 0
    begin = documents[other] + below(state, documents[other + 1] - documents[other])
    end = begin + 1
    while end < documents[other + 1] and sentences[end] - sentences[begin] < num_wanted:
        end += 1
    return sentences[begin], sentences[end]


@numba.njit(cache=True)
def _truncate(pair: Any, limit: int, original: bool, state: Any) -> None:
    """Drop pieces from front or back of the longer segment until both fit.

    Deviates from the original: on a tie the coin decides. There it is always the second, which is
    no harm where segments are swapped before; here they are swapped later, and lengths that knew
    the order of the text would give the swap away.
    """
    first, second = pair[1] - pair[0], pair[3] - pair[2]
    excess = first + second - limit
    if excess <= 0:
        return
    until_equal = min(excess, abs(first - second))
    rest = excess - until_equal
    drop_first = rest // 2 + (until_equal if first > second else 0)
    if rest % 2 and not original and uniform(state) < 0.5:
        drop_first += 1
    _cut_ends(pair, 0, drop_first, state)
    _cut_ends(pair, 2, excess - drop_first, state)


@numba.njit(cache=True)
def _cut_ends(pair: Any, side: int, num_dropped: int, state: Any) -> None:
    """Drop pieces of one segment, each from the front or the back by the toss of a coin."""
    front = 0
    for _ in range(num_dropped):
        front += uniform(state) < 0.5
    pair[side] += front
    pair[side + 1] -= num_dropped - front
