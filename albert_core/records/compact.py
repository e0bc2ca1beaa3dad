"""The compact record: a segment pair's pieces once; masks and swaps are drawn when it is read."""

import dataclasses

import numpy as np

from albert_core.errors import InputError
from albert_core.records.pairs import NUM_SPECIAL_PIECES, SegmentPair
from albert_core.records.tfrecord import encode_example

TRAIN_PREFIX, HELD_OUT_PREFIX = "train", "held_out"


@dataclasses.dataclass(frozen=True, kw_only=True)
class RecordsConfig:
    """How documents become records.

    Attributes:
        sequence_length: Length S of the model's input in pieces, [CLS] and both [SEP] included.
        short_sequence_probability: Chance that a document is cut for a random shorter length.
        dupe_factor: How often each document is cut, each time differently.
        held_out_share: Share of the documents kept apart for evaluation, chosen by their hash.
        num_shards: Number of files of training records.
        seed: Seed of every draw.
    """

    sequence_length: int = 512
    short_sequence_probability: float = 0.1
    dupe_factor: int = 1
    held_out_share: float = 0.01
    num_shards: int = 8
    seed: int = 12345

    def __post_init__(self) -> None:
        shortest = NUM_SPECIAL_PIECES + 2
        if self.sequence_length < shortest:
            raise InputError(
                f"records.sequence_length: got {self.sequence_length}, expected at least "
                f"{shortest}: [CLS] A [SEP] B [SEP]"
            )
        for name in ("short_sequence_probability", "held_out_share"):
            if not 0.0 <= getattr(self, name) < 1.0:
                raise InputError(
                    f"records.{name}: got {getattr(self, name)}, expected from 0 to below 1"
                )
        for name in ("dupe_factor", "num_shards"):
            if getattr(self, name) < 1:
                raise InputError(f"records.{name}: got {getattr(self, name)}, expected 1 or more")


def piece_dtype(vocab_size: int) -> np.dtype:
    """Return the little-endian integer type that a record's pieces are stored in."""
    return np.dtype("<u2" if vocab_size <= 2**16 else "<u4")


def encode_pair(pair: SegmentPair, dtype: np.dtype) -> bytes:
    """Serialise a pair as a tf.train.Example of `pieces` (bytes) and `first_length` (int64)."""
    pieces = np.array(pair.first + pair.second, dtype=dtype).tobytes()
    return encode_example({"pieces": pieces, "first_length": len(pair.first)})
