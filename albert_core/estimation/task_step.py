"""The training step of fine-tuning: how it is divided, and its program for a slice of TPUs.

Shape suffixes: B batch, C classes or choices, S sequence.
"""

import dataclasses
from typing import Any

from albert_core.estimation.accelerators import Slice
from albert_core.estimation.compiled_step import DescribeArray, StepRequest, lower_train_step
from albert_core.finetuning.config import FinetuningConfig
from albert_core.finetuning.models import new_task_model
from albert_core.pooling import POOLINGS
from albert_core.tasks import Task
from albert_core.training.batch_division import BatchDivision, divide_batch
from albert_core.training.devices import Devices

NUM_CHOICES = 4
"""Choices of an example: those of RACE; a task of another number costs more or less."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class StepLayout:
    """How a step uses devices and their memory.

    Attributes:
        device_batch_size: Most examples that a device takes at a time; None: all of its part.
        rematerialize: Whether a layer's values are computed again for the gradient.
        model_parallel_size: Devices that hold one copy of the weights together.
    """

    device_batch_size: int | None = None
    rematerialize: bool = False
    model_parallel_size: int = 1

    @classmethod
    def from_config(cls, config: FinetuningConfig) -> "StepLayout":
        """Return the layout that settings ask for."""
        return cls(
            device_batch_size=config.device_batch_size,
            rematerialize=config.rematerialize,
            model_parallel_size=config.model_parallel_size,
        )

    @property
    def options(self) -> str:
        """The options of the command line that ask for it; empty for the defaults."""
        parts = []
        if self.model_parallel_size > 1:
            parts += [
                "--finetuning.strategy model_parallel",
                f"--finetuning.model_parallel_size {self.model_parallel_size}",
            ]
        if self.rematerialize:
            parts.append("--finetuning.rematerialize true")
        if self.device_batch_size:
            parts.append(f"--finetuning.device_batch_size {self.device_batch_size}")
        return " ".join(parts)


@dataclasses.dataclass(frozen=True, kw_only=True)
class TaskStep(StepRequest):
    """A training step of fine-tuning whose sequences all have the full length.

    Attributes:
        task: The task.
        config: Its settings, those of one training.
        layout: How the step uses devices and memory, whatever the settings say of it.
    """

    task: Task
    config: FinetuningConfig
    layout: StepLayout

    @property
    def num_data_parallel(self) -> int:
        """Devices, or groups of them, that a batch is divided among."""
        return self.accelerator.num_chips // self.layout.model_parallel_size

    @property
    def division(self) -> BatchDivision:
        """How a batch is divided, as training does it."""
        return divide_batch(
            self.config.batch_size,
            num_data_parallel=self.num_data_parallel,
            device_batch_size=self.layout.device_batch_size,
        )

    @property
    def num_micro_batches(self) -> int:
        """Micro-batches whose gradients a step accumulates."""
        return self.division.num_micro_batches

    @property
    def examples_at_a_time(self) -> int:
        """Examples that a device, or a group of them, takes at a time."""
        return self.division.num_rows // (self.num_data_parallel * self.num_micro_batches)

    @property
    def sequences_of_example(self) -> int:
        """Sequences that the encoder reads of an example.

        4 with choices, whatever number a task has; 2 if two texts are encoded separately; else 1.
        """
        if self.task.kind == "multiple_choice":
            return NUM_CHOICES
        return 2 if POOLINGS[self.config.pooling_of(self.task)].encodes_apart else 1

    @property
    def sequences_at_a_time(self) -> int:
        """Sequences that a device, or a group of them, takes at a time."""
        return self.examples_at_a_time * self.sequences_of_example

    @property
    def num_sequences(self) -> int:
        """Sequences of a step, over all devices; with those that fill up uneven parts."""
        return self.division.num_rows * self.sequences_of_example

    @property
    def reads_first_token_only(self) -> bool:
        """Whether the head reads the encoder's output at [CLS] alone."""
        is_of_texts = self.task.kind not in ("question_answering", "token_classification")
        return is_of_texts and self.config.pooling_of(self.task) == "pooler"

    def lower(self) -> Any:
        """Return the step traced for the slice, as `StepRequest.lower` describes it.

        Its accelerator must be a `Slice`. Precision and seed are those of the settings.
        """
        assert isinstance(self.accelerator, Slice)
        return lower_train_step(
            self._new_model,
            self._describe_batch,
            accelerator=self.accelerator,
            model_parallel_size=self.layout.model_parallel_size,
            precision=self.config.precision,
            seed=self.config.seed,
        )

    def _new_model(self, _: Devices) -> Any:
        """Return a new model of the task, compiled with its optimizer and by XLA.

        Whether it rematerialises is the layout's to say; its number of micro-batches is that of the
        step (`num_micro_batches`). The steps of the schedule are an example, which changes neither
        memory nor FLOPs. The devices are not used.
        """
        from albert_core.optimizers.factory import make_optimizer

        config = self.config
        model = new_task_model(self.task, config, self.model)
        model.bert.rematerialize = self.layout.rematerialize
        model.num_micro_batches = self.num_micro_batches
        # The numbers of its schedule change nothing of memory and FLOPs.
        optimizer = make_optimizer(
            config.optimizer,
            learning_rate=config.learning_rate,
            num_train_steps=1000,
            num_warmup_steps=0,
            **config.optimizer_settings,
        )
        model.compile(optimizer=optimizer, jit_compile=True)
        return model

    def _describe_batch(self, describe: DescribeArray) -> tuple[dict[str, Any], Any]:
        """Return inputs and targets of a batch, each as shape, type and sharding.

        Inputs are [B, S], or [B, C, S] where an example has several sequences. Targets are float32,
        but int32 for questions and tags.
        """
        group, length = self.sequences_of_example, self.config.sequence_length
        num_rows = self.division.num_rows
        sizes = (num_rows, group, length) if group > 1 else (num_rows, length)
        inputs = {name: describe(*sizes) for name in ("input_ids", "input_mask", "segment_ids")}
        kind = self.task.kind
        if kind == "question_answering":
            names = ("start_positions", "end_positions", "is_impossible")
            if self.task.has_unanswerable:
                inputs |= {"p_mask": describe(*sizes), "start_positions": describe(num_rows)}
            return inputs, {name: describe(num_rows) for name in names}
        if kind == "token_classification":
            return inputs, describe(*sizes)
        if kind == "multi_label":
            return inputs, describe(num_rows, self.task.num_outputs, dtype="float32")
        return inputs, describe(num_rows, dtype="float32")
