"""Batches of records as a tf.data pipeline.

Shape suffixes: B batch.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf

from albert_core.records.batch import (
    HELD_OUT_EPOCH,
    INPUTS,
    SHUFFLE_BUFFER,
    TARGETS,
    Batch,
    Waiting,
    named,
)
from albert_core.records.pairs import UNDECIDED
from albert_core.records.static import LABEL_FEATURE

if TYPE_CHECKING:
    from albert_core.records.dataset import PretrainingData

DamageError = tf.errors.DataLossError


def train_batches(data: "PretrainingData", batch_size: int, start_step: int) -> tf.data.Dataset:
    """Return endless batches from a step on; the time spent waiting for them is counted."""
    num_records = data.records.num_train_records
    epoch, skipped = divmod(start_step * batch_size, num_records)
    first = _epoch(data, tf.constant(epoch, tf.int64)).skip(skipped)
    later = tf.data.Dataset.counter(epoch + 1).flat_map(lambda epoch: _epoch(data, epoch))
    numbered = first.concatenate(later).batch(batch_size, drop_remainder=True)

    def place(step: Any) -> Any:
        places_B = step * batch_size + tf.range(batch_size, dtype=tf.int64)
        return places_B // num_records, places_B % num_records

    batches = _batches(data, numbered.enumerate(start_step), place)
    timed = _timed(batches, data.waiting)
    return timed.apply(tf.data.experimental.assert_cardinality(tf.data.INFINITE_CARDINALITY))


def held_out_batches(
    data: "PretrainingData", files: Sequence[Path], batch_size: int, num_batches: int
) -> tf.data.Dataset:
    """Return the first batches of some files."""
    numbered = _read(files).batch(batch_size, drop_remainder=True).take(num_batches)

    def place(step: Any) -> Any:
        indices_B = step * batch_size + tf.range(batch_size, dtype=tf.int64)
        return tf.fill([batch_size], tf.constant(HELD_OUT_EPOCH, tf.int64)), indices_B

    batches = _batches(data, numbered.enumerate(), place)
    return batches.apply(tf.data.experimental.assert_cardinality(num_batches))


def _epoch(data: "PretrainingData", epoch: Any) -> tf.data.Dataset:
    seeds = tf.stack([tf.constant(data.seed, tf.int64), epoch])
    files = tf.constant([str(file) for file in data.records.train_files])
    shuffled = tf.random.experimental.stateless_shuffle(files, seed=seeds)
    order = data.seed + epoch * 1_000_003
    return _read(shuffled).shuffle(SHUFFLE_BUFFER, seed=order, reshuffle_each_iteration=False)


def _read(files: Sequence[Path] | Any) -> tf.data.Dataset:
    names = files if tf.is_tensor(files) else [str(file) for file in files]
    return tf.data.TFRecordDataset(names, buffer_size=1 << 20)


def _batches(data: "PretrainingData", numbered: tf.data.Dataset, place: Any) -> tf.data.Dataset:
    def parse(step: Any, records_B: Any) -> Batch:
        own = data.own_rows(records_B.shape[0])
        if data.records.format == "static":
            return _parse_static(data, records_B[own])
        epochs_B, indices_B = place(step)
        return _mask(data, epochs_B[own], indices_B[own], records_B[own])

    return numbered.map(parse, num_parallel_calls=2, deterministic=True).prefetch(8)


def _parse_static(data: "PretrainingData", records_B: Any) -> Batch:
    features = {
        name: tf.io.FixedLenFeature(data.shape(name), _dtype(name, tf.int64))
        for name in (*INPUTS, *TARGETS)
        if name != "sentence_order_labels"
    }
    features[LABEL_FEATURE] = tf.io.FixedLenFeature([], tf.int64)
    parsed = tf.io.parse_example(records_B, features)
    parsed["sentence_order_labels"] = parsed.pop(LABEL_FEATURE)
    return named([tf.cast(parsed[name], _dtype(name, tf.int32)) for name in INPUTS + TARGETS])


def _mask(data: "PretrainingData", epochs_B: Any, indices_B: Any, records_B: Any) -> Batch:
    features = {
        "pieces": tf.io.FixedLenFeature([], tf.string),
        "first_length": tf.io.FixedLenFeature([], tf.int64),
        "sentence_order_label": tf.io.FixedLenFeature([], tf.int64, UNDECIDED),
    }
    parsed = tf.io.parse_example(records_B, features)
    drawn = tf.numpy_function(
        data.draw,
        [epochs_B, indices_B, *(parsed[name] for name in features)],
        [_dtype(name, tf.int32) for name in INPUTS + TARGETS],
        stateful=False,
    )
    for name, tensor in zip(INPUTS + TARGETS, drawn, strict=True):
        tensor.set_shape([records_B.shape[0], *data.shape(name)])
    return named(drawn)


def _timed(batches: tf.data.Dataset, waiting: Waiting) -> tf.data.Dataset:
    """Return the same batches; the time from asking for one to having it is counted."""
    clock = tf.data.Dataset.counter().map(lambda _: tf.timestamp())

    def add(seconds: np.ndarray) -> None:
        waiting.seconds += float(seconds)

    def count(asked: Any, batch: Batch, there: Any) -> Batch:
        tf.numpy_function(add, [there - asked], [])
        return batch

    options = tf.data.Options()
    options.experimental_optimization.inject_prefetch = False  # would ask ahead of need
    timed = tf.data.Dataset.zip((clock, batches, clock)).map(count)
    return timed.with_options(options)


def _dtype(name: str, integer: tf.DType) -> tf.DType:
    return tf.float32 if name == "masked_lm_weights" else integer
