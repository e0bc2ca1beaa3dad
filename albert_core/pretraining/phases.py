"""Phases of pretraining: steps on sequences of one length."""

import dataclasses

from albert_core.config import AlbertConfig
from albert_core.errors import InputError
from albert_core.training.batch_division import divide_batch


@dataclasses.dataclass(frozen=True, kw_only=True)
class PhaseConfig:
    """Settings of a phase: steps on sequences of one length; those not set are as for the run.

    Attributes:
        sequence_length: Length S of its sequences in tokens.
        num_train_steps: Its steps.
        batch_size: Sequences in a step.
        device_batch_size: Sequences that a device takes at a time.
        learning_rate: Its peak rate.
        num_warmup_steps: Steps of linear warm-up at its beginning.
        num_hidden_layers: Layers that are applied in it; None: as many as the model has.
    """

    sequence_length: int
    num_train_steps: int | None = None
    batch_size: int | None = None
    device_batch_size: int | None = None
    learning_rate: float | None = None
    num_warmup_steps: int | None = None
    num_hidden_layers: int | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Phase:
    """A phase with all its settings resolved.

    Attributes:
        sequence_length: Length S of its sequences in tokens.
        num_train_steps: Its steps.
        batch_size: Sequences in a step.
        device_batch_size: Sequences that a device takes at a time; None: all at once.
        learning_rate: Its peak rate, for this batch size.
        num_warmup_steps: Steps of linear warm-up at the beginning of its schedule.
        warmup_ratio: Fraction of the schedule's steps that these are, if they are given so.
        num_schedule_steps: Steps of its schedule: its own, or those of the whole run; `UNSETTLED`
            in a training by minutes.
        num_hidden_layers: Layers that are applied in it; None: as many as the model has.
    """

    sequence_length: int
    num_train_steps: int
    batch_size: int
    device_batch_size: int | None
    learning_rate: float
    num_warmup_steps: int
    warmup_ratio: float | None = None
    num_schedule_steps: int = 0
    num_hidden_layers: int | None = None

    def architecture(self, model: AlbertConfig) -> AlbertConfig:
        """Return the architecture of a model with the number of layers that this phase applies.

        Raises:
            InputError: The model cannot have that number with the same weights.
        """
        if self.num_hidden_layers is None:
            return model
        try:
            return model.with_depth(self.num_hidden_layers)
        except InputError as error:
            raise InputError(f"pretraining.phases: {error}") from error

    @property
    def num_tokens(self) -> int:
        """Tokens of all its batches, padding included."""
        return self.num_train_steps * self.batch_size * self.sequence_length

    def num_micro_batches(self, num_data_parallel: int) -> int:
        """Return the number of micro-batches of a step; 1 without `device_batch_size`.

        Args:
            num_data_parallel: Devices, or groups of them, that a batch is divided among.

        Raises:
            InputError: The batch cannot be divided evenly among them, or into micro-batches.
        """
        at_once = num_data_parallel * (self.device_batch_size or 1)
        if self.batch_size % at_once:
            times = f" x {self.device_batch_size} sequences" if self.device_batch_size else ""
            raise InputError(
                f"pretraining.batch_size: got {self.batch_size}, expected a multiple of {at_once} "
                f"({num_data_parallel} devices{times}); change batch_size or device_batch_size, or "
                "train on fewer devices"
            )
        return divide_batch(
            self.batch_size,
            num_data_parallel=num_data_parallel,
            device_batch_size=self.device_batch_size,
        ).num_micro_batches
