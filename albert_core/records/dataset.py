"""Records to batches for `fit`: which, in what order, with which masks.

How they are read is the backend's: a tf.data pipeline, or with JAX a thread without TensorFlow.

Shape suffixes: B batch, S sequence, P predictions.
"""

import collections
import contextlib
import dataclasses
import importlib
from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np

from albert_core.errors import InputError, StepFailedError
from albert_core.records.batch import INPUTS, TARGETS, Waiting
from albert_core.records.compact import token_dtype
from albert_core.records.config import MaskingConfig
from albert_core.records.description import RecordsDescription
from albert_core.records.masking import mask_pairs, record_rng_states
from albert_core.records.pairs import SegmentPairs
from albert_core.records.tfrecord import read_tfrecords
from albert_core.tokenization import SpecialIds, Tokenizer

_ORIGINAL_EVALUATION_BATCHES = 100

_reading: Any = importlib.import_module(f"albert_core.records.reading_{keras.backend.backend()}")


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
    waiting: Waiting = dataclasses.field(default_factory=Waiting)

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

    def train_batches(self, batch_size: int, *, start_step: int = 0) -> Any:
        """Return endless batches (inputs, targets) in the order of the run seed, for `fit`.

        Batch k is the same whether the run began at step 0 or resumed at `start_step` = k. Of
        several processes each gets its own rows, B / num_processes of them.
        """
        return _reading.train_batches(self, batch_size, start_step)

    def held_out_batches(self, batch_size: int, *, multiple_of: int = 1) -> Any:
        """Return one pass over the held-out records in whole batches; masks are always the same.

        A batch is smaller if there are fewer records, but always a multiple of `multiple_of`.
        `evaluate` can read them again and again.

        Of the original's records, which have none held out, it is the first 100 batches, as there.

        Raises:
            InputError: The records were made without a held-out share.
        """
        files, num_records = self.records.held_out_files, self.records.num_held_out_records
        if self.records.vocabulary is None:
            files, num_records = self.records.train_files, self.records.num_train_records
        if not num_records:
            raise InputError("records: none are held out; raise records.held_out_fraction")
        batch_size = min(batch_size, num_records) // multiple_of * multiple_of
        if not batch_size:
            raise InputError(
                f"records: {num_records} are held out, expected at least {multiple_of}, one for "
                "each device; raise records.held_out_fraction"
            )
        num_batches = num_records // batch_size
        if self.records.vocabulary is None:
            num_batches = min(num_batches, _ORIGINAL_EVALUATION_BATCHES)
        return _reading.held_out_batches(self, files, batch_size, num_batches)

    @property
    def num_predictions(self) -> int:
        """Prediction slots P of a sequence."""
        if self.records.format == "static":
            return self.records.max_predictions
        return self.masking.max_predictions(self.records.sequence_length)

    def own_rows(self, batch_size: int) -> slice:
        """Return which rows of a batch are this process's."""
        num_rows = batch_size // self.num_processes
        return slice(self.process_index * num_rows, (self.process_index + 1) * num_rows)

    def shape(self, name: str) -> list[int]:
        """Return the shape of a row of a feature."""
        if name == "sentence_order_labels":
            return []
        if not name.startswith("masked_lm"):
            return [self.records.sequence_length]
        return [self.num_predictions]

    def draw(
        self,
        epochs: np.ndarray,
        indices: np.ndarray,
        pieces: Sequence[bytes] | np.ndarray,
        first_lengths: np.ndarray,
        labels: np.ndarray,
    ) -> list[np.ndarray]:
        """Draw swaps and masks of compact records, by their places in an epoch.

        Args:
            epochs: int64 [B].
            indices: int64 [B], places in the epoch.
            pieces: bytes [B].
            first_lengths: int64 [B], pieces of the first segment.
            labels: int64 [B], `UNDECIDED` or the order.

        Returns:
            What `INPUTS` and `TARGETS` name.
        """
        dtype = token_dtype(len(self.word_starts))
        pairs = SegmentPairs(
            token_ids=np.frombuffer(b"".join(pieces), dtype).astype(np.int32),
            lengths=np.array([len(text) // dtype.itemsize for text in pieces]),
            first_lengths=first_lengths,
            labels=labels.astype(np.int8),
            rng_states=record_rng_states(self.seed, epochs, indices),
        )
        batch = mask_pairs(
            pairs,
            config=self.masking,
            sequence_length=self.records.sequence_length,
            word_starts=self.word_starts,
            special_ids=self.special_ids,
        )
        return [batch[name] for name in INPUTS + TARGETS]


@contextlib.contextmanager
def damage_named(data: Sequence[PretrainingData]) -> Iterator[None]:
    """Tell the file and the place of a record that cannot be read.

    Raises:
        StepFailedError: A record's checksum was wrong; what was trained before is kept.
    """
    try:
        yield
    except _reading.DamageError as error:
        for own in data:
            for path in (*own.records.train_files, *own.records.held_out_files):
                try:
                    collections.deque(read_tfrecords(path), maxlen=0)
                except InputError as damage:
                    raise StepFailedError(str(damage)) from error
        raise
