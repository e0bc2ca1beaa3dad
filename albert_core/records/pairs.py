"""Cut documents into segment pairs.

Shape suffixes: T tokens, N sentences, D documents, M pairs, V vocabulary.

Source: create_instances_from_document of the original's create_pretraining_data.py. Deviates from
the original: a chunk of one sentence is never paired with a random document, and swaps are drawn
when a pair is masked (docs/deviations.md); `compat="original"` does as the original.

Every draw comes from the generator of a document. The order of the draws is part of the format:
another order gives other records for the same seed.
"""

import dataclasses
from typing import Any

import numpy as np

from albert_core.processes.kernels import kernel
from albert_core.records.config import NUM_SPECIAL_TOKENS, RecordsConfig
from albert_core.records.rng import integer_below, next_bits, uniform
from albert_core.records.word_borders import begins_word

IN_ORDER, NOT_IN_ORDER, UNDECIDED = 0, 1, -1


@dataclasses.dataclass(frozen=True)
class Documents:
    """Encoded documents, one after the other.

    Attributes:
        token_ids: int32 [T].
        sentences: int64 [N + 1], the token each sentence begins with, and T.
        documents: int64 [D + 1], the sentence each document begins with, and N.
    """

    token_ids: np.ndarray
    sentences: np.ndarray
    documents: np.ndarray


@dataclasses.dataclass(frozen=True)
class SegmentPairs:
    """Segment pairs, without special tokens.

    Attributes:
        token_ids: int32 [T], the tokens of all pairs, one after the other.
        lengths: int64 [M], number of tokens of each pair.
        first_lengths: int64 [M], number of tokens of each first segment.
        labels: int8 [M], `IN_ORDER`, `NOT_IN_ORDER` or `UNDECIDED`. The segments of an undecided
            pair are in the order of the text; whether they are swapped is drawn when it is masked.
        rng_states: uint64 [M], the generator state of each pair, for swap and masks.
        num_documents: Number of documents that gave at least one pair.
    """

    token_ids: np.ndarray
    lengths: np.ndarray
    first_lengths: np.ndarray
    labels: np.ndarray
    rng_states: np.ndarray
    num_documents: int = 0

    def __len__(self) -> int:
        return len(self.lengths)


def cut_pairs(
    documents: Documents,
    rng_states: np.ndarray,
    *,
    instance: int,
    config: RecordsConfig,
    word_starts: np.ndarray,
) -> SegmentPairs:
    """Cut every document once into pairs of at most the sequence length, special tokens included.

    The same documents and states give the same pairs. Text of which no pair can be made, such as a
    document of one word, is left out.

    Args:
        documents: The documents. With `random_next_sentence`, random second segments come from
            other documents among these.
        rng_states: uint64 [D], the state of each document's generator; not changed.
        instance: Number of the copy, from 0. Odd copies leave out the first sentence of documents
            of three or more, so that other sentences are paired; not with `compat="original"`.
        config: How to cut.
        word_starts: uint8 [V], as `Tokenizer.word_borders` returns it.

    Returns:
        The pairs of all documents, in random order.
    """
    original = config.compat == "original"
    # A pair uses up at least one sentence, so there are never more pairs than sentences.
    num_sentences = len(documents.sentences) - 1
    bounds = np.zeros((num_sentences, 4), np.int64)
    labels = np.zeros(num_sentences, np.int8)
    pair_rng_states = np.zeros(num_sentences, np.uint64)
    num_pairs, num_documents = _cut_documents(
        documents.token_ids, documents.sentences, documents.documents, rng_states, word_starts,
        0 if original else instance % 2, config.sequence_length - NUM_SPECIAL_TOKENS,
        config.short_sequence_probability, config.random_next_sentence, original,
        bounds, labels, pair_rng_states,
    )  # fmt: skip
    # The states are random and independent of the text, so sorting by them shuffles the pairs
    # without a draw of its own. Stable, so that equal states cannot depend on NumPy's sort.
    order = np.argsort(pair_rng_states[:num_pairs], kind="stable")
    bounds = bounds[order]
    first_lengths = bounds[:, 1] - bounds[:, 0]
    lengths = first_lengths + bounds[:, 3] - bounds[:, 2]
    return SegmentPairs(
        token_ids=_gather_tokens(documents.token_ids, bounds, int(lengths.sum())),
        lengths=lengths,
        first_lengths=first_lengths,
        labels=labels[order],
        rng_states=pair_rng_states[order],
        num_documents=num_documents,
    )


