"""Masking: quota, shares and run lengths of the original; whole words; reproducible draws."""

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from albert_core.errors import InputError
from albert_core.records.config import MaskingConfig
from albert_core.records.masking import mask_pairs, record_rng_states
from albert_core.tokenization import SpecialIds, load_tokenizer
from tests.helpers.segment_samples import Pair, make_segment_pairs

NUM_PIECES = 100
FIRST_ORDINARY = 5
SPECIAL = SpecialIds(pad=0, unknown=1, cls=2, sep=3, mask=4)
EVEN_PIECES_START = np.arange(NUM_PIECES) % 2 == 0
EVERY_PIECE_STARTS = np.ones(NUM_PIECES, bool)

Batch = dict[str, np.ndarray]
Recorded = tuple[list[int], set[int]]  # sequence, masked positions
segments = st.lists(st.integers(FIRST_ORDINARY, NUM_PIECES - 1), min_size=1, max_size=30)
pairs_of_segments = st.builds(Pair, segments, segments, st.just(-1))


def mask(
    pairs: list[Pair],
    *,
    config: MaskingConfig | None = None,
    word_starts: np.ndarray = EVEN_PIECES_START,
    sequence_length: int = 64,
    epoch: int = 0,
    seed: int = 1,
    special_ids: SpecialIds = SPECIAL,
) -> Batch:
    rng_states = record_rng_states(seed, np.full(len(pairs), epoch), np.arange(len(pairs)))
    return mask_pairs(
        make_segment_pairs(pairs, rng_states),
        config=config or MaskingConfig(),
        sequence_length=sequence_length,
        word_starts=word_starts,
        special_ids=special_ids,
    )


def random_pairs(count: int, *, length: int = 30, seed: int = 0) -> list[Pair]:
    rng = np.random.default_rng(seed)
    ids = rng.integers(FIRST_ORDINARY, NUM_PIECES, (count, 2, length))
    return [Pair(first.tolist(), second.tolist()) for first, second in ids]


def masked_positions(batch: Batch, row: int) -> np.ndarray:
    return batch["masked_lm_positions"][row][batch["masked_lm_weights"][row] > 0]


def restored(batch: Batch, row: int) -> list[int]:
    """Return a row as it was before masking, without padding."""
    ids = batch["input_ids"][row].copy()
    positions = masked_positions(batch, row)
    ids[positions] = batch["masked_lm_ids"][row][: len(positions)]
    return ids[batch["input_mask"][row] == 1].tolist()


def words(sequence: list[int], word_starts: np.ndarray) -> list[list[int]]:
    """Return the positions of each word; special pieces belong to none."""
    found: list[list[int]] = []
    for position, piece in enumerate(sequence):
        if piece in (SPECIAL.cls, SPECIAL.sep):
            continue
        if sequence[position - 1] in (SPECIAL.cls, SPECIAL.sep) or word_starts[piece]:
            found.append([])
        found[-1].append(position)
    return found


def runs_of_words(sequence: list[int], chosen: set[int], word_starts: np.ndarray) -> list[int]:
    """Return the lengths of the unbroken runs of masked words, in ascending order."""
    flags = ["x" if word[0] in chosen else " " for word in words(sequence, word_starts)]
    return sorted(map(len, "".join(flags).split()))


def run_lengths(batch: Batch, word_starts: np.ndarray) -> list[list[int]]:
    return [
        runs_of_words(restored(batch, row), set(masked_positions(batch, row)), word_starts)
        for row in range(len(batch["input_ids"]))
    ]


@given(pairs_of_segments, st.integers(0, 5))
def test_labels_restore_the_sequence_in_its_layout(pair: Pair, epoch: int) -> None:
    batch = mask([pair], epoch=epoch)
    swapped = batch["sentence_order_labels"][0]
    a, b = (pair.second, pair.first) if swapped else (pair.first, pair.second)
    assert restored(batch, 0) == [SPECIAL.cls, *a, SPECIAL.sep, *b, SPECIAL.sep]
    num_padding = 64 - len(a) - len(b) - 3
    segment_ids = [0] * (len(a) + 2) + [1] * (len(b) + 1) + [0] * num_padding
    assert batch["segment_ids"][0].tolist() == segment_ids
    assert not batch["input_ids"][0][64 - num_padding :].any()


