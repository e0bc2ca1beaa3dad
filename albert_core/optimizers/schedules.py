"""Learning-rate schedules. A new one is added in this file alone: a class, its name and settings.

Does not import Keras, so that the configuration can be read without it.
"""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any, Literal

from albert_core.errors import InputError
from albert_core.optimizers.settings import check_rates

ScheduleName = Literal["polynomial", "warmup_stable_decay"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class ScheduleConfig:
    """Shape of the learning rate over a phase, whatever its peak and its length.

    Attributes:
        schedule: How the rate decays after the warm-up: `polynomial` over all steps, or
            `warmup_stable_decay`, which keeps the peak and decays linearly at the end.
        start_warmup_step: Step at which the warm-up begins; the rate is 0 before.
        poly_power: Exponent of the polynomial decay to 0 at the end; 1 is linear, 0 a constant
            rate.
        decay_ratio: Fraction of the steps, the last ones, over which `warmup_stable_decay` decays.
    """

    schedule: ScheduleName = "polynomial"
    start_warmup_step: int = 0
    poly_power: float = 1.0
    decay_ratio: float = 0.2

    @property
    def schedule_settings(self) -> dict[str, Any]:
        """The settings that the named schedule takes, by name."""
        schedule_settings = {field.name for field in dataclasses.fields(SCHEDULES[self.schedule])}
        names = [field.name for field in dataclasses.fields(ScheduleConfig)]
        return {name: getattr(self, name) for name in names if name in schedule_settings}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Schedule:
    """Linear warm-up from 0 to a peak; subclasses define the rate after it.

    The rate of the first warm-up step is 0.

    Deviates from the original: before `start_warmup_step` the rate is 0; there it is negative.

    Attributes:
        peak: Rate the warm-up leads to.
        num_train_steps: Step at which the decay ends; the rate is 0 from there on, if it decays.
        num_warmup_steps: Length of the warm-up.
        start_warmup_step: Step at which the warm-up begins.
    """

    peak: float
    num_train_steps: int
    num_warmup_steps: int = 0
    start_warmup_step: int = 0

    def __call__(self, step: Any) -> Any:
        """Return the rate of the step that follows `step` steps: a float32 scalar of the backend.

        During warm-up it rises linearly from 0 to the peak, from `start_warmup_step` on; afterwards
        it is the decayed rate, whose steps count from 0 and not from the end of warm-up.
        """
        # Here, not above: settings of schedules are read where there is no Keras.
        from keras import ops

        # TensorFlow would divide the optimizer's integers in float64; rates are float32.
        step = ops.cast(step, "float32")
        decayed = self.decayed_rate(step)
        # A variable's number is 1 at least, and cannot be looked at in a compiled step.
        if isinstance(self.num_warmup_steps, int) and not self.num_warmup_steps:
            return decayed
        warmup_step = step - self.start_warmup_step
        # Not below 0: the original's rate is negative before `start_warmup_step`.
        warming = self.peak * ops.maximum(warmup_step, 0.0) / self.num_warmup_steps
        return ops.where(warmup_step < self.num_warmup_steps, warming, decayed)

    @property
    def stable_ratio(self) -> float:
        """Fraction of the steps, the first ones, whose rates do not depend on their number.

        Only rates after the warm-up are looked at, as those of the warm-up never depend on it.
        """
        return 0.0

    def decayed_rate(self, step: Any) -> Any:
        """Return the rate after the warm-up; subclasses must define it.

        Args:
            step: Steps done since the beginning of the schedule, float32.
        """
        raise NotImplementedError

    def check(self) -> None:
        """Refuse numbers out of their range.

        Raises:
            InputError: The peak is not positive and finite, the warm-up begins before step 0, or it
                ends at or after the last step of training.
        """
        check_rates(
            self.peak,
            self.num_warmup_steps,
            self.num_train_steps,
            start_warmup_step=self.start_warmup_step,
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class PolynomialDecay(Schedule):
    """The original's schedule: polynomial decay to 0 at the last step.

    As in the original the decay counts from step 0, so the rate steps down a little where the
    warm-up ends.

    Attributes:
        poly_power: Exponent of the decay; 1 is linear, 0 keeps the peak.
    """

    poly_power: float = 1.0

    def decayed_rate(self, step: Any) -> Any:
        """Return the peak times (1 - step / num_train_steps) ** poly_power.

        It is 0 from `num_train_steps` on, and always the peak with an exponent of 0 or in a
        training without steps.
        """
        from keras import ops

        num_steps = _at_least_1(self.num_train_steps)
        left = 1.0 - ops.minimum(step, num_steps) / num_steps
        return self.peak * ops.power(left, self.poly_power)

    def check(self) -> None:
        """Refuse numbers out of their range.

        Raises:
            InputError: The peak is not positive and finite, the warm-up begins before step 0 or
                ends at or after the last step of training, or `poly_power` is negative or not
                finite.
        """
        super().check()
        if not (math.isfinite(self.poly_power) and self.poly_power >= 0):
            raise InputError(f"poly_power: got {self.poly_power}, expected a number of 0 or more")


@dataclasses.dataclass(frozen=True, kw_only=True)
class WarmupStableDecay(Schedule):
    """Warm-up to the peak, which is kept until a linear decay to 0 at the end.

    Deviates from the original, which has polynomial decay only. Source: Hu et al. 2024, MiniCPM,
    section 4: unlike a decay over all steps, the stable part does not depend on the number of
    steps, so a training can be made longer, or decayed from any of its checkpoints.

    Attributes:
        decay_ratio: Fraction of the steps, the last ones, that the decay takes.
    """

    decay_ratio: float = 0.2

    @property
    def stable_ratio(self) -> float:
        """Fraction of the steps before the decay."""
        return 1.0 - self.decay_ratio

    def decayed_rate(self, step: Any) -> Any:
        """Return the peak; over the last `decay_ratio` of the steps, the linear decay to 0.

        It is 0 from `num_train_steps` on; in a training without steps it is the peak at step 0.
        """
        from keras import ops

        num_steps = _at_least_1(self.num_train_steps)
        left = num_steps - ops.minimum(step, num_steps)
        return self.peak * ops.minimum(left / (self.decay_ratio * num_steps), 1.0)

    def check(self) -> None:
        """Refuse numbers out of their range.

        Raises:
            InputError: The peak is not positive and finite, the warm-up begins before step 0 or
                ends at or after the last step of training, `decay_ratio` is not above 0 and at most
                1, or the decay begins before the warm-up ends.
        """
        super().check()
        if not 0.0 < self.decay_ratio <= 1.0:
            raise InputError(
                f"decay_ratio: got {self.decay_ratio}, expected above 0, and 1 at most"
            )
        warmup_end = self.start_warmup_step + self.num_warmup_steps
        most = 1 - warmup_end / self.num_train_steps
        if self.decay_ratio > most:
            raise InputError(
                f"decay_ratio: got {self.decay_ratio}, expected {most:g} at most, as the warm-up "
                f"ends at step {warmup_end} of {self.num_train_steps}"
            )


def _at_least_1(num_steps: Any) -> Any:
    """Return a number of steps to divide by; 0, as for a model that is only evaluated, becomes 1.

    Args:
        num_steps: An integer, or a scalar of the backend.
    """
    if isinstance(num_steps, int):
        return max(num_steps, 1)
    from keras import ops

    return ops.maximum(num_steps, 1.0)


SCHEDULES: Mapping[ScheduleName, type[Schedule]] = {
    "polynomial": PolynomialDecay,
    "warmup_stable_decay": WarmupStableDecay,
}


def new_schedule(
    config: ScheduleConfig, *, peak: float, num_train_steps: int, num_warmup_steps: int
) -> Schedule:
    """Return the schedule that a configuration names, with the settings that this schedule takes.

    The numbers are not checked for their range: `Schedule.check` does that.

    Args:
        config: Name and settings.
        peak: Rate the warm-up leads to.
        num_train_steps: Step at which the decay ends; the rate is 0 from there on, except with a
            `poly_power` of 0, which keeps the peak.
        num_warmup_steps: Length of the warm-up.

    Raises:
        InputError: A setting that only another schedule takes is not at its default: it would do
            nothing.
    """
    settings = config.schedule_settings
    for field in dataclasses.fields(ScheduleConfig):
        value = getattr(config, field.name)
        if field.name not in {*settings, "schedule"} and value != field.default:
            raise InputError(
                f"{field.name}: got {value}, which the schedule {config.schedule} does not have; "
                f"expected another schedule, or {field.default}"
            )
    return SCHEDULES[config.schedule](
        peak=peak,
        num_train_steps=num_train_steps,
        num_warmup_steps=num_warmup_steps,
        **settings,
    )
