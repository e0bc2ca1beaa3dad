"""Batches of records read and masked by a thread, without TensorFlow.

Shape suffixes: B batch.
"""

import itertools
import queue
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import keras
import numpy as np

from albert_core.errors import InputError
from albert_core.records.batch import (
    HELD_OUT_EPOCH,
    INPUTS,
    POSITION_OFFSETS,
    SHUFFLE_BUFFER,
    TARGETS,
    Batch,
    replacement_inputs,
    to_batch,
)
from albert_core.records.tfrecord import parse_example, read_tfrecords

if TYPE_CHECKING:
    from albert_core.pretraining.dataset import PretrainingData

CorruptRecordError = InputError
"""What reading a record with a wrong checksum raises."""

_NUM_PREFETCHED = 8  # batches


def train_batches(data: "PretrainingData", batch_size: int, start_step: int) -> Iterator[Batch]:
    """Yield endless batches (inputs, targets) from a step on, made ahead of need by a thread.

    Each epoch has another order, which follows from the seed; a batch may hold the end of one and
    the beginning of the next. Static records keep their masks; for compact records they are drawn
    anew in each epoch. Inputs have offsets of positions, and the draws of replacements, if `data`
    has them. The time spent waiting for a batch is added to `data.input_timer`.

    Args:
        data: The records, and how to mask them.
        batch_size: Rows of a batch over all processes; this process gets its part of them.
        start_step: Number of steps done before the first batch. Only the records of the current
            epoch that were used in these steps are read again and dropped.

    Raises:
        InputError: A record cannot be read.
    """
    batches = _prefetch(_generate_train_batches(data, batch_size, start_step))
    while True:
        asked = time.monotonic()
        batch = next(batches)
        data.input_timer.seconds += time.monotonic() - asked
        yield batch


def held_out_batches(
    data: "PretrainingData", files: Sequence[Path], batch_size: int, num_batches: int
) -> "keras.utils.PyDataset":
    """Return the first batches of some files, always with the same masks.

    The records are read here, at once, and kept in memory; masks are drawn, unless the records are
    static, when a batch is asked for. Inputs have the draws of replacements if `data` has them, but
    no offsets of positions.

    Args:
        data: How to mask the records.
        files: The files, read in this order.
        batch_size: Rows of a batch over all processes; this process gets its part of them.
        num_batches: Most batches; records that do not fill one are left out.

    Raises:
        InputError: A record cannot be read.
    """
    records = list(itertools.islice(_read(files), batch_size * num_batches))
    return _HeldOutBatches(data, records, batch_size)


class _HeldOutBatches(keras.utils.PyDataset):
    """Batches masked when they are asked for, always with the same masks.

    Masks follow from a record's place in `records`, whatever the size of a batch; static records
    keep theirs. Records at the end that do not fill a batch are left out.

    Args:
        data: How to mask the records.
        records: The records, serialized.
        batch_size: Rows of a batch over all processes; this process gets its part of them.
    """

    # Not a generator: `evaluate` reads the same object after every interval.
    def __init__(self, data: "PretrainingData", records: list[bytes], batch_size: int) -> None:
        super().__init__()
        self._data, self._records, self._batch_size = data, records, batch_size

    def __len__(self) -> int:
        return len(self._records) // self._batch_size

    def __getitem__(self, step: int) -> Batch:
        """Return this process's rows of batch `step`, its masks drawn anew from the same seeds."""
        indices_B = step * self._batch_size + np.arange(self._batch_size)
        records_B = [self._records[index] for index in indices_B]
        epochs_B = np.full(len(indices_B), HELD_OUT_EPOCH)
        return _make_batch(self._data, records_B, epochs_B, indices_B)


def _generate_train_batches(
    data: "PretrainingData", batch_size: int, start_step: int
) -> Iterator[Batch]:
    """Yield endless batches from a step on, each made when it is asked for.

    Batch k holds records k * `batch_size` and so on of all epochs in a row: one may hold the end of
    an epoch and the beginning of the next. Records of the first epoch that come before the step are
    read and dropped. From each batch only this process's rows are yielded, with offsets of
    positions if `data` draws them.
    """
    num_records = data.records.num_train_records
    first_epoch, num_skipped = divmod(start_step * batch_size, num_records)
    epochs = (_read_epoch(data, epoch) for epoch in itertools.count(first_epoch))
    # A resumed run reads and drops the records before its step: the order within an epoch comes of
    # a shuffle buffer, whose state can only be had by filling it again.
    records = itertools.islice(itertools.chain.from_iterable(epochs), num_skipped, None)
    for step in itertools.count(start_step):
        places_B = step * batch_size + np.arange(batch_size)
        records_B = list(itertools.islice(records, batch_size))
        epochs_B, indices_B = np.divmod(places_B, num_records)
        inputs, targets = _make_batch(data, records_B, epochs_B, indices_B)
        if data.max_position_offset:
            rows = data.process_rows(batch_size)
            inputs[POSITION_OFFSETS] = data.draw_position_offsets(epochs_B[rows], indices_B[rows])
        yield inputs, targets


