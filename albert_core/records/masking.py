"""N-gram whole-word masking and sentence-order swaps of segment pairs.

Shape suffixes: B batch, S sequence, P predictions, V vocabulary.

Source: create_masked_lm_predictions of the original's create_pretraining_data.py. Deviates from
the original: a word never runs across [SEP], every draw is seeded, and swaps are drawn here
(docs/deviations.md).
"""

from typing import Any

import numba
import numpy as np

from albert_core.records.config import MaskingConfig
from albert_core.records.pairs import SegmentPairs
from albert_core.records.rng import below, uniform
from albert_core.tokenization import SpecialIds

_INDEX_STEP = np.uint64(0xD1342543DE82EF95)
_MASKED, _PERMUTED = 1, 2


def mask_pairs(
    pairs: SegmentPairs,
    *,
    config: MaskingConfig,
    sequence_length: int,
    word_starts: np.ndarray,
    special_ids: SpecialIds,
) -> dict[str, np.ndarray]:
    """Draw swaps and masks of a batch of segment pairs.

    Args:
        pairs: What to mask; swapped where their label leaves that open.
        config: What to mask.
        sequence_length: Length S of the input.
        word_starts: bool [V], whether a piece begins a word.
        special_ids: Where the vocabulary has [CLS], [SEP] and [MASK].

    Returns:
        int32 `input_ids`, `input_mask`, `segment_ids` [B, S], `masked_lm_positions`,
        `masked_lm_ids` [B, P], float32 `masked_lm_weights` [B, P] and int32
        `sentence_order_labels` [B]: 1 where the segments are not in the order of the text. As in
        the original, padding is 0 whatever piece that is; `input_mask` tells it apart.
    """
    num_predictions = config.max_predictions(sequence_length)
    per_piece, per_prediction = (len(pairs), sequence_length), (len(pairs), num_predictions)
    batch = {
        "input_ids": np.zeros(per_piece, np.int32),
        "input_mask": np.zeros(per_piece, np.int32),
        "segment_ids": np.zeros(per_piece, np.int32),
        "masked_lm_positions": np.zeros(per_prediction, np.int32),
        "masked_lm_ids": np.zeros(per_prediction, np.int32),
        "masked_lm_weights": np.zeros(per_prediction, np.float32),
        "sentence_order_labels": np.zeros(len(pairs), np.int32),
    }
    _mask_batch(
        pairs.pieces, pairs.lengths, pairs.first_lengths, pairs.labels, pairs.streams,
        word_starts if config.whole_word else np.ones_like(word_starts),
        config.compat == "original" and config.whole_word, config.ngram_odds(),
        config.mask_probability, config.max_masked(sequence_length), config.permutation,
        special_ids.cls, special_ids.sep, special_ids.mask, *batch.values(),
    )  # fmt: skip
    return batch


def streams_of(seed: int, epochs: np.ndarray, indices: np.ndarray) -> np.ndarray:
    """Return the states uint64 [B] of the draws for records by their place: (epoch, index)."""
    keys = {
        epoch: np.random.SeedSequence((seed, epoch)).generate_state(1, np.uint64)[0]
        for epoch in set(epochs.tolist())
    }
    of_epoch = np.array([keys[epoch] for epoch in epochs.tolist()], dtype=np.uint64)
    return of_epoch + indices.astype(np.uint64) * _INDEX_STEP


@numba.njit(cache=True)
def _place_segments(
    row: Any, segments: Any, pieces: Any, first_length: int, swap: bool, cls: int, sep: int
) -> int:
    """Write [CLS] A [SEP] B [SEP] and the segment ids; return the length."""
    a, b = pieces[:first_length], pieces[first_length:]
    if swap:
        a, b = b, a
    length = len(pieces) + 3
    row[0] = cls
    row[1 : 1 + len(a)] = a
    row[1 + len(a)] = sep
    row[2 + len(a) : length - 1] = b
    row[length - 1] = sep
    segments[2 + len(a) : length] = 1
    return length


@numba.njit(cache=True)
def _word_bounds(
    row: Any, length: int, starts: Any, joins_over_sep: bool, bounds: Any, sep: int
) -> int:
    """Write the positions where words begin, and one past the last; return the number of words.

    Special pieces belong to no word: a position counts as a word's begin behind them, too.
    """
    num_words = 0
    for position in range(1, length - 1):
        if row[position] == sep:
            continue
        is_behind_special = position == 1 or (row[position - 1] == sep and not joins_over_sep)
        if is_behind_special or starts[row[position]]:
            bounds[num_words] = position
            num_words += 1
    bounds[num_words] = length - 1
    return num_words


