"""N-gram whole-word masking and sentence-order swaps, drawn anew every time a record is read.

Shape suffixes: B batch, S sequence, P predictions, V vocabulary.

Source: create_masked_lm_predictions of the original's create_pretraining_data.py. Deviates from
the original: a word never runs across [SEP], every draw is seeded, and swaps are drawn here
(docs/deviations.md).
"""

from typing import Any

import numba
import numpy as np

from albert_core.records.config import MaskingConfig
from albert_core.tokenization import SpecialIds


def mask_pairs(
    pieces: np.ndarray,
    lengths: np.ndarray,
    first_lengths: np.ndarray,
    streams: np.ndarray,
    *,
    config: MaskingConfig,
    sequence_length: int,
    word_starts: np.ndarray,
    special_ids: SpecialIds,
) -> dict[str, np.ndarray]:
    """Draw swap and masks of a batch of segment pairs.

    Args:
        pieces: int32, the pieces of all pairs, one after the other.
        lengths: int64 [B], pieces of each pair.
        first_lengths: int64 [B], pieces of each first segment.
        streams: uint64 [B], the seed of each pair's draws.
        config: What to mask.
        sequence_length: Length S of the input.
        word_starts: bool [V], whether a piece begins a word.
        special_ids: Where the vocabulary has [CLS], [SEP] and [MASK].

    Returns:
        int32 `input_ids`, `input_mask`, `segment_ids` [B, S], `masked_lm_positions`,
        `masked_lm_ids` [B, P], float32 `masked_lm_weights` [B, P] and int32
        `sentence_order_labels` [B]: 1 where the segments are swapped. As in the original, padding
        is 0 whatever piece that is; `input_mask` tells it apart.
    """
    num_pairs, num_predictions = len(lengths), config.max_predictions(sequence_length)
    per_piece, per_prediction = (num_pairs, sequence_length), (num_pairs, num_predictions)
    batch = {
        "input_ids": np.zeros(per_piece, np.int32),
        "input_mask": np.zeros(per_piece, np.int32),
        "segment_ids": np.zeros(per_piece, np.int32),
        "masked_lm_positions": np.zeros(per_prediction, np.int32),
        "masked_lm_ids": np.zeros(per_prediction, np.int32),
        "masked_lm_weights": np.zeros(per_prediction, np.float32),
        "sentence_order_labels": np.zeros(num_pairs, np.int32),
    }
    starts = word_starts if config.whole_word else np.ones_like(word_starts)
    odds = config.ngram_odds()
    _mask_batch(
        pieces, lengths, first_lengths, streams, starts, odds, config.mask_probability,
        special_ids.cls, special_ids.sep, special_ids.mask, *batch.values(),
    )  # fmt: skip
    return batch


_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)
_MIX_3 = np.uint64(0xD1342543DE82EF95)


def streams_of(seed: int, epochs: np.ndarray, indices: np.ndarray) -> np.ndarray:
    """Return the seeds uint64 [B] of the draws for records by their place: (epoch, index)."""
    keys = {
        epoch: np.random.SeedSequence((seed, epoch)).generate_state(1, np.uint64)[0]
        for epoch in set(epochs.tolist())
    }
    of_epoch = np.array([keys[epoch] for epoch in epochs.tolist()], dtype=np.uint64)
    return of_epoch + indices.astype(np.uint64) * _MIX_3


@numba.njit(cache=True)
def _uniform(state: Any) -> float:
    """Draw from [0, 1) with SplitMix64; `state` [1] moves on."""
    state[0] += _GOLDEN
    z = state[0]
    z = (z ^ (z >> np.uint64(30))) * _MIX_1
    z = (z ^ (z >> np.uint64(27))) * _MIX_2
    z = z ^ (z >> np.uint64(31))
    return (z >> np.uint64(11)) * (1.0 / 9007199254740992.0)


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
def _word_bounds(row: Any, length: int, starts: Any, bounds: Any, sep: int) -> int:
    """Write the positions where words begin, and one past the last; return the number of words.

    Special pieces belong to no word: a position counts as a word's begin behind them, too.
    """
    num_words = 0
    for position in range(1, length - 1):
        if row[position] == sep:
            continue
        if position == 1 or row[position - 1] == sep or starts[row[position]]:
            bounds[num_words] = position
            num_words += 1
    bounds[num_words] = length - 1
    return num_words


@numba.njit(cache=True)
def _num_pieces(row: Any, begin: int, end: int, sep: int) -> int:
    """Count the pieces of a run of words, which may run across [SEP]."""
    return np.sum(row[begin:end] != sep)


@numba.njit(cache=True)
def _choose_positions(
    row: Any, length: int, bounds: Any, num_words: int, quota: int, odds: Any, chosen: Any,
    order: Any, state: Any, sep: int,
) -> None:  # fmt: skip
    """Mark n-grams of words, from words in random order, until the quota is full."""
    for index in range(num_words):
        order[index] = index
    count = 0
    for index in range(num_words):
        other = index + int(_uniform(state) * (num_words - index))
        order[index], order[other] = order[other], order[index]
        if count >= quota:
            break
        word = order[index]
        ngram = int(np.searchsorted(odds, _uniform(state), side="right")) + 1
        ngram = min(ngram, len(odds), num_words - word)
        begin = bounds[word]
        while ngram and count + _num_pieces(row, begin, bounds[word + ngram], sep) > quota:
            ngram -= 1
        end = bounds[word + ngram]
        if ngram == 0 or chosen[begin:end].any():
            continue
        count += _num_pieces(row, begin, end, sep)
        for position in range(begin, end):
            if row[position] != sep:
                chosen[position] = True


@numba.njit(cache=True)
def _replacement(piece: int, vocab_size: int, state: Any, mask: int) -> int:
    """Return [MASK] in 80 %, the piece itself in 10 %, a random piece in 10 % of the draws."""
    draw = _uniform(state)
    if draw < 0.8:
        return mask
    if draw < 0.9:
        return piece
    return int(_uniform(state) * vocab_size)


@numba.njit(cache=True, nogil=True)
def _mask_batch(
    pieces: Any, lengths: Any, first_lengths: Any, streams: Any, starts: Any, odds: Any,
    mask_probability: float, cls: int, sep: int, mask: int, input_ids: Any, input_mask: Any,
    segment_ids: Any, positions: Any, labels: Any, weights: Any, swaps: Any,
) -> None:  # fmt: skip
    sequence_length, num_slots = input_ids.shape[1], positions.shape[1]
    bounds = np.zeros(sequence_length + 1, np.int64)
    order = np.zeros(sequence_length, np.int64)
    state = np.zeros(1, np.uint64)
    offset = 0
    for example in range(len(lengths)):
        state[0] = streams[example]
        pair = pieces[offset : offset + lengths[example]]
        offset += lengths[example]
        swap = _uniform(state) < 0.5
        swaps[example] = swap
        row = input_ids[example]
        first_length = first_lengths[example]
        length = _place_segments(row, segment_ids[example], pair, first_length, swap, cls, sep)
        input_mask[example, :length] = 1
        num_words = _word_bounds(row, length, starts, bounds, sep)
        quota = min(num_slots, max(1, round(length * mask_probability)))
        chosen = np.zeros(length, np.bool_)
        _choose_positions(row, length, bounds, num_words, quota, odds, chosen, order, state, sep)
        slot = 0
        for position in range(length):
            if chosen[position]:
                positions[example, slot] = position
                labels[example, slot] = row[position]
                weights[example, slot] = 1.0
                row[position] = _replacement(row[position], len(starts), state, mask)
                slot += 1
