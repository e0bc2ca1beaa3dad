"""Segment pairs: within the limit, never empty, in the order of the text, the same every time."""

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from albert_core.records.pairs import (
    NUM_SPECIAL_PIECES,
    SegmentPair,
    document_key,
    document_random,
    segment_pairs,
)

# Piece number k of a document is the id k, so that a pair tells where it was cut.
LARGEST_DOCUMENT = 400
EVERY_PIECE_STARTS = np.ones(LARGEST_DOCUMENT, bool)

sentence_lengths = st.lists(st.integers(0, 20), max_size=20)
sequence_lengths = st.integers(NUM_SPECIAL_PIECES + 2, 64)
seeds = st.integers(0, 2**32)


def numbered_document(lengths: list[int]) -> list[list[int]]:
    ends = np.cumsum(lengths)
    return [list(range(end - length, end)) for end, length in zip(ends, lengths, strict=True)]


def cut(
    document: list[list[int]],
    sequence_length: int,
    seed: int = 0,
    short: float = 0.0,
    word_starts: np.ndarray = EVERY_PIECE_STARTS,
) -> list[SegmentPair]:
    pairs = segment_pairs(
        document,
        sequence_length=sequence_length,
        short_sequence_probability=short,
        word_starts=word_starts,
        rng=random.Random(seed),
    )
    return list(pairs)


@given(sentence_lengths, sequence_lengths, seeds, st.sampled_from([0.0, 0.1, 0.9]))
def test_pairs_fit_and_no_segment_is_empty(
    lengths: list[int], sequence_length: int, seed: int, short: float
) -> None:
    for pair in cut(numbered_document(lengths), sequence_length, seed, short):
        assert pair.first
        assert pair.second
        assert len(pair.first) + len(pair.second) <= sequence_length - NUM_SPECIAL_PIECES


@given(sentence_lengths, sequence_lengths, seeds)
def test_pieces_come_in_the_order_of_the_document_and_once(
    lengths: list[int], sequence_length: int, seed: int
) -> None:
    end = -1
    for pair in cut(numbered_document(lengths), sequence_length, seed, short=0.5):
        for segment in (pair.first, pair.second):
            assert segment == list(range(segment[0], segment[-1] + 1))
            assert segment[0] > end
            end = segment[-1]


@given(sentence_lengths, sequence_lengths, seeds)
def test_same_generator_gives_the_same_pairs(
    lengths: list[int], sequence_length: int, seed: int
) -> None:
    document = numbered_document(lengths)
    once, again = (cut(document, sequence_length, seed, short=0.5) for _ in range(2))
    assert once == again


@given(st.lists(st.integers(1, 6), min_size=2, max_size=8), seeds)
def test_short_document_becomes_one_pair_of_all_its_pieces(lengths: list[int], seed: int) -> None:
    (pair,) = cut(numbered_document(lengths), sequence_length=64, seed=seed)
    assert pair.first + pair.second == list(range(sum(lengths)))
    assert len(pair.first) in np.cumsum(lengths)


def test_single_sentence_is_split_at_the_word_nearest_its_middle() -> None:
    word_starts = np.zeros(10, bool)
    word_starts[[0, 2, 6, 9]] = True
    (pair,) = cut([list(range(10))], sequence_length=32, word_starts=word_starts)
    assert pair == SegmentPair([0, 1, 2, 3, 4, 5], [6, 7, 8, 9])


@pytest.mark.parametrize("document", [[], [[]], [[3]], [[7, 8, 9]]])
def test_document_of_one_word_or_less_gives_no_pair(document: list[list[int]]) -> None:
    word_starts = np.zeros(10, bool)
    word_starts[[3, 7]] = True
    assert cut(document, sequence_length=32, word_starts=word_starts) == []


def test_lone_last_sentence_joins_the_chunk_before_it() -> None:
    document = numbered_document([5, 5, 2])
    assert len(cut(document, sequence_length=8 + NUM_SPECIAL_PIECES)) == 1
    reached = {
        piece
        for seed in range(30)
        for pair in cut(document, 8 + NUM_SPECIAL_PIECES, seed)
        for piece in pair.second
    }
    assert {10, 11} <= reached


def test_longer_segment_is_cut_and_at_both_ends() -> None:
    document = numbered_document([2, 18])
    pairs = [cut(document, 10 + NUM_SPECIAL_PIECES, seed)[0] for seed in range(50)]
    assert all(pair.first == [0, 1] and len(pair.second) == 8 for pair in pairs)
    beginnings = [pair.second[0] - 2 for pair in pairs]  # of ten pieces cut, those in front
    assert min(beginnings) > 0
    assert 4 < np.mean(beginnings) < 6


def test_short_sequences_are_drawn_for_the_whole_document() -> None:
    document = numbered_document([4] * 50)
    lengths = {
        max(len(pair.first) + len(pair.second) for pair in cut(document, 43, seed, short=0.999))
        for seed in range(40)
    }
    assert len(lengths) > 5
    assert max(lengths) <= 40


def test_draws_depend_on_text_seed_and_purpose() -> None:
    key = document_key(["One.", "Two."])
    assert key == document_key(["One.", "Two."])
    assert key != document_key(["One.", "Two!"])
    draws = {
        document_random(drawn_from, seed=seed, purpose=purpose).random()
        for drawn_from in (key, document_key(["Other."]))
        for seed in (1, 2)
        for purpose in ("cut 0", "cut 1")
    }
    assert len(draws) == 8
    again = document_random(key, seed=1, purpose="cut 0").random()
    assert again in draws


@pytest.mark.parametrize(
    "sentences",
    [
        pytest.param([list(range(20, 60)), list(range(100, 140))], id="truncated"),
        pytest.param([list(range(20, 60))], id="one-sentence-truncated"),
        pytest.param([list(range(20, 35))], id="one-sentence-whole"),
    ],
)
def test_lengths_do_not_tell_the_order_of_the_text(sentences: list[list[int]]) -> None:
    """Swaps are drawn later: if one side were longer more often, the swap could be read off."""
    word_starts = np.ones(200, dtype=bool)
    longer_first = [
        len(pair.first) > len(pair.second)
        for seed in range(400)
        for pair in segment_pairs(
            sentences,
            sequence_length=32,
            short_sequence_probability=0.0,
            word_starts=word_starts,
            rng=random.Random(seed),
        )
    ]
    assert 0.4 < np.mean(longer_first) < 0.6
