"""N-gram whole-word masking and sentence-order swaps of segment pairs.

Shape suffixes: B batch, S sequence, P predictions, T tokens of all pairs, V vocabulary.

Source: create_masked_lm_predictions of the original's create_pretraining_data.py. Deviates from
the original: a word never runs across [SEP], every draw is seeded, and swaps are drawn here
(docs/deviations.md).

Every draw for a pair comes from the pair's own generator. The order of the draws is part of the
format: another order gives other masks for the same seed, in records and in training.
"""

from typing import Any

import numpy as np

from albert_core.processes.kernels import kernel
from albert_core.records.config import MaskingConfig
from albert_core.records.pairs import SegmentPairs
from albert_core.records.rng import integer_below, uniform
from albert_core.records.word_borders import begins_word
from albert_core.tokenization import SpecialIds

_INDEX_STEP = np.uint64(0xD1342543DE82EF95)
_MASKED, _PERMUTED = 1, 2  # marks of chosen positions; 0 is a position that is not predicted


def mask_pairs(
    pairs: SegmentPairs,
    *,
    config: MaskingConfig,
    sequence_length: int,
    word_starts: np.ndarray,
    special_ids: SpecialIds,
) -> dict[str, np.ndarray]:
    """Draw swaps and masks of a batch of segment pairs, and add the special tokens.

    The same pairs give the same result: the states of their generators are not moved on.

    Args:
        pairs: B pairs of at most S - 3 tokens (not checked); those with the label `UNDECIDED` are
            swapped with probability 0.5.
        config: What to mask.
        sequence_length: Length S of the model's input.
        word_starts: uint8 [V], as `Tokenizer.word_borders` returns it.
        special_ids: The ids of [CLS], [SEP] and [MASK].

    Returns:
        int32 `input_ids`, `input_mask`, `segment_ids` [B, S]; int32 `masked_lm_positions`,
        `masked_lm_ids` (the tokens before masking) and float32 `masked_lm_weights` [B, P], with
        P = `config.max_predictions(S)`, positions ascending, and unused slots 0 in all three; and
        int32 `sentence_order_labels` [B]: 1 where the segments are not in the order of the text. As
        in the original, padding has id 0 whatever token that is; `input_mask` tells it apart.
    """
    num_predictions = config.max_predictions(sequence_length)
    tokens_shape, predictions_shape = (len(pairs), sequence_length), (len(pairs), num_predictions)
    # In the order of the parameters of `_mask_batch`, which fills them in.
    batch = {
        "input_ids": np.zeros(tokens_shape, np.int32),
        "input_mask": np.zeros(tokens_shape, np.int32),
        "segment_ids": np.zeros(tokens_shape, np.int32),
        "masked_lm_positions": np.zeros(predictions_shape, np.int32),
        "masked_lm_ids": np.zeros(predictions_shape, np.int32),
        "masked_lm_weights": np.zeros(predictions_shape, np.float32),
        "sentence_order_labels": np.zeros(len(pairs), np.int32),
    }
    _mask_batch(
        pairs.token_ids, pairs.lengths, pairs.first_lengths, pairs.labels, pairs.rng_states,
        word_starts if config.whole_word else np.ones_like(word_starts),
        config.compat == "original" and config.whole_word, config.ngram_cdf(),
        config.mask_probability, config.max_masked(sequence_length), config.permutation,
        config.mask_replace_probability, config.random_replace_probability,
        special_ids.cls, special_ids.sep, special_ids.mask, *batch.values(),
    )  # fmt: skip
    return batch


