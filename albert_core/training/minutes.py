"""How many steps fit into the minutes of a phase, settled while it is trained.

The rates of the first steps of a schedule do not depend on how long it is. So the number of steps
is settled as late as they allow, and revised once if that is early in the phase: from then on the
schedule is one by steps. Does not import Keras.
"""

import dataclasses
import math

from albert_core.errors import InputError

UNSETTLED = 10**9
"""Steps of a phase whose number is not settled: more than any training has."""

_MEASURED_RATIO, _MEASURED_MOST_S = 0.005, 10.0  # time that measures the speed, without training
_MEASURED_LEAST_STEPS = 2
# The first steps tell little of the speed: a GPU made 65 and later 133 of them a second. Not later:
# an interrupted training ends in the same weights only if its steps were final before.
_REVISED_RATIO = 0.25


@dataclasses.dataclass(frozen=True, kw_only=True)
class PhaseMinutes:
    """The end of a phase in time, and its schedule in fractions of its steps.

    Attributes:
        end_s: Seconds since the beginning of training at which it ends, all evaluations included.
        peak: Rate that the warm-up leads to.
        num_warmup_steps: Length of the warm-up, where it is not a fraction.
        warmup_ratio: Fraction of the steps that warm up; wins over `num_warmup_steps`.
        stable_ratio: Fraction of the schedule's steps, the first ones, whose rates after the
            warm-up do not depend on their number; 1 for phases before the one that it ends in.
        schedule_ratio: Steps of the schedule over those of the phase, as far as that is known
            before training; 1 unless the schedule spans several phases.
        num_steps_of_evaluations: Steps that take as long as the evaluations to come, which the
            measured speed does not contain; 0 where evaluations come as often before the steps are
            settled as after it.
        is_revisable: Whether the steps may change after they were settled: nothing but the rates
            and the end of the phase must depend on them.
        section: Section of the configuration whose `train_minutes` these are, for messages.
    """

    end_s: float
    peak: float
    num_warmup_steps: int = 0
    warmup_ratio: float | None = None
    stable_ratio: float = 0.0
    schedule_ratio: float = 1.0
    num_steps_of_evaluations: float = 0.0
    is_revisable: bool = False
    section: str = "pretraining"


