"""Near-duplicates among documents: which are left out, found bucket by bucket.

A document is left out if it shares a bucket with one whose key, the hash of its text, is smaller
and whose signature is similar enough. The smallest document of a group is always kept. In a bucket
a document is compared with at most 16 others, its representatives: the first documents by their
keys that are like none of the representatives before them. So the work grows with the number of
documents, also where all of them begin with the same page of terms.

All documents of a bucket are in one partition of the buckets, whose rows `sorted_rows` merges.
"""

import dataclasses
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from albert_core.corpus.minhash import MinHasher
from albert_core.processes.kernels import kernel
from albert_core.records.signature_table import KEY_BYTES, entry_dtype
from albert_core.records.sorted_rows import Section, merge_rows

NUM_REPRESENTATIVES = 16  # of a bucket, that a document is compared with
_NUM_EXAMPLES = 5

# Keys of 16 bytes as two numbers, whose order is that of the bytes.
PAIR_DTYPE = np.dtype(
    [
        ("key_high", "<u8"),
        ("key_low", "<u8"),
        ("similar_high", "<u8"),
        ("similar_low", "<u8"),
        ("num_matches", "<u2"),
    ]
)
_ENTRY_ORDER = ("bucket", "key_high", "key_low")
_PAIR_ORDER = ("key_high", "key_low", "similar_high", "similar_low")

Example = tuple[str, str, int]
"""Key of a document that is left out, key of the one like it, equal bytes of their signatures."""


@dataclasses.dataclass(frozen=True)
class SearchCounts:
    """Counts of a search's comparisons.

    Attributes:
        num_entries: Rows: each document once for each of its buckets.
        num_comparisons: Pairs of signatures that were compared.
        largest_bucket: Most documents in a bucket, of different texts.
    """

    num_entries: int
    num_comparisons: int
    largest_bucket: int


def find_near_duplicates(
    sections: Mapping[str, Section], minhasher: MinHasher
) -> tuple[np.ndarray, SearchCounts]:
    """Return the documents of a partition that are left out, each with one that is like it.

    The rows are read in blocks, but what is found is held in memory, 76 bytes for each bucket in
    which a document is left out.

    Args:
        sections: The partition's section of each file of `SignatureTable.write`, by address.
        minhasher: The one that signed the documents.

    Returns:
        `PAIR_DTYPE` [R], sorted by key. Each key is there once; if several documents are similar to
        its document, with the one that has the smallest key. And what was compared.

    Raises:
        DamageError: A file is not what was written.
        InputError: A file is missing, or cannot be read.
        ServiceError: The storage failed.
    """
    search = _Search.of(minhasher)
    dtype = entry_dtype(minhasher.num_permutations)
    blocks = map(search.compare, merge_rows(sections, dtype, order=_ENTRY_ORDER))
    pairs = np.concatenate([np.zeros(0, PAIR_DTYPE), *blocks])
    pairs = pairs[np.lexsort([pairs[name] for name in reversed(_PAIR_ORDER)])]
    return pairs[_is_first(pairs)], SearchCounts(*search.counts.tolist())


def _is_first(pairs: np.ndarray) -> np.ndarray:
    """Return of sorted pairs, bool [R], which are the first of their key."""
    is_first = np.ones(len(pairs), bool)
    high, low = pairs["key_high"], pairs["key_low"]
    is_first[1:] = (high[1:] != high[:-1]) | (low[1:] != low[:-1])
    return is_first


@dataclasses.dataclass
class _Search:
    """The state of a search between one block of rows and the next.

    Attributes:
        least_matches: Equal bytes that make two documents near-duplicates.
        representatives: uint8 [16, P], signatures of the current bucket's representatives.
        keys: uint64 [16, 2], their keys.
        current: uint64 [5]: the bucket, the key of the last row, number of representatives, number
            of documents in the bucket.
        counts: int64 [3], the fields of `SearchCounts`.
    """

    least_matches: int
    representatives: np.ndarray
    keys: np.ndarray
    current: np.ndarray
    counts: np.ndarray

    @classmethod
    def of(cls, minhasher: MinHasher) -> "_Search":
        """Return a search that has seen no rows."""
        return cls(
            least_matches=minhasher.least_matches,
            representatives=np.zeros((NUM_REPRESENTATIVES, minhasher.num_permutations), np.uint8),
            keys=np.zeros((NUM_REPRESENTATIVES, 2), np.uint64),
            current=np.zeros(5, np.uint64),
            counts=np.zeros(3, np.int64),
        )

    def compare(self, rows: np.ndarray) -> np.ndarray:
        """Compare rows with the representatives of their bucket; return those that are like one.

        A row is compared with one representative after the other, in the order of their keys, until
        the signatures of both are equal in at least `least_matches` bytes. A row that is like none
        becomes a representative itself if the bucket has fewer than 16. A row with the bucket and
        the key of the row before it is passed over.

        Args:
            rows: `entry_dtype`, sorted by bucket and key over all calls (not checked); a bucket may
                begin in one call and continue in the next.

        Returns:
            `PAIR_DTYPE`, for each such row, in the order of the rows: its key, the key of the
            representative it is like, and the number of equal bytes.
        """
        pairs = np.zeros(len(rows), PAIR_DTYPE)
        pairs["key_high"], pairs["key_low"] = rows["key_high"], rows["key_low"]
        similar = np.zeros((len(rows), 2), np.uint64)
        num_matches = np.zeros(len(rows), np.int64)
        _compare_in_buckets(
            np.ascontiguousarray(rows["bucket"]),
            np.stack([rows["key_high"], rows["key_low"]], axis=1),
            np.ascontiguousarray(rows["signature"]),
            self.least_matches, self.representatives, self.keys, self.current, self.counts,
            similar, num_matches,
        )  # fmt: skip
        pairs["similar_high"], pairs["similar_low"] = similar.T
        pairs["num_matches"] = num_matches
        return pairs[num_matches > 0]