def record_rng_states(
    seed: int, epochs: np.ndarray, indices: np.ndarray, *, purpose: tuple[int, ...] = ()
) -> np.ndarray:
    """Return the generator states uint64 [B] of records, from their places in the training data.

    A state is a hash of seed and epoch, plus the index times an odd constant: it depends on nothing
    drawn before, and no two records of an epoch share one.

    Args:
        seed: Seed of the run.
        epochs: int [B], the epoch of each record.
        indices: int [B], the place of each record in the order of its epoch.
        purpose: Numbers that say what is drawn, hashed with seed and epoch. Empty for masks; every
            other draw needs numbers of its own, or it would repeat the draws of the masks.
    """
    # By place, not by draws made so far: a resumed run masks step k as the whole run does, and
    # several processes agree on a batch without talking to each other.
    states = {
        epoch: np.random.SeedSequence((seed, epoch, *purpose)).generate_state(1, np.uint64)[0]
        for epoch in set(epochs.tolist())
    }
    epoch_states = np.array([states[epoch] for epoch in epochs.tolist()], dtype=np.uint64)
    # An odd step visits all 2**64 states, so no two records of an epoch share one. It is not
    # SplitMix64's own step, with which a record's second draw would be its neighbour's first.
    return epoch_states + indices.astype(np.uint64) * _INDEX_STEP


@kernel()
def _place_segments(
    row: Any, segment_ids: Any, pair: Any, first_length: int, is_swapped: bool, cls: int, sep: int
) -> int:
    """Write [CLS] A [SEP] B [SEP] and its segment ids; return its length.

    What stands behind that length, and in segment 0 of `segment_ids`, is left as it was: zeros.

    Args:
        row: Receives int32 [S], the token ids.
        segment_ids: Receives int32 [S], 1 from the first token of B to the last [SEP].
        pair: int32 [length], the tokens of both segments.
        first_length: Tokens of the first segment.
        is_swapped: Whether the second segment becomes A.
        cls: Id of [CLS].
        sep: Id of [SEP].
    """
    a, b = pair[:first_length], pair[first_length:]
    if is_swapped:
        a, b = b, a
    length = len(pair) + 3
    row[0] = cls
    row[1 : 1 + len(a)] = a
    row[1 + len(a)] = sep
    row[2 + len(a) : length - 1] = b
    row[length - 1] = sep
    segment_ids[2 + len(a) : length] = 1
    return length


@kernel()
def _find_words(
    row: Any, length: int, word_starts: Any, joins_over_sep: bool, bounds: Any, sep: int
) -> int:
    """Write the positions at which words begin, and behind them the last [SEP]'s; count the words.

    A word begins by the table, and with the first token of each segment, but as `joins_over_sep`
    says.

    Args:
        row: int32 [S], a sequence with special tokens.
        length: Its length without padding.
        word_starts: uint8 [V], as `Tokenizer.word_borders` returns it.
        joins_over_sep: Whether a continuation right behind [SEP] belongs to the word before it.
        bounds: Receives int64 [S + 1]; its first words + 1 items are written.
        sep: Id of [SEP].

    Returns:
        The number of words.
    """
    num_words = 0
    for position in range(1, length - 1):
        if row[position] == sep:
            continue
        # A segment may begin inside a word, where it was truncated: that rest is a word, too.
        # The original joins it to the last word of the other segment, which is unrelated.
        is_first = position == 1 or (row[position - 1] == sep and not joins_over_sep)
        if is_first or begins_word(word_starts, row[position], row[position - 1]):
            bounds[num_words] = position
            num_words += 1
    bounds[num_words] = length - 1
    return num_words


@kernel()
def _count_tokens(row: Any, begin: int, end: int, sep: int) -> int:
    """Count the tokens of `row` from `begin` to before `end`, without [SEP].

    Words that run across the segments enclose a [SEP].
    """
    count = 0
    for position in range(begin, end):
        count += row[position] != sep
    return count


@kernel()
def _is_free(marks: Any, begin: int, end: int) -> bool:
    """Return whether no position from `begin` to before `end` is marked."""
    return not np.any(marks[begin:end])


