"""Batches of records read and masked by a tf.data pipeline.

Shape suffixes: B batch.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf

from albert_core.records.batch import (
    HELD_OUT_EPOCH,
    INPUTS,
    POSITION_OFFSETS,
    SHUFFLE_BUFFER,
    TARGETS,
    Batch,
    InputTimer,
    replacement_inputs,
    to_batch,
)

if TYPE_CHECKING:
    from albert_core.pretraining.dataset import PretrainingData

CorruptRecordError = tf.errors.DataLossError
"""What reading a record with a wrong checksum raises."""

_NUM_PREFETCHED = 8  # batches

# AutoGraph would rewrite the functions of a pipeline, and all that they call, for over a second;
# their `if` and `for` are Python's, decided while the pipeline is made.
_as_written = tf.autograph.experimental.do_not_convert


def train_batches(data: "PretrainingData", batch_size: int, start_step: int) -> tf.data.Dataset:
    """Return endless batches (inputs, targets) from a step on, made ahead of need.

    Each epoch has another order, which follows from the seed; a batch may hold the end of one and
    the beginning of the next. Static records keep their masks; for compact records they are drawn
    anew in each epoch. Inputs have offsets of positions, and the draws of replacements, if `data`
    has them. The time that the reader waits for a batch is added to `data.input_timer`.

    Args:
        data: The records, and how to mask them.
        batch_size: Rows of a batch over all processes; this process gets its part of them.
        start_step: Number of steps done before the first batch. Only the records of the current
            epoch that were used in these steps are read again and dropped.
    """
    num_records = data.records.num_train_records
    epoch, num_skipped = divmod(start_step * batch_size, num_records)
    # A resumed run reads and drops the records before its step: the order within an epoch comes of
    # a shuffle buffer, whose state can only be had by filling it again.
    first = _read_epoch(data, tf.constant(epoch, tf.int64)).skip(num_skipped)
    epochs = tf.data.Dataset.counter(epoch + 1)
    later = epochs.flat_map(_as_written(lambda epoch: _read_epoch(data, epoch)))
    records = first.concatenate(later).batch(batch_size, drop_remainder=True)

    def get_places(step: Any) -> tuple[Any, Any]:
        """Return epoch [B] and place in it [B] of each record of a step, int64."""
        places_B = step * batch_size + tf.range(batch_size, dtype=tf.int64)
        return places_B // num_records, places_B % num_records

    batches = _make_batches(
        data,
        records.enumerate(start_step),
        get_places,
        draws_offsets=data.max_position_offset > 0,
    )
    timed = _time(batches, data.input_timer)
    # `fit` would otherwise look for the end, which `zip` hides from it.
    return timed.apply(tf.data.experimental.assert_cardinality(tf.data.INFINITE_CARDINALITY))


def held_out_batches(
    data: "PretrainingData", files: Sequence[Path], batch_size: int, num_batches: int
) -> tf.data.Dataset:
    """Return the first batches of some files, always with the same masks.

    The records are read, and masked unless they are static, each time the result is read. Inputs
    have the draws of replacements if `data` has them, but no offsets of positions.

    Args:
        data: How to mask the records.
        files: The files, read in this order.
        batch_size: Rows of a batch over all processes; this process gets its part of them.
        num_batches: How many there are; the files must hold the records for them.
    """
    records = _read(files).batch(batch_size, drop_remainder=True).take(num_batches)

    def get_places(step: Any) -> tuple[Any, Any]:
        """Return `HELD_OUT_EPOCH` [B] and the number of each record of a step [B], int64."""
        indices_B = step * batch_size + tf.range(batch_size, dtype=tf.int64)
        return tf.fill([batch_size], tf.constant(HELD_OUT_EPOCH, tf.int64)), indices_B

    batches = _make_batches(data, records.enumerate(), get_places)
    return batches.apply(tf.data.experimental.assert_cardinality(num_batches))


def _read_epoch(data: "PretrainingData", epoch: Any) -> tf.data.Dataset:
    """Return the records of an epoch: files in random order, records shuffled within a buffer.

    The order follows from the seed and the epoch, a scalar int64 tensor.
    """
    seeds = tf.stack([tf.constant(data.seed, tf.int64), epoch])
    files = tf.constant([str(file) for file in data.records.train_files])
    shuffled_files = tf.random.experimental.stateless_shuffle(files, seed=seeds)
    seed = data.seed + epoch * 1_000_003  # a prime, so that seeds of near runs do not meet
    return _read(shuffled_files).shuffle(SHUFFLE_BUFFER, seed=seed, reshuffle_each_iteration=False)


def _read(files: Sequence[Path] | Any) -> tf.data.Dataset:
    """Return the records of files, one file after the other."""
    names = files if tf.is_tensor(files) else [str(file) for file in files]
    return tf.data.TFRecordDataset(names, buffer_size=1 << 20)


def _make_batches(
    data: "PretrainingData",
    records: tf.data.Dataset,
    get_places: Callable[[Any], tuple[Any, Any]],
    *,
    draws_offsets: bool = False,
) -> tf.data.Dataset:
    """Return this process's rows of batches of records, as stored if static, else masked.

    They are made in order, ahead of need, with replacement draws if the data has them.

    Args:
        data: Format of the records, and how to mask them.
        records: (step, serialized records [B]) of all processes.
        get_places: Function of the step to epochs [B] and places in the epoch [B], which seed the
            masks.
        draws_offsets: Whether the inputs also have offsets of positions, drawn by the same places.
    """

    @_as_written
    def make_batch(step: Any, records_B: Any) -> Batch:
        """Return this process's rows of a batch, as stored or with masks drawn."""
        rows = data.process_rows(records_B.shape[0])
        epochs_B, indices_B = (places_B[rows] for places_B in get_places(step))
        if data.records.format == "static":
            inputs, targets = _parse_static(data, records_B[rows])
        else:
            inputs, targets = _draw_masks(data, epochs_B, indices_B, records_B[rows])
        if draws_offsets:
            inputs[POSITION_OFFSETS] = _draw_position_offsets(data, epochs_B, indices_B)
        if data.replaces_tokens:
            draws_BP = _draw_replacements(data, epochs_B, indices_B)
            inputs |= replacement_inputs(targets, draws_BP)
        return inputs, targets

    batches = records.map(make_batch, num_parallel_calls=2, deterministic=True)
    return batches.prefetch(_NUM_PREFETCHED)