@given(pairs_of_segments, st.integers(0, 5))
def test_words_are_masked_whole_and_within_the_quota(pair: Pair, epoch: int) -> None:
    batch = mask([pair], epoch=epoch)
    positions = masked_positions(batch, 0).tolist()
    chosen = set(positions)
    for word in words(restored(batch, 0), EVEN_PIECES_START):
        assert chosen.issuperset(word) or chosen.isdisjoint(word)
    length = int(batch["input_mask"].sum())
    assert len(chosen) <= max(1, round(0.15 * length))
    assert positions == sorted(chosen)


@pytest.mark.parametrize("whole_word", [True, False])
def test_quota_is_reached(whole_word: bool) -> None:
    batch = mask(random_pairs(2000), config=MaskingConfig(whole_word=whole_word))
    assert batch["masked_lm_weights"].shape == (2000, 10)  # never fewer slots than 15 %
    counts = batch["masked_lm_weights"].sum(axis=1)
    assert (counts <= round(63 * 0.15)).all()
    assert np.mean(counts == round(63 * 0.15)) > 0.999


def test_four_fifths_masked_one_tenth_kept_one_tenth_random() -> None:
    batch = mask(random_pairs(5000))
    chosen = batch["masked_lm_weights"] > 0
    shown = np.take_along_axis(batch["input_ids"], batch["masked_lm_positions"], axis=1)[chosen]
    labels = batch["masked_lm_ids"][chosen]
    is_random = (shown != SPECIAL.mask) & (shown != labels)
    assert np.mean(shown == SPECIAL.mask) == pytest.approx(0.8 + 0.1 / NUM_PIECES, abs=0.01)
    assert np.mean(shown == labels) == pytest.approx(0.1 + 0.1 / NUM_PIECES, abs=0.01)
    assert set(shown[is_random].tolist()) == set(range(NUM_PIECES)) - {SPECIAL.mask}


@pytest.mark.parametrize(
    ("mask_replace", "random_replace"), [(1.0, 0.0), (0.0, 0.0), (0.0, 1.0), (0.5, 0.3)]
)
def test_masked_tokens_are_shown_by_their_odds(mask_replace: float, random_replace: float) -> None:
    config = MaskingConfig(
        mask_replace_probability=mask_replace, random_replace_probability=random_replace
    )
    pairs = random_pairs(2000)
    batch, default = mask(pairs, config=config), mask(pairs)
    chosen = batch["masked_lm_weights"] > 0
    shown = np.take_along_axis(batch["input_ids"], batch["masked_lm_positions"], axis=1)[chosen]
    fractions = (np.mean(shown == SPECIAL.mask), np.mean(shown == batch["masked_lm_ids"][chosen]))
    by_chance = random_replace / NUM_PIECES
    expected = (mask_replace + by_chance, 1 - mask_replace - random_replace + by_chance)
    assert fractions == pytest.approx(expected, abs=0.02)
    # What is predicted is drawn before, and depends on none of it.
    assert np.array_equal(batch["masked_lm_positions"], default["masked_lm_positions"])


def test_odds_above_one_are_refused() -> None:
    with pytest.raises(InputError, match=r"random_replace_probability: got 0.4, .* at most 0.3,"):
        MaskingConfig(mask_replace_probability=0.7, random_replace_probability=0.4)
    assert MaskingConfig(mask_replace_probability=0.7, random_replace_probability=0.3)


def test_special_pieces_may_lie_anywhere_in_the_vocabulary() -> None:
    elsewhere = SpecialIds(pad=0, unknown=96, cls=97, sep=98, mask=99)
    batch = mask([Pair([5, 7, 9], [2, 3, 4])], special_ids=elsewhere)
    swapped = bool(batch["sentence_order_labels"][0])
    a, b = ([2, 3, 4], [5, 7, 9]) if swapped else ([5, 7, 9], [2, 3, 4])
    assert restored(batch, 0) == [97, *a, 98, *b, 98]
    pairs = [Pair([5, 8, 11, 60] * 7, [95, 94, 20] * 10) for _ in range(500)]
    default, moved = mask(pairs), mask(pairs, special_ids=elsewhere)
    np.testing.assert_array_equal(moved["masked_lm_positions"], default["masked_lm_positions"])
    num_masked = (default["input_ids"] == SPECIAL.mask).sum()
    assert (moved["input_ids"] == elsewhere.mask).sum() == pytest.approx(num_masked, rel=0.01)