@kernel()
def _mark_ngrams(
    row: Any, bounds: Any, num_words: int, quota: int, ngram_cdf: Any, marks: Any, mark: int,
    order: Any, state: Any, sep: int,
) -> None:  # fmt: skip
    """Mark runs of words that have no mark yet, beginning at random words, up to a quota.

    Words are tried in random order until the quota is full or all were tried. A run that would
    exceed the quota loses words at its end, and a run with a marked token is passed over, so that
    fewer tokens may be marked.

    Args:
        row: int32 [S], a sequence with special tokens.
        bounds: int64 [S + 1], as `_find_words` writes them.
        num_words: Number of words.
        quota: Most tokens to mark.
        ngram_cdf: float64 [max_ngram], probability that a run is drawn with at most 1, 2, ...
            words.
        marks: uint8 [S], the marks so far; changed in place.
        mark: The mark to set, `_MASKED` or `_PERMUTED`.
        order: int64 [S], scratch memory; overwritten.
        state: uint64 [1], the pair's generator; moved on.
        sep: Id of [SEP], which is never marked.
    """
    for index in range(num_words):
        order[index] = index
    count = 0
    for index in range(num_words):
        # One step of a Fisher-Yates shuffle a word: the quota is full after about a sixth of
        # the words, and the others need not be shuffled.
        other = index + integer_below(state, num_words - index)
        order[index], order[other] = order[other], order[index]
        # After the draw above, which is then wasted: with one draw less, the same seed would give
        # other replacements of the masked tokens.
        if count >= quota:
            break
        word = order[index]
        ngram = 1
        draw = uniform(state)
        # The last of the sums may be just below 1 by rounding, and a draw above it.
        while ngram < len(ngram_cdf) and draw >= ngram_cdf[ngram - 1]:
            ngram += 1
        ngram = min(ngram, num_words - word)
        begin = bounds[word]
        # As in the original, a run that is too long for the quota loses words, not tokens: else
        # the last word masked would be masked in part.
        while ngram and count + _count_tokens(row, begin, bounds[word + ngram], sep) > quota:
            ngram -= 1
        end = bounds[word + ngram]
        if ngram == 0 or not _is_free(marks, begin, end):
            continue
        count += _count_tokens(row, begin, end, sep)
        for position in range(begin, end):
            if row[position] != sep:
                marks[position] = mark


@kernel()
def _replacement(
    token_id: int,
    vocab_size: int,
    state: Any,
    mask: int,
    mask_replace: float,
    random_replace: float,
) -> int:
    """Return the token in a masked one's place: [MASK], itself or any token of the vocabulary.

    As in the original, a random token may be a special one, and may be the token itself. Moves
    `state` on by one draw, or by two for a random token.

    Args:
        token_id: The token.
        vocab_size: Number of tokens of the vocabulary.
        state: uint64 [1], the pair's generator.
        mask: Id of [MASK].
        mask_replace: Chance of [MASK].
        random_replace: Chance of any token.
    """
    draw = uniform(state)
    if draw < mask_replace:
        return mask
    if draw < 1 - random_replace:
        return token_id
    return integer_below(state, vocab_size)


@kernel()
def _permute(row: Any, length: int, marks: Any, order: Any, state: Any) -> None:
    """Shuffle the tokens of `row` that are marked `_PERMUTED` among their positions, in place.

    Args:
        row: int32 [S], a sequence; changed.
        length: Its length without padding.
        marks: uint8 [S], as `_mark_ngrams` sets them.
        order: int64 [S], scratch memory; overwritten.
        state: uint64 [1], the pair's generator; moved on.
    """
    count = 0
    for position in range(length):
        if marks[position] == _PERMUTED:
            order[count] = position
            count += 1
    for index in range(count - 1):
        other = index + integer_below(state, count - index)
        here, there = order[index], order[other]
        row[here], row[there] = row[there], row[here]