@numba.njit(cache=True)
def _num_pieces(row: Any, begin: int, end: int, sep: int) -> int:
    """Count the pieces of a run of words, which may run across [SEP]."""
    count = 0
    for position in range(begin, end):
        count += row[position] != sep
    return count


@numba.njit(cache=True)
def _is_free(taken: Any, begin: int, end: int) -> bool:
    return not np.any(taken[begin:end])


@numba.njit(cache=True)
def _take_ngrams(
    row: Any, bounds: Any, num_words: int, quota: int, odds: Any, taken: Any, mark: int,
    order: Any, state: Any, sep: int,
) -> None:  # fmt: skip
    """Mark n-grams of free words, from words in random order, until the quota is full."""
    for index in range(num_words):
        order[index] = index
    count = 0
    for index in range(num_words):
        other = index + below(state, num_words - index)
        order[index], order[other] = order[other], order[index]
        if count >= quota:
            break
        word = order[index]
        ngram = 1
        draw = uniform(state)
        while ngram < len(odds) and draw >= odds[ngram - 1]:
            ngram += 1
        ngram = min(ngram, num_words - word)
        begin = bounds[word]
        while ngram and count + _num_pieces(row, begin, bounds[word + ngram], sep) > quota:
            ngram -= 1
        end = bounds[word + ngram]
        if ngram == 0 or not _is_free(taken, begin, end):
            continue
        count += _num_pieces(row, begin, end, sep)
        for position in range(begin, end):
            if row[position] != sep:
                taken[position] = mark


@numba.njit(cache=True)
def _replacement(piece: int, vocab_size: int, state: Any, mask: int) -> int:
    """Return [MASK] in 80 %, the piece itself in 10 %, a random piece in 10 % of the draws."""
    draw = uniform(state)
    if draw < 0.8:
        return mask
    if draw < 0.9:
        return piece
    return below(state, vocab_size)


@numba.njit(cache=True)
def _permute(row: Any, length: int, taken: Any, order: Any, state: Any) -> None:
    """Let the pieces marked for it trade places; `order` [S] is room to work in."""
    count = 0
    for position in range(length):
        if taken[position] == _PERMUTED:
            order[count] = position
            count += 1
    for index in range(count - 1):
        other = index + below(state, count - index)
        here, there = order[index], order[other]
        row[here], row[there] = row[there], row[here]


@numba.njit(cache=True, nogil=True)
def _mask_batch(
    pieces: Any, lengths: Any, first_lengths: Any, labels: Any, streams: Any, starts: Any,
    joins_over_sep: bool, odds: Any, mask_probability: float, max_masked: int, permutation: bool,
    cls: int, sep: int, mask: int, input_ids: Any, input_mask: Any, segment_ids: Any,
    positions: Any, predicted: Any, weights: Any, order_labels: Any,
) -> None:  # fmt: skip
    sequence_length = input_ids.shape[1]
    bounds = np.zeros(sequence_length + 1, np.int64)
    order = np.zeros(sequence_length, np.int64)
    taken = np.zeros(sequence_length, np.uint8)
    state = np.zeros(1, np.uint64)
    offset = 0
    for example in range(len(lengths)):
        state[0] = streams[example]
        pair = pieces[offset : offset + lengths[example]]
        offset += lengths[example]
        swap = uniform(state) < 0.5 and labels[example] < 0
        order_labels[example] = 1 if swap else max(0, labels[example])
        row = input_ids[example]
        first_length = first_lengths[example]
        length = _place_segments(row, segment_ids[example], pair, first_length, swap, cls, sep)
        input_mask[example, :length] = 1
        num_words = _word_bounds(row, length, starts, joins_over_sep, bounds, sep)
        quota = min(max_masked, max(1, round(length * mask_probability)))
        taken[:length] = 0
        _take_ngrams(row, bounds, num_words, quota, odds, taken, _MASKED, order, state, sep)
        if permutation:
            _take_ngrams(row, bounds, num_words, quota, odds, taken, _PERMUTED, order, state, sep)
        slot = 0
        for position in range(length):
            if taken[position]:
                positions[example, slot] = position
                predicted[example, slot] = row[position]
                weights[example, slot] = 1.0
                slot += 1
                if taken[position] == _MASKED:
                    row[position] = _replacement(row[position], len(starts), state, mask)
        if permutation:
            _permute(row, length, taken, order, state)