def test_half_of_the_pairs_are_swapped() -> None:
    assert mask(random_pairs(5000))["sentence_order_labels"].mean() == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize(
    ("config", "odds"),
    [
        ({}, (6 / 11, 3 / 11, 2 / 11)),
        ({"favor_shorter_ngram": False}, (2 / 11, 3 / 11, 6 / 11)),
        ({"max_ngram": 2}, (2 / 3, 1 / 3, 0)),
        ({"max_ngram": 1}, (1, 0, 0)),
    ],
)
def test_runs_of_n_words_are_drawn_by_their_odds(
    config: dict[str, int], odds: tuple[float, float, float]
) -> None:
    """With a quota of three pieces, a row's runs tell the first draw, or the first two."""
    pairs = random_pairs(4000, length=250)
    masking = MaskingConfig(mask_probability=3 / 503, **config)
    batch = mask(pairs, config=masking, word_starts=EVERY_PIECE_STARTS, sequence_length=503)
    rows = Counter(map(tuple, run_lengths(batch, EVERY_PIECE_STARTS)))
    one, two, three = odds
    expected = {(3,): three, (1, 2): two + one * (1 - one), (1, 1, 1): one * one}
    for runs, share in expected.items():
        assert rows[runs] / 4000 == pytest.approx(share, abs=0.025)


def recorded_sequences(goldens: Path, name: str, ids: dict[str, int]) -> Iterator[Recorded]:
    """Yield the original's sequences as they were before masking, and its masked positions."""
    path = goldens / "pretrain_data" / f"{name}.jsonl"
    for record in map(json.loads, path.read_text(encoding="utf-8").splitlines()):
        pieces, positions = record["tokens"], record["masked_lm_positions"]
        for position, label in zip(positions, record["masked_lm_labels"], strict=True):
            pieces[position] = label
        yield [ids.get(piece, SPECIAL.unknown) for piece in pieces], set(positions)


@pytest.mark.parametrize(
    ("name", "config"),
    [
        ("exact_default_L64", MaskingConfig()),
        ("exact_nowwm_longer_L64", MaskingConfig(whole_word=False, favor_shorter_ngram=False)),
    ],
)
def test_run_lengths_are_the_originals_on_its_own_sequences(
    name: str, config: MaskingConfig, goldens: Path
) -> None:
    tokenizer = load_tokenizer(goldens / "tokenizer" / "2k-clean.model", lower_case=True)
    starts = tokenizer.word_starts() if config.whole_word else np.ones(len(tokenizer), bool)
    ids = {piece: index for index, piece in enumerate(tokenizer.pieces)}
    originals, ours, pairs = Counter[int](), Counter[int](), []
    for sequence, chosen in recorded_sequences(goldens, name, ids):
        originals.update(runs_of_words(sequence, chosen, starts))
        separator = sequence.index(SPECIAL.sep)
        pairs.append(Pair(sequence[1:separator], sequence[separator + 1 : -1]))
    for epoch in range(20):
        batch = mask(pairs, config=config, word_starts=starts, epoch=epoch)
        ours.update(length for runs in run_lengths(batch, starts) for length in runs)
    for length in (1, 2, 3):
        share = ours[length] / ours.total()
        error = (share * (1 - share) / originals.total()) ** 0.5  # of the original's few draws
        assert originals[length] / originals.total() == pytest.approx(share, abs=3 * error)


def test_same_stream_same_draw_and_every_epoch_another() -> None:
    pairs = random_pairs(20)
    first, again, epoch, seed = (
        mask(pairs, **draw) for draw in ({}, {}, {"epoch": 1}, {"seed": 2})
    )
    for name, values in first.items():
        np.testing.assert_array_equal(values, again[name])
    for other in (epoch, seed):
        assert (other["input_ids"] != first["input_ids"]).any(axis=1).sum() >= 19


