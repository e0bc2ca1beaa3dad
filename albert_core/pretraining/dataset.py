"""Records to batches for `fit`: which records, in what order, with which masks.

The backend's `record_reader.py` reads them: a tf.data pipeline, or with JAX a thread.

Shape suffixes: B batch, S sequence, P predictions.
"""

import collections
import contextlib
import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from albert_core.backends import record_reader
from albert_core.errors import InputError, StepFailedError
from albert_core.records.batch import INPUTS, TARGETS, InputTimer
from albert_core.records.compact import token_dtype
from albert_core.records.config import MaskingConfig
from albert_core.records.description import RecordsDescription
from albert_core.records.masking import mask_pairs, record_rng_states
from albert_core.records.pairs import SegmentPairs
from albert_core.records.position_offsets import draw_position_offsets
from albert_core.records.replacement_draws import replacement_draws
from albert_core.records.tfrecord import read_tfrecords
from albert_core.tokenization import SpecialIds, Tokenizer
from albert_core.training.batch_division import rows_of_process

_ORIGINAL_EVALUATION_BATCHES = 100
# Purposes of draws. None may be (0,): SeedSequence pads its entropy with zeros, so that these would
# be the draws of the masks again.
_OFFSETS, _REPLACEMENTS = (1,), (2,)