# nogil: tf.data and the thread that reads for JAX mask while the training step holds the GIL.
@kernel(nogil=True)
def _mask_batch(
    token_ids: Any, lengths: Any, first_lengths: Any, labels: Any, rng_states: Any,
    word_starts: Any, joins_over_sep: bool, ngram_cdf: Any, mask_probability: float,
    max_masked: int, permutation: bool, mask_replace: float, random_replace: float,
    cls: int, sep: int, mask: int,
    input_ids: Any, input_mask: Any, segment_ids: Any,
    positions: Any, predicted: Any, weights: Any, order_labels: Any,
) -> None:  # fmt: skip
    """Swap, place and mask every pair of a batch, and write the seven arrays of the model's input.

    At most as many tokens of a pair are masked as `mask_probability` of its length with special
    tokens, rounded; but `max_masked` at most, and never less than 1.

    Args:
        token_ids: int32 [T], the tokens of all pairs, one after the other.
        lengths: int64 [B], number of tokens of each pair.
        first_lengths: int64 [B], number of tokens of each first segment.
        labels: int8 [B]: 0 and 1 are kept; pairs with a negative one are swapped with probability
            0.5.
        rng_states: uint64 [B], the state of each pair's generator; not changed.
        word_starts: uint8 [V], as `Tokenizer.word_borders` returns it; all ones masks token by
            token.
        joins_over_sep: Whether a continuation right behind [SEP] belongs to the word before it.
        ngram_cdf: float64 [max_ngram], probability that a run is drawn with at most 1, 2, ...
            words.
        mask_probability: Fraction of a sequence's positions that are predicted.
        max_masked: Most masked tokens of a sequence.
        permutation: Whether as many further tokens are shuffled and predicted.
        mask_replace: Chance that a masked token is shown as [MASK].
        random_replace: Chance that it is shown as a random token.
        cls: Id of [CLS].
        sep: Id of [SEP].
        mask: Id of [MASK].
        input_ids: Receives int32 [B, S]; all seven outputs must be zeros before.
        input_mask: Receives int32 [B, S], 1 where there is no padding.
        segment_ids: Receives int32 [B, S].
        positions: Receives int32 [B, P], the predicted positions, in ascending order.
        predicted: Receives int32 [B, P], the true tokens there.
        weights: Receives float32 [B, P], 1 for slots that are used.
        order_labels: Receives int32 [B], 1 where the segments are not in the order of the text.
    """
    sequence_length = input_ids.shape[1]
    # Scratch memory is allocated once a batch, not once a pair: training waits for this function.
    bounds = np.zeros(sequence_length + 1, np.int64)
    order = np.zeros(sequence_length, np.int64)
    marks = np.zeros(sequence_length, np.uint8)
    state = np.zeros(1, np.uint64)
    offset = 0
    for example in range(len(lengths)):
        state[0] = rng_states[example]
        pair = token_ids[offset : offset + lengths[example]]
        offset += lengths[example]
        # Drawn first, also where the label is decided already: the masks of a pair are then the
        # same whether or not its order is left open.
        is_swapped = uniform(state) < 0.5 and labels[example] < 0
        order_labels[example] = 1 if is_swapped else max(0, labels[example])
        row, first_length = input_ids[example], first_lengths[example]
        length = _place_segments(
            row, segment_ids[example], pair, first_length, is_swapped, cls, sep
        )
        input_mask[example, :length] = 1
        num_words = _find_words(row, length, word_starts, joins_over_sep, bounds, sep)
        # As in the original: a fraction of all positions, special tokens included.
        quota = min(max_masked, max(1, round(length * mask_probability)))
        marks[:length] = 0
        _mark_ngrams(row, bounds, num_words, quota, ngram_cdf, marks, _MASKED, order, state, sep)
        if permutation:
            _mark_ngrams(
                row, bounds, num_words, quota, ngram_cdf, marks, _PERMUTED, order, state, sep
            )
        slot = 0
        # In ascending order, as the original sorts its predictions. The true token is noted before
        # it is replaced or shuffled.
        for position in range(length):
            if marks[position]:
                positions[example, slot] = position
                predicted[example, slot] = row[position]
                weights[example, slot] = 1.0
                slot += 1
                if marks[position] == _MASKED:
                    row[position] = _replacement(
                        row[position], len(word_starts), state, mask, mask_replace, random_replace
                    )
        if permutation:
            _permute(row, length, marks, order, state)