def test_draw_of_a_pair_does_not_depend_on_its_neighbours() -> None:
    pairs = random_pairs(5)
    together = mask(pairs)
    rng_states = record_rng_states(1, np.zeros(5, int), np.arange(5))
    alone = mask_pairs(
        make_segment_pairs(pairs[3:4], rng_states[3:4]),
        config=MaskingConfig(),
        sequence_length=64,
        word_starts=EVEN_PIECES_START,
        special_ids=SPECIAL,
    )
    for name, values in together.items():
        np.testing.assert_array_equal(values[3], alone[name][0])


def test_decided_orders_are_kept() -> None:
    pairs = [Pair([5, 7], [9, 11], label) for label in (0, 1) for _ in range(20)]
    batch = mask(pairs)
    assert batch["sentence_order_labels"].tolist() == [0] * 20 + [1] * 20
    assert all(restored(batch, row)[1:3] == [5, 7] for row in range(40))


def test_permuted_pieces_trade_places_and_are_predicted() -> None:
    pairs = random_pairs(500)
    batch = mask(pairs, config=MaskingConfig(permutation=True))
    assert batch["masked_lm_weights"].shape == (500, 20)
    counts = batch["masked_lm_weights"].sum(axis=1)
    assert np.mean(counts) == pytest.approx(18, abs=0.2)
    shown = np.take_along_axis(batch["input_ids"], batch["masked_lm_positions"], axis=1)
    for row in range(500):
        first, second, _ = pairs[row]
        a, b = (second, first) if batch["sentence_order_labels"][row] else (first, second)
        assert restored(batch, row) == [SPECIAL.cls, *a, SPECIAL.sep, *b, SPECIAL.sep]
        num = int(counts[row])
        hidden, seen = batch["masked_lm_ids"][row, :num], shown[row, :num]
        is_mask = seen == SPECIAL.mask
        left = Counter(hidden[~is_mask].tolist())
        assert sum((left & Counter(seen[~is_mask].tolist())).values()) >= num / 2 - 3


def test_the_original_masks_twenty_pieces_at_most_by_default() -> None:
    pairs = random_pairs(50, length=100)
    assert mask(pairs, sequence_length=512)["masked_lm_weights"].sum(axis=1).max() == 30
    config = MaskingConfig(compat="original")
    assert mask(pairs, config=config, sequence_length=512)["masked_lm_ids"].shape == (50, 20)


def test_the_originals_words_run_across_sep() -> None:
    """A continuation right behind [SEP] belongs to the word before it, and neither is cut off."""
    word_starts = np.zeros(NUM_PIECES, bool)
    word_starts[10:] = True
    pairs = [Pair([20, 6], [7, *range(30, 50)], 0)] * 400
    for compat, always_together in (("original", True), ("none", False)):
        config = MaskingConfig(compat=compat, max_ngram=1)
        batch = mask(pairs, config=config, word_starts=word_starts)
        chosen = [set(masked_positions(batch, row).tolist()) for row in range(400)]
        together = [({1, 2} <= found) == (4 in found) for found in chosen]
        assert all(together) == always_together
        assert all(3 not in found for found in chosen)


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (
            MaskingConfig(),
            "15 % of the tokens; n-grams of up to 3 whole words; 80 % [MASK], 10 % random, "
            "10 % unchanged",
        ),
        (
            MaskingConfig(
                mask_probability=0.125,
                max_ngram=1,
                whole_word=False,
                favor_shorter_ngram=False,
                permutation=True,
                max_predictions_per_sequence=7,
                mask_replace_probability=0.9,
            ),
            "12.5 % of the tokens, at most 7 of a sequence; n-grams of up to 1 tokens, the longest "
            "likeliest; 90 % [MASK], 10 % random, 0 % unchanged; as many further tokens shuffled",
        ),
        (
            MaskingConfig(compat="original"),
            "15 % of the tokens, at most 20 of a sequence; n-grams of up to 3 whole words; "
            "80 % [MASK], 10 % random, 10 % unchanged",
        ),
    ],
)
def test_masks_are_described_with_what_accuracies_depend_on(config: MaskingConfig, words: str):
    assert config.describe() == words
