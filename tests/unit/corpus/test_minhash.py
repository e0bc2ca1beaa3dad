"""MinHash signatures: what they hold, how well they estimate, which documents meet in a bucket."""

import random

import numpy as np
import pytest

from albert_core.corpus.minhash import MinHasher
from albert_core.corpus.overlap import ngram_hashes, split_words

_BITS = (1 << 64) - 1


def hasher(**settings) -> MinHasher:
    return MinHasher(
        **{"threshold": 0.8, "ngram": 5, "num_permutations": 128, "seed": 12345, **settings}
    )


def texts_of_similarity(similarity: float, rng: random.Random) -> tuple[list[str], list[str]]:
    """Return two texts of different words, which as sets of words have that Jaccard similarity."""
    num_shared = rng.randrange(200, 2000)
    num_others = round(num_shared * (1 / similarity - 1) / 2)
    words = [f"w{rng.getrandbits(60):x}" for _ in range(num_shared + 2 * num_others)]
    shared, first, second = (
        words[: -2 * num_others],
        words[-2 * num_others : -num_others],
        words[-num_others:],
    )
    return [" ".join(shared + first)], [" ".join(second + shared)]


@pytest.mark.parametrize(
    ("threshold", "num_permutations", "num_bands", "num_rows"),
    [
        (0.8, 128, 16, 8),
        (0.9, 128, 9, 14),
        (0.5, 128, 42, 3),
        (0.8, 256, 25, 10),
        (1.0, 128, 1, 128),
        (0.01, 16, 16, 1),
    ],
)
def test_bands_find_nine_in_ten_pairs_at_the_threshold(
    threshold, num_permutations, num_bands, num_rows
):
    minhasher = hasher(threshold=threshold, num_permutations=num_permutations)
    assert (minhasher.num_bands, minhasher.num_rows) == (num_bands, num_rows)
    if threshold > 0.1:
        assert 1 - (1 - threshold**num_rows) ** num_bands >= 0.9


@pytest.mark.parametrize("text", ["one two", "The ship sails. The ship sails. A cow?", "a b " * 50])
def test_signatures_are_those_of_the_definition(text):
    minhasher = hasher(num_permutations=16, threshold=0.5, ngram=3)
    words = split_words([text])
    ngrams = ngram_hashes(words, min(3, len(words))).tolist()
    draws = np.random.PCG64(12345).random_raw(32).tolist()
    smallest = [
        min(((draws[place] | 1) * ngram + draws[16 + place] & _BITS) >> 32 for ngram in ngrams)
        for place in range(16)
    ]
    buckets = []
    for band in range(minhasher.num_bands):
        bucket = band
        for value in smallest[band * minhasher.num_rows :][: minhasher.num_rows]:
            bucket = (bucket ^ value) * 0x9E3779B97F4A7C15 & _BITS
            bucket ^= bucket >> 29
        buckets.append(bucket)
    signed = minhasher.sign([text])
    assert signed[0].tolist() == buckets
    assert signed[1].tolist() == [value & 255 for value in smallest]


@pytest.mark.parametrize("similarity", [0.1, 0.5, 0.8, 0.9])
def test_estimated_similarities_scatter_around_the_exact_ones(similarity):
    rng, minhasher = random.Random(1), hasher(ngram=1)
    estimates = []
    for _ in range(100):
        (_, first), (_, second) = map(minhasher.sign, texts_of_similarity(similarity, rng))
        estimates.append(minhasher.similarity(int((first == second).sum())))
    std = (similarity * (1 - similarity) / 128) ** 0.5
    assert np.mean(estimates) == pytest.approx(similarity, abs=3 * std / 10)
    assert np.std(estimates) == pytest.approx(std, rel=0.25)


def test_similar_documents_meet_in_a_bucket_and_others_do_not():
    rng, minhasher = random.Random(2), hasher(ngram=1)
    met = {0.3: 0, 0.9: 0}
    for similarity in met:
        for _ in range(200):
            (first, _), (second, _) = map(minhasher.sign, texts_of_similarity(similarity, rng))
            met[similarity] += bool((first == second).any())
    assert met[0.9] >= 199
    assert met[0.3] <= 2


def test_case_punctuation_and_sentences_do_not_count():
    first = hasher().sign(["The ship sails slowly.", "A wave sinks; the cow grazes."])
    second = hasher().sign(["the SHIP sails slowly a wave (sinks) the cow", "grazes"])
    for one, other in zip(first, second, strict=True):
        assert (one == other).all()


def test_documents_of_fewer_words_than_an_ngram():
    assert hasher().sign(["--", "?"]) is None
    assert hasher().sign([]) is None
    short, other = hasher().sign(["Of course!"]), hasher().sign(["Of the course"])
    assert (short[0] == hasher().sign(["of course"])[0]).all()
    assert not (short[0] == other[0]).any()


def test_the_seed_gives_other_buckets():
    text = ["The ship sails slowly over the waves of the harbour."]
    assert not (hasher().sign(text)[0] == hasher(seed=1).sign(text)[0]).any()
    assert (hasher().sign(text)[0] == hasher().sign(text)[0]).all()


def test_bytes_that_agree_by_chance_do_not_count():
    minhasher = hasher()
    assert minhasher.similarity(128) == 1
    assert minhasher.similarity(0) == 0
    assert minhasher.similarity(minhasher.least_matches) >= 0.8
    assert minhasher.similarity(minhasher.least_matches - 1) < 0.8
    assert hasher(threshold=1.0).least_matches == 128
