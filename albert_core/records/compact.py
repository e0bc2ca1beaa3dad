"""The compact record: the tokens of a segment pair once; masks and swaps are drawn on reading."""

import numpy as np

from albert_core.records.example_encoder import Ragged, encode_examples
from albert_core.records.pairs import UNDECIDED, SegmentPairs


def token_dtype(vocab_size: int) -> np.dtype:
    """Return the little-endian integer type in which records store token ids.

    uint16 for vocabularies of at most 65,536 tokens, else uint32.
    """
    return np.dtype("<u2" if vocab_size <= 2**16 else "<u4")


def encode_compact(pairs: SegmentPairs, dtype: np.dtype) -> list[bytes]:
    """Serialise each of one or more pairs as a tf.train.Example of `pieces` and `first_length`.

    `pieces` (bytes) are the token ids of both segments in `dtype`, the `token_dtype` of the
    vocabulary; `first_length` (int64) is the number of tokens of the first. If the label of any
    pair is not `UNDECIDED`, all have theirs as `sentence_order_label` (int64), too. Generator
    states are not stored. Examples come in the order of the pairs.
    """
    # Raw bytes: as an int64 list a token id takes up to three bytes, and reading it costs more.
    token_bytes = pairs.token_ids.astype(dtype).view(np.uint8)
    features: dict[str, np.ndarray | Ragged] = {
        "pieces": (token_bytes, np.cumsum(pairs.lengths) * dtype.itemsize),
        "first_length": pairs.first_lengths[:, None],
    }
    if np.any(pairs.labels != UNDECIDED):
        features["sentence_order_label"] = pairs.labels[:, None]
    return encode_examples(features)
