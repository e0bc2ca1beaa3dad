"""The training step of a phase of pretraining, to be compiled for a slice of TPUs."""

import dataclasses
from typing import Any

from albert_core.estimation.accelerators import Slice
from albert_core.estimation.compiled_step import DescribeArray, StepRequest, lower_train_step
from albert_core.pretraining.config import PretrainingConfig
from albert_core.pretraining.phases import Phase
from albert_core.records.batch import POSITION_OFFSETS, replacement_inputs
from albert_core.training.devices import Devices


@dataclasses.dataclass(frozen=True, kw_only=True)
class PretrainingStep(StepRequest):
    """A training step of pretraining, to be compiled for a slice of TPUs.

    Attributes:
        accelerator: The slice.
        config: How to train.
        phase: The phase whose step it is.
    """

    accelerator: Slice
    config: PretrainingConfig
    phase: Phase

    @property
    def num_data_parallel(self) -> int:
        """Chips, or groups of them, that a batch is divided among."""
        return self.accelerator.num_chips // self.config.model_parallel_size

    @property
    def num_micro_batches(self) -> int:
        """Micro-batches whose gradients a step accumulates.

        Raises:
            InputError: The batch cannot be divided evenly among the devices.
        """
        return self.phase.num_micro_batches(self.num_data_parallel)

    @property
    def sequences_at_a_time(self) -> int:
        """Sequences that a chip, or a group of them, takes at a time."""
        return self.phase.batch_size // self.num_data_parallel // self.num_micro_batches

    def lower(self) -> Any:
        """Return the step traced for the slice, to be compiled; its arrays are only described.

        Precision and seed are those of the settings; see `StepRequest.lower`.
        """
        return lower_train_step(
            self._new_model,
            self._describe_batch,
            accelerator=self.accelerator,
            model_parallel_size=self.config.model_parallel_size,
            precision=self.config.precision,
            seed=self.config.seed,
        )

    def _new_model(self, devices: Devices) -> Any:
        """Return a new model, compiled for these devices as training does it for this phase.

        Its number of micro-batches is set to that of the step.
        """
        from albert_core.pretraining.compilation import compiled_model

        model = compiled_model(self.model, self.config, [self.phase], devices)
        model.num_micro_batches = self.num_micro_batches
        return model

    def _describe_batch(self, describe: DescribeArray) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return inputs and targets of a batch, each as shape, type and sharding.

        Inputs have `position_offsets` where the settings draw any, and those of replaced-token
        detection with that objective.

        Args:
            describe: Returns the description of an array, int32 unless it is told a `dtype`, from
                its sizes.
        """
        phase, config = self.phase, self.config
        num_rows, length = phase.batch_size, phase.sequence_length
        num_predictions = config.masking.max_predictions(length)
        inputs = {
            **{
                name: describe(num_rows, length)
                for name in ("input_ids", "input_mask", "segment_ids")
            },
            "masked_lm_positions": describe(num_rows, num_predictions),
        }
        if config.max_position_offset(length, self.model.max_position_embeddings):
            inputs[POSITION_OFFSETS] = describe(num_rows)
        targets = {
            "masked_lm_ids": describe(num_rows, num_predictions),
            "masked_lm_weights": describe(num_rows, num_predictions, dtype="float32"),
            "sentence_order_labels": describe(num_rows),
        }
        if config.detects_replaced_tokens:
            inputs |= replacement_inputs(targets, describe(num_rows, num_predictions))
        return inputs, targets
