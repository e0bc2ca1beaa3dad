"""The compact record: a segment pair's pieces once; masks and swaps are drawn when it is read."""

import numpy as np

from albert_core.records.example_encoder import Ragged, encode_examples
from albert_core.records.pairs import UNDECIDED, SegmentPairs


def piece_dtype(vocab_size: int) -> np.dtype:
    """Return the little-endian integer type that a record's pieces are stored in."""
    return np.dtype("<u2" if vocab_size <= 2**16 else "<u4")


def encode_compact(pairs: SegmentPairs, dtype: np.dtype) -> list[bytes]:
    """Serialise pairs as tf.train.Examples of `pieces` (bytes) and `first_length` (int64).

    Pairs whose order is decided have it as `sentence_order_label` (int64), too.
    """
    pieces = pairs.pieces.astype(dtype).view(np.uint8)
    features: dict[str, np.ndarray | Ragged] = {
        "pieces": (pieces, np.cumsum(pairs.lengths) * dtype.itemsize),
        "first_length": pairs.first_lengths[:, None],
    }
    if np.any(pairs.labels != UNDECIDED):
        features["sentence_order_label"] = pairs.labels[:, None]
    return encode_examples(features)