@dataclasses.dataclass(frozen=True, kw_only=True)
class PretrainingData:
    """Records as batches; compact records get other masks in every epoch.

    Attributes:
        records: The files to read, and their format.
        masking: What to mask in compact records; static ones are masked already.
        word_starts: uint8 [V], as `Tokenizer.word_borders` returns it.
        special_ids: Ids of the vocabulary's special tokens.
        seed: Seed of order, swaps, masks, replacement draws and offsets.
        replaces_tokens: Whether batches have the inputs of replaced-token detection, too.
        process_index: Index of this process among those that train together.
        num_processes: Processes that share every batch; each gets equally many rows.
        position_offset_probability: Chance that the positions of a training sequence begin at a
            random offset.
        max_position_offset: Largest offset; 0: none is drawn.
        input_timer: Sums up the time that training waited for batches.
    """

    records: RecordsDescription
    masking: MaskingConfig
    word_starts: np.ndarray
    special_ids: SpecialIds
    seed: int
    replaces_tokens: bool = False
    process_index: int = 0
    num_processes: int = 1
    position_offset_probability: float = 0.0
    max_position_offset: int = 0
    input_timer: InputTimer = dataclasses.field(default_factory=InputTimer)

    @classmethod
    def from_records(
        cls,
        records: RecordsDescription,
        *,
        masking: MaskingConfig,
        tokenizer: Tokenizer,
        seed: int,
        replaces_tokens: bool = False,
        process_index: int = 0,
        num_processes: int = 1,
        position_offset_probability: float = 0.0,
        max_position_offset: int = 0,
    ) -> "PretrainingData":
        """Return the data of records; the tokenizer is the one they were made with (not checked).

        All other arguments are attributes of this class.

        Raises:
            InputError: `masking` is neither the default nor what static records were masked with.
        """
        if records.format == "static" and masking not in (MaskingConfig(), records.masking):
            raise InputError(
                "pretraining.masking: got settings for static records, which have their masks "
                "already; remove them, or make compact records"
            )
        return cls(
            records=records,
            masking=masking,
            word_starts=tokenizer.word_borders(original=masking.compat == "original"),
            special_ids=tokenizer.special_ids,
            seed=seed,
            replaces_tokens=replaces_tokens,
            process_index=process_index,
            num_processes=num_processes,
            position_offset_probability=position_offset_probability,
            max_position_offset=max_position_offset,
        )

    def train_batches(self, batch_size: int, *, start_step: int = 0) -> Any:
        """Return endless batches (inputs, targets) for `fit`, in an order that follows the seed.

        Batch k is the same whether the run began at step 0 or resumed at `start_step` = k. Each
        process gets B / num_processes of the rows. A record with a wrong checksum raises
        `CorruptRecordError` of the backend's record reader once its batch is read. The time spent
        waiting for batches is added to `input_timer`. With `max_position_offset` the inputs have
        `position_offsets` [B], too.

        Args:
            batch_size: Rows B over all processes, a multiple of their number (not checked).
            start_step: Number of steps done before. Only the records of the current epoch that were
                used in these steps are read again, and dropped first.
        """
        return record_reader.train_batches(self, batch_size, start_step)

    def held_out_batches(self, batch_size: int, *, multiple_of: int = 1) -> Any:
        """Return one pass over the held-out records, with the same masks each time it is read.

        All batches are of one size: `batch_size`, or the number of records if that is smaller,
        rounded down to a multiple of `multiple_of`. Records that do not fill a batch are left out.

        Records of the original have no held-out part; for them it is the first 100 batches of the
        training records, as in the original.

        Args:
            batch_size: Most rows of a batch over all processes; each process gets its part.
            multiple_of: What the rows of a batch must be a multiple of.

        Raises:
            InputError: No records are held out, or fewer than `multiple_of`.
        """
        files, num_records = self.records.held_out_files, self.records.num_held_out_records
        if self.records.vocabulary is None:
            files, num_records = self.records.train_files, self.records.num_train_records
        if not num_records:
            raise InputError(
                "records: none are held out, and pretraining is evaluated on such; make records of "
                "several documents (a blank line ends one) with records.held_out_fraction above 0"
            )
        batch_size = min(batch_size, num_records) // multiple_of * multiple_of
        if not batch_size:
            raise InputError(
                f"records: {num_records} are held out, expected at least {multiple_of}, one for "
                "each device; raise records.held_out_fraction"
            )
        num_batches = num_records // batch_size
        if self.records.vocabulary is None:
            num_batches = min(num_batches, _ORIGINAL_EVALUATION_BATCHES)
        return record_reader.held_out_batches(self, files, batch_size, num_batches)

    @property
    def masking_of_batches(self) -> MaskingConfig | None:
        """How the records of the batches are masked; None for static records that do not say it."""
        return self.records.masking if self.records.format == "static" else self.masking

    @property
    def num_predictions(self) -> int:
        """Number P of predictions that a sequence has slots for."""
        if self.records.format == "static":
            return self.records.max_predictions
        return self.masking.max_predictions(self.records.sequence_length)

    def process_rows(self, batch_size: int) -> slice:
        """Return the rows of a batch that this process reads; `batch_size` counts those of all.

        If it is no multiple of the number of processes, the last rows go to none.
        """
        return rows_of_process(
            batch_size, process_index=self.process_index, num_processes=self.num_processes
        )

    def row_shape(self, name: str) -> list[int]:
        """Return the shape of one example of a feature of `INPUTS` or `TARGETS`.

        [] for `sentence_order_labels`, [P] for names that begin with `masked_lm`, [S] for all
        others.
        """
        if name == "sentence_order_labels":
            return []
        if not name.startswith("masked_lm"):
            return [self.records.sequence_length]
        return [self.num_predictions]

    def draw_masks(
        self,
        epochs: np.ndarray,
        indices: np.ndarray,
        token_bytes: Sequence[bytes] | np.ndarray,
        first_lengths: np.ndarray,
        labels: np.ndarray,
    ) -> list[np.ndarray]:
        """Draw swaps and masks of compact records; the same for the same epochs and places.

        Args:
            epochs: int64 [B].
            indices: int64 [B], places in the epoch.
            token_bytes: bytes [B], token ids as the records hold them.
            first_lengths: int64 [B], numbers of tokens of the first segments.
            labels: int64 [B], `UNDECIDED`, or the order if the records decide it.

        Returns:
            The arrays that `INPUTS` and `TARGETS` name, in that order.
        """
        dtype = token_dtype(len(self.word_starts))
        pairs = SegmentPairs(
            token_ids=np.frombuffer(b"".join(token_bytes), dtype).astype(np.int32),
            lengths=np.array([len(ids) // dtype.itemsize for ids in token_bytes]),
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

    def draw_replacements(self, epochs: np.ndarray, indices: np.ndarray) -> np.ndarray:
        """Return the replacement draws int32 [B, P]; the same for the same epochs and places.

        Args:
            epochs: int64 [B].
            indices: int64 [B], places in the epoch.
        """
        states = record_rng_states(self.seed, epochs, indices, purpose=_REPLACEMENTS)
        return replacement_draws(states, self.num_predictions)

    def draw_position_offsets(self, epochs: np.ndarray, indices: np.ndarray) -> np.ndarray:
        """Draw the first position of each sequence; the same for the same epochs and places.

        Args:
            epochs: int64 [B].
            indices: int64 [B], places in the epoch.

        Returns:
            int32 [B], from 0 to `max_position_offset`.
        """
        states = record_rng_states(self.seed, epochs, indices, purpose=_OFFSETS)
        return draw_position_offsets(
            states, self.position_offset_probability, self.max_position_offset
        )


@contextlib.contextmanager
def locate_corrupt_record(datasets: Sequence[PretrainingData]) -> Iterator[None]:
    """Turn the error of a record with a wrong checksum into one that names its file and byte.

    All files of the data sets are read again for it. If all can be read then, the first error is
    raised as it is.

    Raises:
        StepFailedError: A record's checksum is wrong. Checkpoints are kept.
    """
    try:
        yield
    except record_reader.CorruptRecordError as error:
        # Neither reader says where: TensorFlow's error has no file name, and batches are made
        # ahead of need. So all files are read once more, outside of training.
        for data in datasets:
            for path in (*data.records.train_files, *data.records.held_out_files):
                try:
                    collections.deque(read_tfrecords(path), maxlen=0)
                except InputError as corruption:
                    raise StepFailedError(str(corruption)) from error
        raise