@kernel()
def _gather_tokens(token_ids: Any, bounds: Any, num_tokens: int) -> np.ndarray:
    """Copy the tokens of all pairs one after the other.

    Args:
        token_ids: int32 [T], those of the documents.
        bounds: int64 [M, 4], as `_cut_documents` writes them.
        num_tokens: Number of tokens in all pairs.

    Returns:
        int32 [num_tokens].
    """
    gathered = np.empty(num_tokens, token_ids.dtype)
    position = 0
    for pair in range(len(bounds)):
        for segment in range(2):
            begin, end = bounds[pair, 2 * segment], bounds[pair, 2 * segment + 1]
            gathered[position : position + end - begin] = token_ids[begin:end]
            position += end - begin
    return gathered


# nogil: local Beam workers may be threads of one process.
@kernel(nogil=True)
def _cut_documents(
    token_ids: Any, sentences: Any, documents: Any, rng_states: Any, word_starts: Any, shift: int,
    limit: int, short_sequence_probability: float, random_next: bool, original: bool,
    bounds: Any, labels: Any, pair_rng_states: Any,
) -> tuple[int, int]:  # fmt: skip
    """Cut all documents into pairs and write these into the last three arrays.

    Args:
        token_ids: int32 [T], the tokens of all documents.
        sentences: int64 [N + 1], the token each sentence begins with, and T.
        documents: int64 [D + 1], the sentence each document begins with, and N.
        rng_states: uint64 [D], the state of each document's generator; not changed.
        word_starts: uint8 [V], as `Tokenizer.word_borders` returns it.
        shift: Sentences left out at the beginning of documents of three sentences or more.
        limit: Most tokens of a pair.
        short_sequence_probability: Chance that a document is cut for a random shorter length.
        random_next: Whether half of the second segments come from other documents.
        original: Whether to follow the original where it is deviated from by default.
        bounds: Receives int64 [N, 4]: begin and end of both segments in `token_ids`.
        labels: Receives int8 [N], the labels of the pairs.
        pair_rng_states: Receives uint64 [N], the states of the pairs' own generators.

    Returns:
        Number of pairs M, which are the first rows of the three arrays, and number of documents
        that gave a pair.
    """
    state = np.zeros(1, np.uint64)
    num_pairs, num_documents = 0, 0
    for document in range(len(documents) - 1):
        state[0] = rng_states[document]
        target = limit
        if uniform(state) < short_sequence_probability:
            # From 2 to the limit, both included, as by the original's `randint(2, limit)`.
            target = 2 + integer_below(state, limit - 1)
        num_pairs_before = num_pairs
        begin, end = documents[document], documents[document + 1]
        # A shorter document would lose most of its text to the shift, or all.
        position = begin + (shift if end - begin > 2 else 0)
        while position < end:
            position, label = _cut_next_pair(
                position, document, target, limit, token_ids, sentences, documents, word_starts,
                random_next, original, state, bounds[num_pairs],
            )  # fmt: skip
            pair = bounds[num_pairs]
            # An empty segment is no pair: its row of `bounds` is written over by the next.
            if pair[1] > pair[0] and pair[3] > pair[2]:
                labels[num_pairs] = label
                # A generator of the pair's own: how many draws its masks take must not change
                # how the rest of the document is cut.
                pair_rng_states[num_pairs] = next_bits(state)
                num_pairs += 1
        num_documents += num_pairs > num_pairs_before
    return num_pairs, num_documents


