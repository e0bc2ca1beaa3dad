"""MinHash signatures, by which documents of nearly the same words meet in buckets.

A document counts as the set of its word n-grams, and two documents are as similar as the fraction
of their n-grams that both have: the Jaccard similarity. A signature holds the smallest hash of a
document's n-grams under each of P random permutations; two documents agree in a permutation with a
chance that is their similarity (Broder 1997). Permutations are grouped into bands, and documents
that agree in a whole band meet in a bucket (locality-sensitive hashing), so that only those need be
compared.

Shape suffixes: N n-grams of a document, P permutations, B bands.
"""

import dataclasses
import functools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from albert_core.corpus.overlap import ngram_hashes, split_words
from albert_core.processes.kernels import kernel

_LEAST_RECALL = 0.9  # of pairs right at the threshold that meet in a bucket
_NUM_LOW_VALUES = 256  # a signature keeps the lowest byte of each hash
_LARGEST_HASH = np.uint32(0xFFFFFFFF)
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)


@dataclasses.dataclass(frozen=True, kw_only=True)
class MinHasher:
    """Makes signatures and buckets of documents, and estimates similarities from signatures.

    Attributes:
        threshold: Jaccard similarity from which documents count as near-duplicates.
        ngram: Words in an n-gram.
        num_permutations: Hashes P in a signature. The standard deviation of an estimated similarity
            s is sqrt(s (1 - s) / P).
        seed: Seed of the permutations.
    """

    threshold: float
    ngram: int
    num_permutations: int
    seed: int

    @functools.cached_property
    def num_rows(self) -> int:
        """Permutations in a band: the most with which 9 in 10 pairs at the threshold are found."""
        return max(
            (
                num_rows
                for num_rows in range(1, self.num_permutations + 1)
                if self._recall(num_rows) >= _LEAST_RECALL
            ),
            default=1,
        )

    @property
    def num_bands(self) -> int:
        """Bands B: buckets that a document is in."""
        return self.num_permutations // self.num_rows

    @functools.cached_property
    def least_matches(self) -> int:
        """Least number of equal bytes in two signatures whose similarity counts as the threshold.

        Documents that share no n-gram agree in a byte with a chance of 1/256 already.
        """
        fraction = self.threshold + (1 - self.threshold) / _NUM_LOW_VALUES
        return math.ceil(self.num_permutations * fraction - 1e-9)

    def sign(self, sentences: Sequence[str]) -> tuple[np.ndarray, np.ndarray] | None:
        """Return the buckets uint64 [B] of a document and its signature uint8 [P].

        Words are as `split_words` makes them, without case and punctuation. A document of fewer
        words than an n-gram has one n-gram, all of its words.

        Returns:
            None for a document without words.
        """
        words = split_words(sentences)
        if not words:
            return None
        ngrams = ngram_hashes(words, min(self.ngram, len(words)))
        smallest = np.full(self.num_permutations, _LARGEST_HASH)
        buckets = np.zeros(self.num_bands, np.uint64)
        _sign(ngrams, *self._permutations, self.num_rows, smallest, buckets)
        # The lowest byte is all that comparing takes (Li, König 2010): a quarter of what would be
        # written, and the standard deviation of similarities from 0.3 on grows by less than 1 %.
        return buckets, smallest.astype(np.uint8)

    def similarity(self, num_matches: int) -> float:
        """Estimate the Jaccard similarity by the number of equal bytes in two signatures.

        Without bias, except that negative estimates become 0.
        """
        by_chance = 1 / _NUM_LOW_VALUES
        return max(0.0, (num_matches / self.num_permutations - by_chance) / (1 - by_chance))

    def _recall(self, num_rows: int) -> float:
        """Return the chance that a pair at the threshold agrees in a whole band of `num_rows`."""
        num_bands = self.num_permutations // num_rows
        return 1 - (1 - self.threshold**num_rows) ** num_bands

    @functools.cached_property
    def _permutations(self) -> tuple[np.ndarray, np.ndarray]:
        """Multipliers, which are odd, and offsets of the permutations, uint64 [P] each."""
        # The raw bits, which NumPy promises never to change; of its distributions it does not.
        draws = np.random.PCG64(self.seed).random_raw(2 * self.num_permutations)
        multipliers, offsets = draws.reshape(2, self.num_permutations)
        return multipliers | np.uint64(1), offsets


# nogil: local Beam workers may be threads of one process.
@kernel(nogil=True)
def _sign(
    ngrams: Any, multipliers: Any, offsets: Any, num_rows: int, smallest: Any, buckets: Any
) -> None:
    """Write the smallest hash under each permutation, and the hash of each band.

    A permutation is multiply-shift hashing (Dietzfelbinger 1996) of hashes that are random already.

    Args:
        ngrams: uint64 [N], the hashes of the n-grams.
        multipliers: uint64 [P].
        offsets: uint64 [P].
        num_rows: Permutations in a band.
        smallest: uint32 [P], the largest values that there are; receives the smallest hashes.
        buckets: Receives uint64 [B], which differ for equal hashes in different bands.
    """
    for ngram in ngrams:
        for permutation in range(len(smallest)):
            product = multipliers[permutation] * ngram + offsets[permutation]
            smallest[permutation] = min(smallest[permutation], np.uint32(product >> np.uint64(32)))
    for band in range(len(buckets)):
        bucket = np.uint64(band)
        for row in range(band * num_rows, (band + 1) * num_rows):
            bucket = (bucket ^ np.uint64(smallest[row])) * _MULTIPLIER
            bucket ^= bucket >> np.uint64(29)
        buckets[band] = bucket
