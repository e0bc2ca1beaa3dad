"""The signatures of documents, collected and written bucket by bucket.

Shape suffixes: D documents, P permutations, B bands.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from albert_core.corpus.minhash import MinHasher
from albert_core.records.sorted_rows import write_rows

KEY_BYTES = 16
_BLOCK_ROWS = 1 << 16
_BITS = 64  # of a bucket's number


def entry_dtype(num_permutations: int) -> np.dtype:
    """Return the structured type of a document's row in a bucket.

    Its fields are `bucket`, the key as two numbers (`key_high`, `key_low`), and `signature`, uint8
    [P].
    """
    return np.dtype(
        [
            ("bucket", "<u8"),
            ("key_high", "<u8"),
            ("key_low", "<u8"),
            ("signature", "u1", (num_permutations,)),
        ]
    )


class SignatureTable:
    """The signatures of documents, collected to be written bucket by bucket.

    Args:
        minhasher: Makes the signatures, and tells the buckets of each.
    """

    def __init__(self, minhasher: MinHasher) -> None:
        """Hold no documents yet."""
        self._minhasher = minhasher
        self._keys, self._buckets, self._signatures = bytearray(), bytearray(), bytearray()

    def __len__(self) -> int:
        return len(self._keys) // KEY_BYTES

    def add(self, key: bytes, sentences: Sequence[str]) -> None:
        """Add a document by its key; one without words is left out, as it is like no other."""
        if signed := self._minhasher.sign(sentences):
            buckets, signature = signed
            self._keys += key
            self._buckets += buckets.tobytes()
            self._signatures += signature.tobytes()

    def write(self, path: str, num_partitions: int, *, scratch: Path) -> dict[str, Any]:
        """Write the documents of each bucket into a file with a section for each partition.

        There is a row of `entry_dtype` for each bucket that a document is in. The partitions are
        ranges of buckets; the rows of a section are sorted by bucket, then by key.

        Args:
            path: Address of the file, local, gs:// or s3://.
            num_partitions: Number of partitions of the buckets.
            scratch: Path of a local file that is written over, then copied or uploaded to `path`;
                it stays.

        Returns:
            What `write_rows` does, and the number of rows as `num_entries`; partitions are named
            by their numbers.
        """
        # Big-endian, so that the numbers sort as the bytes do, by which a shard's documents and the
        # keys of those that are left out are merged.
        keys = np.frombuffer(self._keys, ">u8").reshape(-1, 2).astype(np.uint64)
        # By key first: the stable sort by bucket then leaves each bucket in the order of the keys.
        by_key = np.lexsort((keys[:, 1], keys[:, 0]))
        num_bands = self._minhasher.num_bands
        buckets = np.frombuffer(self._buckets, np.uint64).reshape(-1, num_bands)[by_key].ravel()
        order = np.argsort(buckets, kind="stable")
        # Partitions are ranges of buckets, so that this one sort is enough.
        bounds = [
            *np.searchsorted(buckets[order], _first_buckets(num_partitions)).tolist(),
            len(order),
        ]
        sections = (
            (str(number), self._rows(keys, by_key, buckets, order[bounds[number] : end]))
            for number, end in enumerate(bounds[1:])
        )
        return {**write_rows(path, sections, scratch=scratch), "num_entries": len(order)}

    def _rows(
        self, keys: np.ndarray, by_key: np.ndarray, buckets: np.ndarray, order: np.ndarray
    ) -> Iterator[np.ndarray]:
        """Yield rows of `entry_dtype` in blocks.

        Args:
            keys: uint64 [D, 2], the keys of the documents.
            by_key: int64 [D], the documents in the order of their keys.
            buckets: uint64 [D * B], their buckets in that order.
            order: Indices of the rows in `buckets`.
        """
        num_permutations, num_bands = self._minhasher.num_permutations, self._minhasher.num_bands
        signatures = np.frombuffer(self._signatures, np.uint8).reshape(-1, num_permutations)
        for begin in range(0, len(order), _BLOCK_ROWS):
            chosen = order[begin : begin + _BLOCK_ROWS]
            documents = by_key[chosen // num_bands]
            rows = np.zeros(len(chosen), entry_dtype(num_permutations))
            rows["bucket"] = buckets[chosen]
            rows["key_high"], rows["key_low"] = keys[documents].T
            rows["signature"] = signatures[documents]
            yield rows


def _first_buckets(num_partitions: int) -> np.ndarray:
    """Return the smallest bucket, uint64, of each of so many equal ranges of buckets."""
    # Rounded up, and in Python's integers: a number shifted by 64 bits overflows NumPy's.
    firsts = [-((-number << _BITS) // num_partitions) for number in range(num_partitions)]
    return np.array(firsts, np.uint64)
