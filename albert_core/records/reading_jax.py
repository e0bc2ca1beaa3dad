"""Batches of records read by a thread, without TensorFlow.

Shape suffixes: B batch.
"""

import itertools
import queue
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import keras
import numpy as np

from albert_core.errors import InputError
from albert_core.records.batch import (
    HELD_OUT_EPOCH,
    INPUTS,
    SHUFFLE_BUFFER,
    TARGETS,
    Batch,
    named,
)
from albert_core.records.pairs import UNDECIDED
from albert_core.records.static import LABEL_FEATURE
from albert_core.records.tfrecord import parse_example, read_tfrecords

if TYPE_CHECKING:
    from albert_core.records.dataset import PretrainingData

DamageError = InputError

_PREFETCHED = 8


def train_batches(data: "PretrainingData", batch_size: int, start_step: int) -> Iterator[Batch]:
    """Yield endless batches from a step on; the time spent waiting for them is counted."""
    batches = _ahead(_train_batches(data, batch_size, start_step))
    while True:
        asked = time.monotonic()
        batch = next(batches)
        data.waiting.seconds += time.monotonic() - asked
        yield batch


def held_out_batches(
    data: "PretrainingData", files: Sequence[Path], batch_size: int, num_batches: int
) -> "keras.utils.PyDataset":
    """Return the first batches of some files; their records are kept in memory."""
    records = list(itertools.islice(_read(files), batch_size * num_batches))
    return _HeldOut(data, records, batch_size)


class _HeldOut(keras.utils.PyDataset):
    def __init__(self, data: "PretrainingData", records: list[bytes], batch_size: int) -> None:
        super().__init__()
        self._data, self._records, self._batch_size = data, records, batch_size

    def __len__(self) -> int:
        return len(self._records) // self._batch_size

    def __getitem__(self, step: int) -> Batch:
        indices_B = step * self._batch_size + np.arange(self._batch_size)
        records_B = [self._records[index] for index in indices_B]
        return _batch(self._data, records_B, np.full(len(indices_B), HELD_OUT_EPOCH), indices_B)


def _train_batches(data: "PretrainingData", batch_size: int, start_step: int) -> Iterator[Batch]:
    num_records = data.records.num_train_records
    epoch, skipped = divmod(start_step * batch_size, num_records)
    epochs = itertools.chain.from_iterable(_epoch(data, each) for each in itertools.count(epoch))
    records = itertools.islice(epochs, skipped, None)
    for step in itertools.count(start_step):
        places_B = step * batch_size + np.arange(batch_size)
        records_B = list(itertools.islice(records, batch_size))
        yield _batch(data, records_B, *np.divmod(places_B, num_records))


def _epoch(data: "PretrainingData", epoch: int) -> Iterator[bytes]:
    """Yield the records of an epoch: files in random order, records within a buffer."""
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
    return itertools.chain.from_iterable(map(read_tfrecords, files))


def _batch(
    data: "PretrainingData", records_B: Sequence[bytes], epochs_B: np.ndarray, indices_B: np.ndarray
) -> Batch:
    own = data.own_rows(len(records_B))
    examples = [parse_example(record) for record in records_B[own]]
    if data.records.format == "static":
        stored = {"sentence_order_labels": LABEL_FEATURE}
        return named(
            [
                np.array(
                    [example[stored.get(name, name)] for example in examples], _dtype(name)
                ).reshape(-1, *data.shape(name))
                for name in INPUTS + TARGETS
            ]
        )
    undecided = [UNDECIDED]
    drawn = data.draw(
        epochs_B[own],
        indices_B[own],
        [example["pieces"][0] for example in examples],
        np.array([example["first_length"][0] for example in examples]),
        np.array([example.get("sentence_order_label", undecided)[0] for example in examples]),
    )
    return named(drawn)


def _dtype(name: str) -> type[np.generic]:
    return np.float32 if name == "masked_lm_weights" else np.int32


def _ahead(batches: Iterable[Batch]) -> Iterator[Batch]:
    """Yield what a thread prepares ahead; an error there is raised here."""
    prepared: queue.Queue[Batch | Exception] = queue.Queue(_PREFETCHED)
    is_wanted = threading.Event()
    is_wanted.set()

    def put(item: Batch | Exception) -> None:
        while is_wanted.is_set():
            try:
                return prepared.put(item, timeout=0.1)
            except queue.Full:
                continue

    def prepare() -> None:
        try:
            for batch in batches:
                put(batch)
                if not is_wanted.is_set():
                    return
        except Exception as error:
            put(error)

    threading.Thread(target=prepare, name="records", daemon=True).start()
    try:
        while True:
            item = prepared.get()
            if isinstance(item, Exception):
                raise item
            yield item
    finally:
        is_wanted.clear()
