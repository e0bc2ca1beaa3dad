"""Segment pairs: within the limit, never empty, in the order of the text, the same every time."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from albert_core.records.config import NUM_SPECIAL_TOKENS
from albert_core.records.pairs import IN_ORDER, NOT_IN_ORDER, UNDECIDED
from albert_core.records.rng import document_key, document_rng_state
from tests.helpers.segment_samples import Pair, cut

# Piece number k of the text is the id k, so that a pair tells where it was cut.
EVERY_PIECE_STARTS = np.ones(2000, bool)
WHOLE = {"short_sequence_probability": 0.0}

sentence_lengths = st.lists(st.integers(0, 20), max_size=20)
sequence_lengths = st.integers(NUM_SPECIAL_TOKENS + 2, 64)
seeds = st.integers(0, 2**32)
shares = st.sampled_from([0.0, 0.1, 0.9])


def numbered(*lengths_of_documents: list[int]) -> list[list[list[int]]]:
    documents, end = [], 0
    for lengths in lengths_of_documents:
        ends = [end, *(end + np.cumsum(lengths, dtype=int)).tolist()]
        documents.append([list(range(a, b)) for a, b in itertools.pairwise(ends)])
        end = ends[-1]
    return documents


def cut_one(
    lengths: list[int], sequence_length: int, seed: int = 0, **config: object
) -> list[Pair]:
    return cut(numbered(lengths), sequence_length, EVERY_PIECE_STARTS, seed=seed, **config)


@given(
    st.lists(sentence_lengths, min_size=1, max_size=4),
    sequence_lengths,
    seeds,
    shares,
    st.booleans(),
    st.sampled_from(["none", "original"]),
)
def test_pairs_fit_and_no_segment_is_empty(
    lengths: list[list[int]], length: int, seed: int, short: float, random_next: bool, compat: str
) -> None:
    config = {"short_sequence_probability": short, "random_next_sentence": random_next}
    pairs = cut(numbered(*lengths), length, EVERY_PIECE_STARTS, seed=seed, compat=compat, **config)
    for pair in pairs:
        assert pair.first
        assert pair.second
        assert len(pair.first) + len(pair.second) <= length - NUM_SPECIAL_TOKENS


@given(sentence_lengths, sequence_lengths, seeds)
def test_pieces_come_in_the_order_of_the_document_and_once(
    lengths: list[int], length: int, seed: int
) -> None:
    end = -1
    for pair in cut_one(lengths, length, seed, short_sequence_probability=0.5):
        assert pair.label == UNDECIDED
        for segment in (pair.first, pair.second):
            assert segment == list(range(segment[0], segment[-1] + 1))
            assert segment[0] > end
            end = segment[-1]


@given(sentence_lengths, sequence_lengths, seeds)
def test_same_stream_gives_the_same_pairs(lengths: list[int], length: int, seed: int) -> None:
    assert cut_one(lengths, length, seed) == cut_one(lengths, length, seed)


@given(st.lists(st.integers(1, 6), min_size=2, max_size=8), seeds)
def test_short_document_becomes_one_pair_of_all_its_pieces(lengths: list[int], seed: int) -> None:
    (pair,) = cut_one(lengths, 64, seed, **WHOLE)
    assert pair.first + pair.second == list(range(sum(lengths)))
    assert len(pair.first) in np.cumsum(lengths)


def test_single_sentence_is_split_at_the_word_nearest_its_middle() -> None:
    word_starts = np.zeros(10, bool)
    word_starts[[0, 2, 6, 9]] = True
    pairs = cut([[list(range(10))]], 32, word_starts)
    assert pairs == [Pair([0, 1, 2, 3, 4, 5], [6, 7, 8, 9])]


@pytest.mark.parametrize("document", [[], [[]], [[3]], [[7, 8, 9]]])
def test_document_of_one_word_or_less_gives_no_pair(document: list[list[int]]) -> None:
    word_starts = np.zeros(10, bool)
    word_starts[[3, 7]] = True
    assert cut([document], 32, word_starts) == []


def test_lone_last_sentence_joins_the_chunk_before_it() -> None:
    length = 8 + NUM_SPECIAL_TOKENS
    assert len(cut_one([5, 5, 2], length, **WHOLE)) == 1
    reached = {
        piece
        for seed in range(30)
        for pair in cut_one([5, 5, 2], length, seed, **WHOLE)
        for piece in pair.second
    }
    assert {10, 11} <= reached


def test_longer_segment_is_cut_and_at_both_ends() -> None:
    pairs = [cut_one([2, 18], 10 + NUM_SPECIAL_TOKENS, seed, **WHOLE)[0] for seed in range(50)]
    assert all(pair.first == [0, 1] and len(pair.second) == 8 for pair in pairs)
    beginnings = [pair.second[0] - 2 for pair in pairs]  # of ten pieces cut, those in front
    assert min(beginnings) > 0
    assert 4 < np.mean(beginnings) < 6


def test_short_sequences_are_drawn_for_the_whole_document() -> None:
    lengths = {
        max(len(pair.first) + len(pair.second) for pair in pairs)
        for seed in range(40)
        if (pairs := cut_one([4] * 50, 43, seed, short_sequence_probability=0.999))
    }
    assert len(lengths) > 5
    assert max(lengths) <= 40


def test_every_other_copy_begins_a_sentence_later() -> None:
    copies = [cut_one([4] * 20, 23, instance=instance, **WHOLE) for instance in range(3)]
    assert [copy[0].first[0] for copy in copies] == [0, 4, 0]


def test_draws_depend_on_text_seed_and_purpose() -> None:
    key = document_key(["One.", "Two."])
    assert key == document_key(["One.", "Two."])
    assert key != document_key(["One.", "Two!"])
    draws = {
        document_rng_state(drawn_from, seed=seed, purpose=purpose)
        for drawn_from in (key, document_key(["Other."]))
        for seed in (1, 2)
        for purpose in ("cut 0", "cut 1")
    }
    assert len(draws) == 8
    assert document_rng_state(key, seed=1, purpose="cut 0") in draws


@pytest.mark.parametrize(
    "lengths",
    [
        pytest.param([40, 40], id="truncated"),
        pytest.param([40], id="one-sentence-truncated"),
        pytest.param([15], id="one-sentence-whole"),
    ],
)
def test_lengths_do_not_tell_the_order_of_the_text(lengths: list[int]) -> None:
    """Swaps are drawn later: if one side were longer more often, the swap could be read off."""
    longer_first = [
        len(pair.first) > len(pair.second)
        for seed in range(400)
        for pair in cut_one(lengths, 32, seed, **WHOLE)
    ]
    assert 0.4 < np.mean(longer_first) < 0.6


def test_random_next_sentences_come_from_other_documents() -> None:
    documents = numbered(*([[6] * 8] * 30))
    pairs = cut(documents, 32, EVERY_PIECE_STARTS, random_next_sentence=True)
    assert {pair.label for pair in pairs} == {IN_ORDER, NOT_IN_ORDER}
    assert np.mean([pair.label for pair in pairs]) == pytest.approx(0.5, abs=0.15)
    for first, second, label in pairs:
        same_document = first[0] // 48 == second[0] // 48
        assert same_document == (label == IN_ORDER)


def test_sentences_a_random_one_displaced_are_used_again() -> None:
    documents = numbered(*([[6] * 8] * 30))
    pairs = cut(documents, 32, EVERY_PIECE_STARTS, random_next_sentence=True, **WHOLE)
    displaced = [pair for pair in pairs if pair.label == NOT_IN_ORDER]
    begins = {pair.first[0] // 6 for pair in pairs}
    follow_ups = [pair.first[-1] // 6 + 1 for pair in displaced]
    assert all(sentence in begins or sentence % 8 in (0, 7) for sentence in follow_ups)


def test_one_document_alone_has_no_random_next_sentence() -> None:
    pairs = cut_one([6] * 40, 32, random_next_sentence=True)
    assert {pair.label for pair in pairs} == {IN_ORDER}


def test_the_original_labels_lone_sentences_as_not_in_order() -> None:
    documents = numbered([40], [40], [40])
    original = cut(documents, 32, EVERY_PIECE_STARTS, compat="original", **WHOLE)
    assert {pair.label for pair in original} == {NOT_IN_ORDER}
    assert {pair.label for pair in cut(documents, 32, EVERY_PIECE_STARTS, **WHOLE)} == {UNDECIDED}


def test_the_original_swaps_half_of_the_pairs_when_it_cuts() -> None:
    documents = numbered(*([[6] * 8] * 60))
    pairs = cut(documents, 32, EVERY_PIECE_STARTS, compat="original", **WHOLE)
    whole = [pair for pair in pairs if pair.first[0] // 48 == pair.second[0] // 48]
    for first, second, label in whole:
        assert (first[0] > second[0]) == (label == NOT_IN_ORDER)
    assert np.mean([pair.label for pair in whole]) == pytest.approx(0.5, abs=0.15)