@kernel()
def _cut_next_pair(
    begin: int, document: int, target: int, limit: int, token_ids: Any, sentences: Any,
    documents: Any, word_starts: Any, random_next: bool, original: bool, state: Any, pair: Any,
) -> tuple[int, int]:  # fmt: skip
    """Cut the chunk of sentences from `begin` on into one pair.

    The chunk is parted at a random sentence; a chunk of one sentence at its middle word, or, with
    `original`, its second segment is random. With `random_next`, half of the second segments are
    replaced by random ones, if there are other documents; the next chunk then begins with the
    sentences replaced. Only with `original` and without `random_next`, half of the others are
    swapped here.

    Args:
        begin: First sentence of the chunk.
        document: Number of the document it belongs to.
        target: Tokens at which the chunk ends.
        limit: Most tokens of the pair; what is above is truncated.
        token_ids: int32 [T], the tokens of all documents.
        sentences: int64 [N + 1], the token each sentence begins with, and T.
        documents: int64 [D + 1], the sentence each document begins with, and N.
        word_starts: uint8 [V], as `Tokenizer.word_borders` returns it.
        random_next: Whether half of the second segments come from other documents.
        original: Whether to follow the original where it is deviated from by default.
        state: uint64 [1], the document's generator; moved on.
        pair: Receives int64 [4], begin and end of both segments; an empty segment for no pair.

    Returns:
        The sentence that the next chunk begins with, and the pair's label.
    """
    end = _chunk_end(sentences, begin, documents[document + 1], target, original)
    is_single = end - begin == 1
    cut = end if is_single else begin + 1 + integer_below(state, end - begin - 1)
    pair[0], pair[1], pair[2], pair[3] = (
        sentences[begin], sentences[cut], sentences[cut], sentences[end],
    )  # fmt: skip
    if is_single and not original:
        # The original pairs a single sentence with a random document: the topic alone would then
        # tell most such pairs from true ones. Both halves of the sentence are one topic.
        middle = _middle_word_start(token_ids, pair[0], pair[1], word_starts, state)
        if middle < 0:
            pair[1] = pair[0]
            return end, IN_ORDER
        pair[1] = pair[2] = middle
    label = UNDECIDED if not (random_next or original) else IN_ORDER
    # Without another document there is nothing to take a random segment from; the original
    # draws from the document itself then.
    has_others = original or len(documents) > 2
    if (is_single and original) or (random_next and has_others and uniform(state) < 0.5):
        num_wanted = target - (pair[1] - pair[0])
        pair[2], pair[3] = _random_segment(document, num_wanted, sentences, documents, state)
        # The sentences of the true second segment are not used up: the next chunk begins there.
        end, label = cut, NOT_IN_ORDER
    elif original and not random_next and uniform(state) < 0.5:
        pair[0], pair[1], pair[2], pair[3] = pair[2], pair[3], pair[0], pair[1]
        label = NOT_IN_ORDER
    _truncate(pair, limit, original, state)
    return end, label


@kernel()
def _chunk_end(sentences: Any, begin: int, end: int, target: int, original: bool) -> int:
    """Return where the shortest chunk from `begin` on with at least `target` tokens ends.

    A chunk has at least one sentence and ends with its document at the latest. Unless `original`,
    a last sentence of fewer than `target` tokens joins it.

    Args:
        sentences: int64 [N + 1], the token each sentence begins with, and T.
        begin: First sentence of the chunk.
        end: One past the document's last sentence.
        target: Tokens at which the chunk ends.
        original: Whether to follow the original.

    Returns:
        One past the chunk's last sentence.
    """
    position = begin + 1
    while position < end and sentences[position] - sentences[begin] < target:
        position += 1
    # A short last sentence joins the chunk: alone it would make a pair of two fragments.
    if not original and position == end - 1 and sentences[end] - sentences[position] < target:
        return end
    return position