def _parse_static(data: "PretrainingData", records_B: Any) -> Batch:
    """Return a batch of serialized records [B] that hold their masks, as they are stored.

    Parsed in TensorFlow's graph; whole numbers become int32.
    """
    # Here, not above: this imports numba, for a third of a second, and few processes read records.
    from albert_core.records.static import LABEL_FEATURE

    features = {
        name: tf.io.FixedLenFeature(data.row_shape(name), _get_dtype(name, tf.int64))
        for name in (*INPUTS, *TARGETS)
        if name != "sentence_order_labels"
    }
    features[LABEL_FEATURE] = tf.io.FixedLenFeature([], tf.int64)
    parsed = tf.io.parse_example(records_B, features)
    parsed["sentence_order_labels"] = parsed.pop(LABEL_FEATURE)
    return to_batch(
        [tf.cast(parsed[name], _get_dtype(name, tf.int32)) for name in INPUTS + TARGETS]
    )


def _draw_masks(data: "PretrainingData", epochs_B: Any, indices_B: Any, records_B: Any) -> Batch:
    """Return a batch from serialized compact records [B].

    `data` draws their masks, outside TensorFlow's graph, by their places in an epoch.
    """
    from albert_core.records.pairs import UNDECIDED  # imports numba, as above

    features = {
        "pieces": tf.io.FixedLenFeature([], tf.string),
        "first_length": tf.io.FixedLenFeature([], tf.int64),
        "sentence_order_label": tf.io.FixedLenFeature([], tf.int64, UNDECIDED),
    }
    parsed = tf.io.parse_example(records_B, features)
    # In numpy and numba, not in TensorFlow: the choice of n-grams is sequential, and it is the
    # same code, with the same draws, as for JAX and for static records.
    drawn = tf.numpy_function(
        data.draw_masks,
        [epochs_B, indices_B, *(parsed[name] for name in features)],
        [_get_dtype(name, tf.int32) for name in INPUTS + TARGETS],
        stateful=False,
    )
    for name, tensor in zip(INPUTS + TARGETS, drawn, strict=True):
        tensor.set_shape([records_B.shape[0], *data.row_shape(name)])
    return to_batch(drawn)


def _draw_replacements(data: "PretrainingData", epochs_B: Any, indices_B: Any) -> Any:
    """Return the replacement draws [B, P], which `data` makes outside TensorFlow's graph."""
    arguments = [epochs_B, indices_B]
    draws_BP = tf.numpy_function(data.draw_replacements, arguments, tf.int32, stateful=False)
    draws_BP.set_shape([epochs_B.shape[0], data.num_predictions])
    return draws_BP


def _draw_position_offsets(data: "PretrainingData", epochs_B: Any, indices_B: Any) -> Any:
    """Return offsets of positions, int32 [B], that `data` draws outside TensorFlow's graph."""
    offsets_B = tf.numpy_function(
        data.draw_position_offsets, [epochs_B, indices_B], tf.int32, stateful=False
    )
    offsets_B.set_shape(epochs_B.shape)
    return offsets_B


def _time(batches: tf.data.Dataset, timer: InputTimer) -> tf.data.Dataset:
    """Return the same batches; the time from asking for one to having it is added to `timer`.

    The time is added when a batch is read, not now. No batch is made ahead of need behind this.
    """
    clock = tf.data.Dataset.counter().map(_as_written(lambda _: tf.timestamp()))

    def add(seconds: np.ndarray) -> None:
        timer.seconds += float(seconds)

    @_as_written
    def count(asked: Any, batch: Batch, received: Any) -> Batch:
        """Add the time between two clock readings to the timer; return the batch alone."""
        tf.numpy_function(add, [received - asked], [])
        return batch

    options = tf.data.Options()
    # A prefetch behind the clocks would ask ahead of need, and count the making of a batch.
    options.experimental_optimization.inject_prefetch = False
    timed = tf.data.Dataset.zip((clock, batches, clock)).map(count)
    return timed.with_options(options)


def _get_dtype(name: str, integer: tf.DType) -> tf.DType:
    """Return the type of a feature; `integer` for all but the weights."""
    return tf.float32 if name == "masked_lm_weights" else integer
