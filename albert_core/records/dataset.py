"""Compact records to batches for `fit`, as a tf.data pipeline that can start at any step.

Shape suffixes: B batch, S sequence, P predictions.
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from albert_core.errors import InputError
from albert_core.records.compact import HELD_OUT_PREFIX, TRAIN_PREFIX, piece_dtype
from albert_core.records.config import MaskingConfig
from albert_core.records.masking import mask_pairs, streams_of
from albert_core.runs.manifest import Figures, read_manifest
from albert_core.tokenization import SpecialIds, Tokenizer

_SHUFFLE_BUFFER = 16_384  # records; shards are in random order of documents already
_HELD_OUT_EPOCH = 2**31 - 1  # evaluation draws its masks from an epoch training never reaches
_INPUTS = ("input_ids", "input_mask", "segment_ids", "masked_lm_positions")
_TARGETS = ("masked_lm_ids", "masked_lm_weights", "sentence_order_labels")


@dataclasses.dataclass(frozen=True, kw_only=True)
class PretrainingData:
    """The compact records of a folder, read with masks drawn anew in every epoch.

    Attributes:
        folder: A folder that `albert records` wrote.
        figures: The figures of its manifest.
        masking: What to mask.
        word_starts: bool [V], whether a piece begins a word.
        special_ids: The vocabulary's special pieces.
        seed: Seed of order, swaps and masks.
    """

    folder: Path
    figures: Figures
    masking: MaskingConfig
    word_starts: np.ndarray
    special_ids: SpecialIds
    seed: int

    @classmethod
    def of_folder(
        cls, folder: Path, *, masking: MaskingConfig, tokenizer: Tokenizer, seed: int
    ) -> "PretrainingData":
        """Open a folder of records that were made with a tokenizer.

        Raises:
            InputError: It is not one.
        """
        return cls(
            folder=folder,
            figures=read_manifest(folder, step="records").figures,
            masking=masking,
            word_starts=tokenizer.word_starts(),
            special_ids=tokenizer.special_ids,
            seed=seed,
        )

    @property
    def sequence_length(self) -> int:
        """Length S of a sequence."""
        return self.figures["sequence_length"]

    @property
    def num_train_records(self) -> int:
        """Records in an epoch."""
        return self.figures["num_train_records"]

    def train_batches(self, batch_size: int, *, start_step: int = 0) -> tf.data.Dataset:
        """Return endless batches (inputs, targets) in the order of the run seed.

        Batch k is the same whether the run began at step 0 or resumed at `start_step` = k.
        """
        epoch, skipped = divmod(start_step * batch_size, self.num_train_records)
        files = self._files(TRAIN_PREFIX)
        first = self._epoch(files, tf.constant(epoch, tf.int64)).skip(skipped)
        later = tf.data.Dataset.counter(epoch + 1).flat_map(lambda e: self._epoch(files, e))
        batches = self._batches(first.concatenate(later), batch_size)
        return batches.apply(tf.data.experimental.assert_cardinality(tf.data.INFINITE_CARDINALITY))

    def held_out_batches(self, batch_size: int) -> tf.data.Dataset:
        """Return one pass over the held-out records in whole batches; masks are always the same.

        Raises:
            InputError: The records were made without a held-out share.
        """
        num_records = self.figures["num_held_out_records"]
        if not num_records:
            raise InputError(
                f"records {self.folder}: no held-out records; raise records.held_out_share"
            )
        records = tf.data.TFRecordDataset(self._files(HELD_OUT_PREFIX)).enumerate()
        keyed = records.map(lambda index, record: (_HELD_OUT_EPOCH, index, record))
        batch_size = min(batch_size, num_records)
        batches = self._batches(keyed, batch_size)
        return batches.apply(tf.data.experimental.assert_cardinality(num_records // batch_size))

    def _files(self, prefix: str) -> Sequence[str]:
        return sorted(str(path) for path in self.folder.glob(f"{prefix}-*.tfrecord"))

    def _epoch(self, files: Sequence[str], epoch: Any) -> tf.data.Dataset:
        seeds = tf.stack([tf.constant(self.seed, tf.int64), epoch])
        shuffled = tf.random.experimental.stateless_shuffle(tf.constant(files), seed=seeds)
        records = tf.data.TFRecordDataset(shuffled)
        order = self.seed + epoch * 1_000_003
        records = records.shuffle(_SHUFFLE_BUFFER, seed=order, reshuffle_each_iteration=False)
        return records.enumerate().map(lambda index, record: (epoch, index, record))

    def _batches(self, keyed_records: tf.data.Dataset, batch_size: int) -> tf.data.Dataset:
        batches = keyed_records.batch(batch_size, drop_remainder=True)
        masked = batches.map(self._mask, num_parallel_calls=2, deterministic=True)
        return masked.prefetch(8)

    def _mask(self, epochs_B: Any, indices_B: Any, records_B: Any) -> Any:
        features = {
            "pieces": tf.io.FixedLenFeature([], tf.string),
            "first_length": tf.io.FixedLenFeature([], tf.int64),
        }
        parsed = tf.io.parse_example(records_B, features)
        flat = tf.numpy_function(
            self._draw,
            [epochs_B, indices_B, parsed["pieces"], parsed["first_length"]],
            [
                tf.float32 if name == "masked_lm_weights" else tf.int32
                for name in _INPUTS + _TARGETS
            ],
            stateful=False,
        )
        batch = dict(zip(_INPUTS + _TARGETS, flat, strict=True))
        for name, tensor in batch.items():
            tensor.set_shape(self._shape(name, records_B.shape[0]))
        return {n: batch[n] for n in _INPUTS}, {n: batch[n] for n in _TARGETS}

    def _draw(
        self, epochs: np.ndarray, indices: np.ndarray, pieces: np.ndarray, first: np.ndarray
    ) -> list[np.ndarray]:
        dtype = piece_dtype(len(self.word_starts))
        lengths = np.array([len(text) // dtype.itemsize for text in pieces])
        batch = mask_pairs(
            np.frombuffer(b"".join(pieces), dtype).astype(np.int32),
            lengths,
            first,
            streams_of(self.seed, epochs, indices),
            config=self.masking,
            sequence_length=self.sequence_length,
            word_starts=self.word_starts,
            special_ids=self.special_ids,
        )
        return [batch[name] for name in _INPUTS + _TARGETS]

    def _shape(self, name: str, batch_size: int) -> list[int]:
        if name == "sentence_order_labels":
            return [batch_size]
        if name.startswith("masked_lm"):
            return [batch_size, self.masking.max_predictions(self.sequence_length)]
        return [batch_size, self.sequence_length]