@kernel()
def _middle_word_start(token_ids: Any, begin: int, end: int, word_starts: Any, state: Any) -> int:
    """Return the token nearest the middle of a sentence that begins a word, but not the sentence.

    It is -1 if there is none, as in a single word. If two are equally near, one of them is drawn.

    Args:
        token_ids: int32 [T], the tokens of all documents.
        begin: First token of the sentence.
        end: One past its last token.
        word_starts: uint8 [V], as `Tokenizer.word_borders` returns it.
        state: uint64 [1], the document's generator; moved on by a tie only.
    """
    for distance in range(end - begin + 1):
        before, after = -1, -1
        # Twice the distance from the middle, which may lie between two tokens.
        if (begin + end - distance) % 2 == 0:
            before, after = (begin + end - distance) // 2, (begin + end + distance) // 2
        is_before = before > begin and begins_word(
            word_starts, token_ids[before], token_ids[before - 1]
        )
        is_after = begin < after < end and begins_word(
            word_starts, token_ids[after], token_ids[after - 1]
        )
        if is_before and is_after:
            # Always taking the same side would make the first segment the shorter one, and the
            # lengths would tell whether a pair is swapped.
            return before if uniform(state) < 0.5 else after
        if is_before or is_after:
            return before if is_before else after
    return -1


@kernel()
def _random_segment(
    document: int, num_wanted: int, sentences: Any, documents: Any, state: Any
) -> tuple[int, int]:
    """Return begin and end of sentences of another document, from a random one on.

    After ten draws of `document` itself, and so if it is the only one, they are its own.

    Args:
        document: Number of the document not to take them from.
        num_wanted: Tokens at which the segment ends; it may end earlier with its document.
        sentences: int64 [N + 1], the token each sentence begins with, and T.
        documents: int64 [D + 1], the sentence each document begins with, and N.
        state: uint64 [1], the generator of `document`; moved on.

    Returns:
        Two positions in the tokens; equal ones if the document drawn is empty.
    """
    other = document
    # As in the original: after ten draws of the document itself its own sentences are taken.
    for _ in range(10):
        other = integer_below(state, len(documents) - 1)
        if other != document:
            break
    if documents[other] == documents[other + 1]:
        return 0, 0
    begin = documents[other] + integer_below(state, documents[other + 1] - documents[other])
    end = begin + 1
    while end < documents[other + 1] and sentences[end] - sentences[begin] < num_wanted:
        end += 1
    return sentences[begin], sentences[end]


@kernel()
def _truncate(pair: Any, limit: int, original: bool, state: Any) -> None:
    """Shorten the longer segment, then both in turn, until the pair has at most `limit` tokens.

    Each token goes from the segment's front or back, drawn with equal chances; a pair that fits
    takes no draw. Where both are equally long and an odd number of tokens is left to drop, a draw
    decides which segment loses one more; in the original it is always the second.

    Args:
        pair: int64 [4], begin and end of both segments; changed in place.
        limit: Most tokens of the pair.
        original: Whether the second segment loses the odd token, as in the original.
        state: uint64 [1], the document's generator; moved on.
    """
    first, second = pair[1] - pair[0], pair[3] - pair[2]
    excess = first + second - limit
    if excess <= 0:
        return
    # What one token after the other would come to, counted at once: first from the longer
    # segment, then alternately from both.
    until_equal = min(excess, abs(first - second))
    rest = excess - until_equal
    drop_first = rest // 2 + (until_equal if first > second else 0)
    # The original swaps before it truncates; here pairs are swapped when they are masked, so a
    # second segment that is always the shorter one would give the swap away.
    if rest % 2 and not original and uniform(state) < 0.5:
        drop_first += 1
    _drop_from_ends(pair, 0, drop_first, state)
    _drop_from_ends(pair, 2, excess - drop_first, state)


@kernel()
def _drop_from_ends(pair: Any, side: int, num_dropped: int, state: Any) -> None:
    """Drop tokens of one segment, each from the front or the back with probability 0.5.

    As in the original: dropping from the back alone would favour the beginnings of sentences.

    Args:
        pair: int64 [4], begin and end of both segments; changed in place.
        side: 0 for the first segment, 2 for the second.
        num_dropped: Tokens to drop, not more than the segment has (not checked).
        state: uint64 [1], the document's generator; moved on.
    """
    num_front = 0
    for _ in range(num_dropped):
        num_front += uniform(state) < 0.5
    pair[side] += num_front
    pair[side + 1] -= num_dropped - num_front