def _read_epoch(data: "PretrainingData", epoch: int) -> Iterator[bytes]:
    """Yield each record of an epoch once: files in random order, shuffled within a buffer.

    The order follows from the seed and the epoch.
    """
    rng = np.random.default_rng((data.seed, epoch))
    files = [data.records.train_files[k] for k in rng.permutation(len(data.records.train_files))]
    records = _read(files)
    buffer = list(itertools.islice(records, SHUFFLE_BUFFER))
    for record in records:
        place = rng.integers(len(buffer))
        yield buffer[place]
        buffer[place] = record
    for place in rng.permutation(len(buffer)):
        yield buffer[place]


def _read(files: Sequence[Path]) -> Iterator[bytes]:
    """Yield the records of files, one file after the other."""
    return itertools.chain.from_iterable(map(read_tfrecords, files))


def _make_batch(
    data: "PretrainingData", records_B: Sequence[bytes], epochs_B: np.ndarray, indices_B: np.ndarray
) -> Batch:
    """Return this process's rows of a batch, with replacement draws if the data has them.

    Args:
        data: Format of the records, and how to mask them.
        records_B: Serialized records of the batch of all processes.
        epochs_B: Epoch of each record.
        indices_B: Place of each record in its epoch; both seed its masks.
    """
    rows = data.process_rows(len(records_B))
    epochs_B, indices_B = epochs_B[rows], indices_B[rows]
    inputs, targets = _mask_records(data, records_B[rows], epochs_B, indices_B)
    if data.replaces_tokens:
        inputs |= replacement_inputs(targets, data.draw_replacements(epochs_B, indices_B))
    return inputs, targets


def _mask_records(
    data: "PretrainingData", records_B: Sequence[bytes], epochs_B: np.ndarray, indices_B: np.ndarray
) -> Batch:
    """Return a batch of records as stored if static, else with masks drawn.

    All arguments are of this process's rows alone; epochs and places in them seed the masks.

    Raises:
        InputError: A record is no tf.train.Example.
    """
    # Here, not above: these import numba, for a third of a second, and few processes read records.
    from albert_core.records.pairs import UNDECIDED
    from albert_core.records.static import LABEL_FEATURE

    examples = [parse_example(record) for record in records_B]
    if data.records.format == "static":
        stored_names = {"sentence_order_labels": LABEL_FEATURE}
        return to_batch(
            [
                np.array(
                    [example[stored_names.get(name, name)] for example in examples],
                    _get_dtype(name),
                ).reshape(-1, *data.row_shape(name))
                for name in INPUTS + TARGETS
            ]
        )
    undecided = [UNDECIDED]
    drawn = data.draw_masks(
        epochs_B,
        indices_B,
        [example["pieces"][0] for example in examples],
        np.array([example["first_length"][0] for example in examples]),
        np.array([example.get("sentence_order_label", undecided)[0] for example in examples]),
    )
    return to_batch(drawn)


def _get_dtype(name: str) -> type[np.generic]:
    """Return the type of a feature in a batch: float32 for weights, else int32."""
    return np.float32 if name == "masked_lm_weights" else np.int32


def _prefetch(batches: Iterator[Batch]) -> Iterator[Batch]:
    """Yield endless batches that a thread makes up to 8 ahead of need; its errors are raised here.

    The thread starts with the first batch asked for, and ends when the generator is closed or
    collected.
    """
    prefetched: queue.Queue[Batch | Exception] = queue.Queue(_NUM_PREFETCHED)
    is_wanted = threading.Event()
    is_wanted.set()

    def put(item: Batch | Exception) -> None:
        """Hand an item to the consumer once the queue has room; drop it if the consumer goes."""
        # Not a blocking `put`: it would never return once the consumer has gone.
        while is_wanted.is_set():
            try:
                return prefetched.put(item, timeout=0.1)
            except queue.Full:
                continue

    def make_batches() -> None:
        """Make batches and hand them over until the consumer goes.

        An error in making one ends this, and is handed over in its place.
        """
        try:
            for batch in batches:
                put(batch)
                if not is_wanted.is_set():
                    return
        except Exception as error:
            put(error)

    threading.Thread(target=make_batches, name="records", daemon=True).start()
    try:
        while True:
            item = prefetched.get()
            if isinstance(item, Exception):
                raise item
            yield item
    finally:
        is_wanted.clear()
