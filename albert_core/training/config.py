"""Settings that pretraining and fine-tuning share. Does not import Keras."""

import dataclasses
from typing import Any

from albert_core.settings.checks import check_at_least
from albert_core.training.devices import Precision, StrategyName
from albert_core.training.safeguards import SafeguardConfig


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """How a training uses devices and memory, when it is saved, and what ends it early.

    Attributes:
        device_batch_size: Sequences of pretraining, or examples of fine-tuning, that a device takes
            at a time; a step accumulates the gradients of as many such micro-batches as
            `batch_size` needs. None: all at once.
        checkpoint_interval_steps: Steps between further checkpoints, besides those at evaluations;
            0: none.
        checkpoint_interval_minutes: Minutes between further checkpoints; 0: none.
        keep_checkpoints: Newest checkpoints that are kept, besides the best weights.
        stop_after_steps: Steps after which to stop early; None: never.
        stop_after_minutes: Minutes of training, over all interruptions, after which to stop early;
            None: never.
        safeguards: What to do when training goes wrong.
        precision: `bfloat16`, `float32` (in matrix products, too, on every device), or `auto`: the
            faster one on the device, which is bfloat16 on accelerators and processors made for it.
        jit_compile: Whether XLA compiles the step. None: always with JAX; with TensorFlow where it
            is faster: for pretraining on one accelerator, not on a CPU, and not for fine-tuning,
            whose batches differ in length. A training that goes on keeps the precision that it
            began with, and the compilation, unless the backend or the devices need the other.
        rematerialize: Whether to compute a layer's values again for the gradient instead of
            keeping them: a third more work, far less memory. Not with dropout in the encoder, which
            would be drawn anew.
        strategy: How devices share the work; `auto` takes all there are.
        model_parallel_size: Devices that hold one copy of the weights together.
    """

    device_batch_size: int | None = None
    checkpoint_interval_steps: int = 0
    checkpoint_interval_minutes: float = 10.0
    keep_checkpoints: int = 2
    stop_after_steps: int | None = None
    stop_after_minutes: float | None = None
    safeguards: SafeguardConfig = dataclasses.field(default_factory=SafeguardConfig)
    precision: Precision = "auto"
    jit_compile: bool | None = None
    rematerialize: bool = False
    strategy: StrategyName = "auto"
    model_parallel_size: int = 1

    @property
    def compute(self) -> dict[str, Any]:
        """Precision and compilation, as checkpoints keep them once neither is left open."""
        return {"precision": self.precision, "jit_compile": self.jit_compile}

    @property
    def plan_limits(self) -> dict[str, Any]:
        """The arguments of a `TrainingPlan` that these settings give, by name.

        `stop_after_steps` is as it is set: other budgets of steps are not known here.
        """
        return {
            "checkpoint_steps": self.checkpoint_interval_steps,
            "checkpoint_minutes": self.checkpoint_interval_minutes,
            "keep_checkpoints": self.keep_checkpoints,
            "stop_after_steps": self.stop_after_steps,
            "stop_after_minutes": self.stop_after_minutes,
        }

    def check_training(self, section: str) -> None:
        """Refuse numbers below their minimum; those that are None are not set and pass.

        Args:
            section: Name of these settings in the configuration, for messages.

        Raises:
            InputError: A number is too small, or NaN; the first of several is told.
        """
        check_at_least(
            self,
            section,
            device_batch_size=1,
            checkpoint_interval_steps=0,
            checkpoint_interval_minutes=0,
            keep_checkpoints=1,
            stop_after_steps=1,
            stop_after_minutes=0,
            model_parallel_size=1,
        )
