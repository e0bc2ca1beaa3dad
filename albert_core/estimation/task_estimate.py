"""What a fine-tuning needs on chips with one layout of its step: memory, FLOPs, time, price."""

import dataclasses

from albert_core.estimation.accelerators import Gpus
from albert_core.estimation.compiled_step import CompiledStep
from albert_core.estimation.memory import sequence_bytes, weights_bytes
from albert_core.estimation.task_step import StepLayout, TaskStep
from albert_core.finetuning.num_steps import num_evaluations, num_train_steps
from albert_core.tasks.sizes import TaskSize
from albert_core.training.flops import encoder_flops_per_token

# Of a chip's memory that a calculation may fill: it is this sure of itself.
_SAFE_FRACTION = 0.9


@dataclasses.dataclass(frozen=True, kw_only=True)
class TaskEstimate:
    """The estimate of a fine-tuning on chips, with a layout of its step.

    Attributes:
        step: The training step.
        size: The size of the task.
        utilisation: Assumed fraction of a chip's peak rate.
        price_per_hour: Price of all chips; None if it is not in the table.
        compiled: What the compiler says of the step; None: memory and FLOPs are calculated.
        compiled_flops: FLOPs of a chip in a step by the compiler; 0 where they are calculated,
            since nothing was compiled or the step does not fit.
    """

    step: TaskStep
    size: TaskSize
    utilisation: float
    price_per_hour: float | None
    compiled: CompiledStep | None = None
    compiled_flops: float = 0.0

    @property
    def memory_bytes(self) -> float:
        """Most memory that a chip needs, as compiled or calculated."""
        if self.compiled:
            return self.compiled.memory_bytes
        return calculated_memory(self.step)

    @property
    def is_within_memory(self) -> bool:
        """Whether that fits; if it is calculated, with some room for its error."""
        if self.compiled:
            return self.compiled.is_within_memory
        return self.memory_bytes <= safe_memory(self.step)

    @property
    def flops_per_step(self) -> float:
        """FLOPs of a chip in a step, as compiled or calculated.

        Calculated are the encoder's: three times those of a prediction, with rematerialisation
        four.
        """
        if self.compiled_flops:
            return self.compiled_flops
        # Backward is twice forward; rematerialised, forward is done once more.
        times = 4 if self.step.layout.rematerialize else 3
        return times * self._forward_flops(self.step.num_sequences)

    @property
    def step_seconds(self) -> float:
        """Time of a step at the utilisation."""
        return self.flops_per_step / self._flops_per_second

    @property
    def num_train_steps(self) -> int:
        """Steps of one training; a question counts as one window over its context.

        With `train_minutes` as many as fit into these with their evaluations, 1 at least; else by
        the settings and the size of the task. They are not rounded up to whole intervals between
        evaluations, as training does.
        """
        config = self.step.config
        if config.train_minutes is not None:
            interval, evaluation_s = config.evaluation_interval_steps, self.evaluation_seconds
            num_fixed = 1 if interval else config.num_evaluations
            left_s = 60 * config.train_minutes - num_fixed * evaluation_s
            seconds_per_step = self.step_seconds + (evaluation_s / interval if interval else 0.0)
            return max(1, int(left_s / seconds_per_step))
        return num_train_steps(
            self.step.config,
            self.step.task,
            num_examples=self.size.num_train,
            num_sequences=self.size.num_train,
        )

    @property
    def num_evaluations(self) -> int:
        """Evaluations of one training."""
        return num_evaluations(self.step.config, self.num_train_steps)

    @property
    def evaluation_seconds(self) -> float:
        """Time of an evaluation on the dev set, at the utilisation."""
        num_sequences = self.size.num_dev * self.step.sequences_of_example
        return self._forward_flops(num_sequences) / self._flops_per_second

    @property
    def num_trainings(self) -> int:
        """Trainings of the grid and the seeds."""
        return len(self.step.config.trials(num_examples=self.size.num_train))

    @property
    def hours(self) -> float:
        """Time of all trainings with their evaluations, at the utilisation."""
        training = self.num_train_steps * self.step_seconds
        evaluation = self.num_evaluations * self.evaluation_seconds
        return self.num_trainings * (training + evaluation) / 3600

    @property
    def cost(self) -> float | None:
        """Price of it on all chips; None without a price of them."""
        return None if self.price_per_hour is None else self.hours * self.price_per_hour

    @property
    def _flops_per_second(self) -> float:
        return self.step.accelerator.chip.peak_flops * self.utilisation

    def _forward_flops(self, num_sequences: int) -> float:
        """Return the FLOPs of a chip in a prediction for sequences that all chips share.

        They are the encoder's, for full sequences; with a head that reads [CLS] alone the last
        layer computes only that.
        """
        step, length = self.step, self.step.config.sequence_length
        per_token = encoder_flops_per_token(
            step.model, length, reads_first_token_only=step.reads_first_token_only
        )
        return per_token * length * num_sequences / step.accelerator.num_chips


def calculated_memory(step: TaskStep) -> float:
    """Return the bytes that a chip needs for a step by the formulas of `memory`.

    They are those of weights, gradients and moments, with a sum of gradients if there are several
    micro-batches, and of the sequences that the chip takes at a time.
    """
    weights = weights_bytes(
        step.model,
        step.config.optimizer,
        step.layout.model_parallel_size,
        accumulates=step.num_micro_batches > 1,
    )
    return weights + step.sequences_at_a_time * bytes_of_sequence(step, step.layout)


def bytes_of_sequence(step: TaskStep, layout: StepLayout) -> float:
    """Return the bytes that a sequence needs with a layout, the weights not counted.

    Attention counts as fused on GPUs. The step's own layout is not used.
    """
    return sequence_bytes(
        step.model,
        step.config.sequence_length,
        rematerialize=layout.rematerialize,
        is_fused=isinstance(step.accelerator, Gpus),
        model_parallel_size=layout.model_parallel_size,
    )


def safe_memory(step: TaskStep) -> float:
    """Return the most bytes of a chip that a calculated step may need to count as fitting.

    That is 90 % of the chip's memory.
    """
    return _SAFE_FRACTION * step.accelerator.chip.memory_gib * 2**30