@dataclasses.dataclass(frozen=True, kw_only=True)
class PhaseTiming:
    """The timing of a phase that lasts minutes, as a checkpoint keeps it.

    Steps count from the beginning of the phase; seconds from that of the training.

    Attributes:
        begin_s: When the phase began.
        first_step: Step after which the speed is measured, the first one or that at which the steps
            were settled; None before the first one. It and `first_s` move on by the first step of
            each process that goes on with the phase, which is not measured: it is compiled.
        first_s: When it was done.
        start_warmup_step: Step at which the warm-up begins: until then the rate is 0, and the speed
            is measured; None while it is.
        num_warmup_steps: Length of the warm-up, once that is settled; 1 at least.
        num_steps: Steps of the phase, once they are settled.
        num_expected: Steps of the phase by the speed so far; None without a speed.
        is_final: Whether the steps are settled and will not change any more.
        revised_at_step: Step at which the number of steps was revised; None if it was not.
        num_steps_before: Steps of the phase before the revision; None if there was none.
    """

    begin_s: float
    first_step: int | None = None
    first_s: float = 0.0
    start_warmup_step: int | None = None
    num_warmup_steps: int = 1
    num_steps: int | None = None
    num_expected: int | None = None
    is_final: bool = False
    revised_at_step: int | None = None
    num_steps_before: int | None = None

    @property
    def warmup_end(self) -> int:
        """Step at which the warm-up ends, once that is settled."""
        return (self.start_warmup_step or 0) + self.num_warmup_steps

    def after(
        self,
        step: int,
        seconds: float,
        phase: PhaseMinutes,
        *,
        num_unchecked: int,
        num_before: int = 0,
    ) -> "PhaseTiming":
        """Return the timing after some more steps of the phase, until it is final.

        The first call notes step and time, from which the speed is measured: compiling does not
        count. Each later one expects as many steps as fit at the speed so far. The warm-up begins
        once two steps or more have been measured, for 0.5 % of the phase's time or for 10 seconds
        if that is less; the number of steps is settled when the rates of the next `num_unchecked`
        steps depend on it. If that is before a quarter of them and they are revisable, they are
        settled again after a quarter of them or of the time, by the speed since the first time.

        Args:
            step: Steps of the phase that are done, above 0 and more than at the last call.
            seconds: The time, since the beginning of training.
            phase: The phase.
            num_unchecked: Most steps until this is asked again, once the warm-up has begun.
            num_before: Steps of the schedule before the phase.

        Raises:
            InputError: The minutes are too few for the warm-up, or for the decay behind it.
        """
        if self.first_step is None:
            # The first step is not measured: it is compiled before it runs.
            return dataclasses.replace(self, first_step=step, first_s=seconds)
        num_measured, measured_s = step - self.first_step, seconds - self.first_s
        expected = step + (phase.end_s - seconds) / max(measured_s / num_measured, 1e-9)
        expected -= phase.num_steps_of_evaluations
        if self.num_steps is not None:
            return self._revised(step, seconds, round(expected), phase, num_before)
        timing = dataclasses.replace(self, num_expected=max(step + 1, round(expected)))
        if self.start_warmup_step is None:
            wanted_s = min(_MEASURED_RATIO * (phase.end_s - self.begin_s), _MEASURED_MOST_S)
            if num_measured < _MEASURED_LEAST_STEPS or measured_s < wanted_s:
                return timing
            timing = timing._with_warmup(step, phase)
        return timing._with_steps(step, seconds, phase, num_unchecked, num_before)

    def without(self, seconds: float) -> "PhaseTiming":
        """Return the timing with a time left out of the measured speed, such as of undone steps."""
        return dataclasses.replace(self, first_s=self.first_s + seconds)

    def describe(self, num_steps: int) -> dict[str, int]:
        """Return steps and warm-up of the phase, and what was revised, for a manifest.

        Args:
            num_steps: Its steps, also where they were not settled.
        """
        described = {
            "num_train_steps": num_steps,
            "start_warmup_step": self.start_warmup_step or 0,
            "num_warmup_steps": self.num_warmup_steps,
        }
        if self.revised_at_step is not None and self.num_steps_before is not None:
            described["num_train_steps_before"] = self.num_steps_before
            described["revised_at_step"] = self.revised_at_step
        return described

    def _with_warmup(self, step: int, phase: PhaseMinutes) -> "PhaseTiming":
        """Return the timing with the warm-up, which begins after `step` steps.

        Its length is the ratio of the steps that are expected of the schedule, or the fixed one; 1
        at least.

        Raises:
            InputError: The steps that are expected are too few for it and the decay.
        """
        expected = self.num_expected or 0
        num_warmup_steps = phase.num_warmup_steps
        if phase.warmup_ratio is not None:
            num_warmup_steps = round(phase.warmup_ratio * phase.schedule_ratio * expected)
        timing = dataclasses.replace(
            self, start_warmup_step=step, num_warmup_steps=max(num_warmup_steps, 1)
        )
        fewest = timing._fewest_steps(step, phase, num_before=0)
        if fewest > expected:
            first_s = self.first_s - self.begin_s
            raise InputError(
                f"{phase.section}.train_minutes: got time for about {expected:,} steps of a phase "
                f"at the measured speed, the first of them after {first_s:,.0f} "
                f"seconds, expected {fewest:,} or more: the warm-up ends at step "
                f"{timing.warmup_end:,}, and the decay follows; give more minutes, or a shorter "
                f"warm-up ({phase.section}.warmup_ratio)"
            )
        return timing

    def _with_steps(
        self, step: int, seconds: float, phase: PhaseMinutes, num_unchecked: int, num_before: int
    ) -> "PhaseTiming":
        """Return the timing with the number of steps, if it must be known before the next check.

        The arguments are those of `after`; `num_expected` must be set. The number is that of the
        steps expected, or the fewest possible if that is more. If it is to be revised, the speed is
        measured anew from here on. Else the timing is returned as it is.
        """
        expected = self.num_expected or 0
        stable = math.floor(phase.stable_ratio * (num_before + expected)) - num_before
        # Where the schedule goes on, the end of the phase must be known before it.
        if step + num_unchecked <= max(self.warmup_end, min(stable, expected - 1)):
            return self
        num_steps = max(expected, self._fewest_steps(step, phase, num_before))
        settled = dataclasses.replace(self, num_steps=num_steps, num_expected=num_steps)
        if not phase.is_revisable or step >= _REVISED_RATIO * num_steps:
            return dataclasses.replace(settled, is_final=True)
        return dataclasses.replace(settled, first_step=step, first_s=seconds)

    def _revised(
        self, step: int, seconds: float, expected: int, phase: PhaseMinutes, num_before: int
    ) -> "PhaseTiming":
        """Return the timing with the steps expected now, after a quarter of them or of the time.

        The arguments are those of `after`, and `expected`, the steps of the phase by the speed
        since they were settled. They are enough for the decay to begin after the warm-up. A decay
        that has begun already goes on by the new number. Until the quarter the timing is returned
        as it is. Steps that a checkpoint of an earlier version has settled are final unless
        revisable.
        """
        if not phase.is_revisable:
            return dataclasses.replace(self, is_final=True)
        assert self.num_steps is not None
        is_early_s = seconds - self.begin_s < _REVISED_RATIO * (phase.end_s - self.begin_s)
        if is_early_s and step < _REVISED_RATIO * self.num_steps:
            return self
        # A decay that has begun must not begin again: the phase would take far more than its time.
        num_steps = max(expected, step + 1, self._fewest_steps(0, phase, num_before))
        return dataclasses.replace(
            self,
            num_steps=num_steps,
            num_expected=num_steps,
            is_final=True,
            revised_at_step=step,
            num_steps_before=self.num_steps,
        )

    def _fewest_steps(self, step: int, phase: PhaseMinutes, num_before: int) -> int:
        """Return the fewest steps of the phase whose decay begins neither early nor in the warm-up.

        Early is before `step` steps of the phase; `num_before` are those of the schedule before it.
        """
        free = max(step, self.warmup_end)
        if not phase.stable_ratio:
            return free + 1
        return max(free + 1, math.ceil((num_before + free) / phase.stable_ratio) - num_before)