# nogil: local Beam workers may be threads of one process.
@kernel(nogil=True)
def _compare_in_buckets(
    buckets: Any, keys: Any, signatures: Any, least_matches: int, representatives: Any,
    representative_keys: Any, current: Any, counts: Any, similar: Any, num_matches: Any,
) -> None:  # fmt: skip
    """Compare each row with the representatives of its bucket until one is like it.

    A row that is like none becomes a representative if there are fewer than 16.

    Args:
        buckets: uint64 [R], sorted.
        keys: uint64 [R, 2], sorted within each bucket. If rows have the same key, the first counts.
        signatures: uint8 [R, P].
        least_matches: Equal bytes that make two documents near-duplicates, 1 or more.
        representatives: uint8 [16, P], as in `_Search`, and changed, like the next three.
        representative_keys: uint64 [16, 2].
        current: uint64 [5].
        counts: int64 [3].
        similar: Receives uint64 [R, 2]: the key of the representative that a row is like.
        num_matches: Receives int64 [R]: equal bytes of both; 0 where a row is like none.
    """
    for row in range(len(buckets)):
        # Converted, here and below: in one variable or in `max`, numba makes float64 of uint64 and
        # int64 together.
        num_representatives: Any = np.int64(current[3])
        counts[0] += 1
        if num_representatives == 0 or buckets[row] != current[0]:
            current[0], num_representatives, current[4] = buckets[row], 0, 0
        elif keys[row, 0] == current[1] and keys[row, 1] == current[2]:
            continue
        current[1], current[2] = keys[row, 0], keys[row, 1]
        current[4] += np.uint64(1)
        counts[2] = max(counts[2], np.int64(current[4]))
        for number in range(num_representatives):
            counts[1] += 1
            matches = 0
            for place in range(signatures.shape[1]):
                matches += representatives[number, place] == signatures[row, place]
            if matches >= least_matches:
                similar[row, 0] = representative_keys[number, 0]
                similar[row, 1] = representative_keys[number, 1]
                num_matches[row] = matches
                break
        if num_matches[row] == 0 and num_representatives < len(representatives):
            representatives[num_representatives] = signatures[row]
            representative_keys[num_representatives] = keys[row]
            num_representatives += 1
        current[3] = np.uint64(num_representatives)


def pair_keys(pairs: np.ndarray) -> list[bytes]:
    """Return the keys of the documents that are left out, in the order of the pairs."""
    return _as_bytes(pairs["key_high"], pairs["key_low"])


def first_examples(pairs: np.ndarray) -> list[Example]:
    """Return the five pairs with the smallest keys, from pairs sorted by key.

    Each is the key of the document left out and of the one it is like, as hex digits, and the
    number of equal bytes of their signatures; fewer than five if there are fewer pairs.
    """
    first = pairs[:_NUM_EXAMPLES]
    similar = _as_bytes(first["similar_high"], first["similar_low"])
    return [
        (key.hex(), other.hex(), num_matches)
        for key, other, num_matches in zip(
            pair_keys(first), similar, first["num_matches"].tolist(), strict=True
        )
    ]


def join_examples(partitions: Iterable[Iterable[Sequence[Any]]]) -> list[Example]:
    """Return the examples of all partitions together, from the `first_examples` of each.

    These are the five documents of the smallest keys, each with the smallest document like it.
    """
    # Of each of these five every partition that found it has it among its own five.
    by_key: dict[str, Example] = {}
    for key, similar, num_matches in sorted(map(tuple, itertools.chain(*partitions))):
        by_key.setdefault(key, (key, similar, num_matches))
    return list(by_key.values())[:_NUM_EXAMPLES]


def merge_left_out(sections: Mapping[str, Section]) -> Iterator[bytes]:
    """Yield the keys of a shard's documents that are left out, sorted; some several times.

    Args:
        sections: The shard's section of each partition's file of pairs, by the file's address.

    Raises:
        DamageError: A file is not what was written.
        InputError: A file is missing, or cannot be read.
        ServiceError: The storage failed.
    """
    for pairs in merge_rows(sections, PAIR_DTYPE, order=_PAIR_ORDER):
        yield from pair_keys(pairs)


def _as_bytes(high: np.ndarray, low: np.ndarray) -> list[bytes]:
    """Return keys of 16 bytes from their halves, uint64 [R] each."""
    data = np.stack([high, low], axis=1).astype(">u8").tobytes()
    return [data[begin : begin + KEY_BYTES] for begin in range(0, len(data), KEY_BYTES)]
