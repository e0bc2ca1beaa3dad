"""Learning-rate schedules: the original's, and several one after the other."""

import itertools
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="albert")
class WarmUpPolynomialDecay(keras.optimizers.schedules.LearningRateSchedule):
    """Linear warm-up from 0, then polynomial decay to 0 at the last step.

    As in the original the decay counts from step 0, so the rate steps down a little where the
    warm-up ends. The rate of the first warm-up step is 0.

    Deviates from the original: before `start_warmup_step` the rate is 0; there it is negative.

    Args:
        peak: Rate the warm-up leads to.
        num_train_steps: Step at which the rate is 0.
        num_warmup_steps: Length of the warm-up.
        start_warmup_step: Step at which the warm-up begins.
        power: Exponent of the decay; 1 is linear.
    """

    def __init__(
        self,
        peak: float,
        *,
        num_train_steps: int,
        num_warmup_steps: int = 0,
        start_warmup_step: int = 0,
        power: float = 1.0,
    ) -> None:
        super().__init__()
        self.peak = peak
        self.num_train_steps = num_train_steps
        self.num_warmup_steps = num_warmup_steps
        self.start_warmup_step = start_warmup_step
        self.power = power

    def __call__(self, step: Any) -> Any:
        """Return the rate for the update that is made at `step`."""
        step = ops.cast(step, "float32")
        left = 1.0 - ops.minimum(step, self.num_train_steps) / self.num_train_steps
        decayed = self.peak * ops.power(left, self.power)
        if not self.num_warmup_steps:
            return decayed
        warmed = step - self.start_warmup_step
        warming = self.peak * ops.maximum(warmed, 0.0) / self.num_warmup_steps
        return ops.where(warmed < self.num_warmup_steps, warming, decayed)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments for serialisation."""
        return {
            "peak": self.peak,
            "num_train_steps": self.num_train_steps,
            "num_warmup_steps": self.num_warmup_steps,
            "start_warmup_step": self.start_warmup_step,
            "power": self.power,
        }


@keras.saving.register_keras_serializable(package="albert")
class ScheduleOfPhases(keras.optimizers.schedules.LearningRateSchedule):
    """One schedule after the other, each counting its steps from its own beginning.

    Args:
        schedules: The schedules.
        num_steps: How many steps each of them lasts.
    """

    def __init__(
        self, schedules: Sequence[WarmUpPolynomialDecay], *, num_steps: Sequence[int]
    ) -> None:
        super().__init__()
        self.schedules = list(schedules)
        self.num_steps = list(num_steps)

    def __call__(self, step: Any) -> Any:
        """Return the rate for the update that is made at `step`."""
        rate = self.schedules[0](step)
        for begin, schedule in zip(
            itertools.accumulate(self.num_steps), self.schedules[1:], strict=False
        ):
            rate = ops.where(step >= begin, schedule(step - begin), rate)
        return rate

    def get_config(self) -> dict[str, Any]:
        """Return the arguments for serialisation."""
        schedules = [keras.saving.serialize_keras_object(each) for each in self.schedules]
        return {"schedules": schedules, "num_steps": self.num_steps}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "ScheduleOfPhases":
        """Build one from `get_config`."""
        schedules = map(keras.saving.deserialize_keras_object, config["schedules"])
        return cls(list(schedules), num_steps=config["num_steps"])
