"""The compact record: a segment pair's pieces once; masks and swaps are drawn when it is read."""

from pathlib import Path

import numpy as np

from albert_core.records.pairs import SegmentPair
from albert_core.records.tfrecord import decode_bytes_feature, encode_example, read_tfrecords

TRAIN_PREFIX, HELD_OUT_PREFIX = "train", "held_out"


def piece_dtype(vocab_size: int) -> np.dtype:
    """Return the little-endian integer type that a record's pieces are stored in."""
    return np.dtype("<u2" if vocab_size <= 2**16 else "<u4")


def encode_pair(pair: SegmentPair, dtype: np.dtype) -> bytes:
    """Serialise a pair as a tf.train.Example of `pieces` (bytes) and `first_length` (int64)."""
    pieces = np.array(pair.first + pair.second, dtype=dtype).tobytes()
    return encode_example({"pieces": pieces, "first_length": len(pair.first)})


def piece_counts(path: Path, vocab_size: int) -> np.ndarray:
    """Return how often each piece occurs in a shard: int64 [V]."""
    dtype = piece_dtype(vocab_size)
    counts = np.zeros(vocab_size, np.int64)
    for record in read_tfrecords(path):
        pieces = np.frombuffer(decode_bytes_feature(record, "pieces"), dtype)
        counts += np.bincount(pieces, minlength=vocab_size)
    return counts
