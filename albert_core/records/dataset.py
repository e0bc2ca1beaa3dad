"""Records to batches for `fit`, as a tf.data pipeline that can start at any step.

Shape suffixes: B batch, S sequence, P predictions.
"""

import collections
import contextlib
import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from albert_core.errors import InputError, StepFailedError
from albert_core.records.compact import piece_dtype
from albert_core.records.config import MaskingConfig
from albert_core.records.description import RecordsDescription
from albert_core.records.masking import mask_pairs, streams_of
from albert_core.records.pairs import UNDECIDED, SegmentPairs
from albert_core.records.static import LABEL_FEATURE
from albert_core.records.tfrecord import read_tfrecords
from albert_core.tokenization import SpecialIds, Tokenizer

_SHUFFLE_BUFFER = 16_384  # records; those of a shard are in random order by blocks already
_HELD_OUT_EPOCH = 2**31 - 1  # evaluation draws its masks from an epoch training never reaches
_ORIGINAL_EVALUATION_BATCHES = 100
_INPUTS = ("input_ids", "input_mask", "segment_ids", "masked_lm_positions")
_TARGETS = ("masked_lm_ids", "masked_lm_weights", "sentence_order_labels")

Batch = tuple[dict[str, Any], dict[str, Any]]


@dataclasses.dataclass(frozen=True, kw_only=True)
class PretrainingData:
    """The records of a folder; compact ones with masks drawn anew in every epoch.

    Attributes:
        records: What there is to read.
        masking: What to mask in compact records.
        word_starts: bool [V], whether a piece begins a word.
        special_ids: The vocabulary's special pieces.
        seed: Seed of order, swaps and masks.
        process_index: Which of several processes this is.
        num_processes: Processes that share every batch; each gets as many of its rows.
        waiting: Counts the time that training waited for batches.
    """

    records: RecordsDescription
    masking: MaskingConfig
    word_starts: np.ndarray
    special_ids: SpecialIds
    seed: int
    process_index: int = 0
    num_processes: int = 1
    waiting: "Waiting" = dataclasses.field(default_factory=lambda: Waiting())

    @classmethod
    def of_records(
        cls,
        records: RecordsDescription,
        *,
        masking: MaskingConfig,
        tokenizer: Tokenizer,
        seed: int,
        process_index: int = 0,
        num_processes: int = 1,
    ) -> "PretrainingData":
        """Open records that were made with a tokenizer.

        Raises:
            InputError: Masks are asked for that static records do not have.
        """
        if records.format == "static" and masking not in (MaskingConfig(), records.masking):
            raise InputError(
                "pretraining.masking: got settings for static records, which have their masks "
                "already; remove them, or make compact records"
            )
        return cls(
            records=records,
            masking=masking,
            word_starts=tokenizer.word_starts(),
            special_ids=tokenizer.special_ids,
            seed=seed,
            process_index=process_index,
            num_processes=num_processes,
        )

    def train_batches(self, batch_size: int, *, start_step: int = 0) -> tf.data.Dataset:
        """Return endless batches (inputs, targets) in the order of the run seed.

        Batch k is the same whether the run began at step 0 or resumed at `start_step` = k. Of
        several processes each gets its own rows, B / num_processes of them.
        """
        num_records = self.records.num_train_records
        epoch, skipped = divmod(start_step * batch_size, num_records)
        first = self._epoch(tf.constant(epoch, tf.int64)).skip(skipped)
        later = tf.data.Dataset.counter(epoch + 1).flat_map(self._epoch)
        numbered = first.concatenate(later).batch(batch_size, drop_remainder=True)

        def place(step: Any) -> Any:
            places_B = step * batch_size + tf.range(batch_size, dtype=tf.int64)
            return places_B // num_records, places_B % num_records

        batches = self._batches(numbered.enumerate(start_step), place)
        timed = self.waiting.timed(batches)
        return timed.apply(tf.data.experimental.assert_cardinality(tf.data.INFINITE_CARDINALITY))

    def held_out_batches(self, batch_size: int, *, multiple_of: int = 1) -> tf.data.Dataset:
        """Return one pass over the held-out records in whole batches; masks are always the same.

        A batch is smaller if there are fewer records, but always a multiple of `multiple_of`.

        Of the original's records, which have none held out, it is the first 100 batches, as there.

        Raises:
            InputError: The records were made without a held-out share.
        """
        files, num_records = self.records.held_out_files, self.records.num_held_out_records
        if self.records.vocabulary is None:
            files, num_records = self.records.train_files, self.records.num_train_records
        if not num_records:
            raise InputError("records: none are held out; raise records.held_out_share")
        batch_size = min(batch_size, num_records) // multiple_of * multiple_of
        if not batch_size:
            raise InputError(
                f"records: {num_records} are held out, expected at least {multiple_of}, one for "
                "each device; raise records.held_out_share"
            )
        num_batches = num_records // batch_size
        if self.records.vocabulary is None:
            num_batches = min(num_batches, _ORIGINAL_EVALUATION_BATCHES)
        numbered = _read(files).batch(batch_size, drop_remainder=True).take(num_batches)

        def place(step: Any) -> Any:
            indices_B = step * batch_size + tf.range(batch_size, dtype=tf.int64)
            return tf.fill([batch_size], tf.constant(_HELD_OUT_EPOCH, tf.int64)), indices_B

        batches = self._batches(numbered.enumerate(), place)
        return batches.apply(tf.data.experimental.assert_cardinality(num_batches))

    @property
    def num_predictions(self) -> int:
        """Prediction slots P of a sequence."""
        if self.records.format == "static":
            return self.records.max_predictions
        return self.masking.max_predictions(self.records.sequence_length)

    def _epoch(self, epoch: Any) -> tf.data.Dataset:
        seeds = tf.stack([tf.constant(self.seed, tf.int64), epoch])
        files = tf.constant([str(file) for file in self.records.train_files])
        shuffled = tf.random.experimental.stateless_shuffle(files, seed=seeds)
        order = self.seed + epoch * 1_000_003
        return _read(shuffled).shuffle(_SHUFFLE_BUFFER, seed=order, reshuffle_each_iteration=False)

    def _batches(self, numbered: tf.data.Dataset, place: Any) -> tf.data.Dataset:
        def parse(step: Any, records_B: Any) -> Batch:
            own = self._own_rows(records_B.shape[0])
            if self.records.format == "static":
                return self._parse_static(records_B[own])
            epochs_B, indices_B = place(step)
            return self._mask(epochs_B[own], indices_B[own], records_B[own])

        return numbered.map(parse, num_parallel_calls=2, deterministic=True).prefetch(8)

    def _own_rows(self, batch_size: int) -> slice:
        num_rows = batch_size // self.num_processes
        return slice(self.process_index * num_rows, (self.process_index + 1) * num_rows)

    def _parse_static(self, records_B: Any) -> Batch:
        features = {
            name: tf.io.FixedLenFeature(self._shape(name), _dtype(name, tf.int64))
            for name in (*_INPUTS, *_TARGETS)
            if name != "sentence_order_labels"
        }
        features[LABEL_FEATURE] = tf.io.FixedLenFeature([], tf.int64)
        parsed = tf.io.parse_example(records_B, features)
        parsed["sentence_order_labels"] = parsed.pop(LABEL_FEATURE)
        batch = {name: tf.cast(value, _dtype(name, tf.int32)) for name, value in parsed.items()}
        return {n: batch[n] for n in _INPUTS}, {n: batch[n] for n in _TARGETS}

    def _mask(self, epochs_B: Any, indices_B: Any, records_B: Any) -> Batch:
        features = {
            "pieces": tf.io.FixedLenFeature([], tf.string),
            "first_length": tf.io.FixedLenFeature([], tf.int64),
            "sentence_order_label": tf.io.FixedLenFeature([], tf.int64, UNDECIDED),
        }
        parsed = tf.io.parse_example(records_B, features)
        flat = tf.numpy_function(
            self._draw,
            [epochs_B, indices_B, *(parsed[name] for name in features)],
            [_dtype(name, tf.int32) for name in _INPUTS + _TARGETS],
            stateful=False,
        )
        batch = dict(zip(_INPUTS + _TARGETS, flat, strict=True))
        for name, tensor in batch.items():
            tensor.set_shape([records_B.shape[0], *self._shape(name)])
        return {n: batch[n] for n in _INPUTS}, {n: batch[n] for n in _TARGETS}

    def _draw(
        self,
        epochs: np.ndarray,
        indices: np.ndarray,
        pieces: np.ndarray,
        first_lengths: np.ndarray,
        labels: np.ndarray,
    ) -> list[np.ndarray]:
        dtype = piece_dtype(len(self.word_starts))
        pairs = SegmentPairs(
            pieces=np.frombuffer(b"".join(pieces), dtype).astype(np.int32),
            lengths=np.array([len(text) // dtype.itemsize for text in pieces]),
            first_lengths=first_lengths,
            labels=labels.astype(np.int8),
            streams=streams_of(self.seed, epochs, indices),
        )
        batch = mask_pairs(
            pairs,
            config=self.masking,
            sequence_length=self.records.sequence_length,
            word_starts=self.word_starts,
            special_ids=self.special_ids,
        )
        return [batch[name] for name in _INPUTS + _TARGETS]

    def _shape(self, name: str) -> list[int]:
        """Return the shape of a row."""
        if name == "sentence_order_labels":
            return []
        if not name.startswith("masked_lm"):
            return [self.records.sequence_length]
        return [self.num_predictions]


@contextlib.contextmanager
def damage_named(data: Sequence[PretrainingData]) -> Iterator[None]:
    """Tell the file and the place of a record that cannot be read.

    Raises:
        StepFailedError: A record's checksum was wrong; what was trained before is kept.
    """
    try:
        yield
    except tf.errors.DataLossError as error:
        for own in data:
            for path in (*own.records.train_files, *own.records.held_out_files):
                try:
                    collections.deque(read_tfrecords(path), maxlen=0)
                except InputError as damage:
                    raise StepFailedError(str(damage)) from error
        raise


class Waiting:
    """Seconds that the consumer of a data set spent waiting for it, so far.

    Attributes:
        seconds: The sum.
    """

    def __init__(self) -> None:
        self.seconds = 0.0

    def timed(self, batches: tf.data.Dataset) -> tf.data.Dataset:
        """Return the same batches; the time from asking for one to having it is counted."""
        clock = tf.data.Dataset.counter().map(lambda _: tf.timestamp())

        def count(asked: Any, batch: Batch, there: Any) -> Batch:
            tf.numpy_function(self._add, [there - asked], [])
            return batch

        options = tf.data.Options()
        options.experimental_optimization.inject_prefetch = False  # would ask ahead of need
        timed = tf.data.Dataset.zip((clock, batches, clock)).map(count)
        return timed.with_options(options)

    def _add(self, seconds: np.ndarray) -> None:
        self.seconds += float(seconds)


def _read(files: Sequence[Path] | Any) -> tf.data.Dataset:
    names = files if tf.is_tensor(files) else [str(file) for file in files]
    return tf.data.TFRecordDataset(names, buffer_size=1 << 20)


def _dtype(name: str, integer: tf.DType) -> tf.DType:
    return tf.float32 if name == "masked_lm_weights" else integer
