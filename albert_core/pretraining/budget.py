"""How long pretraining lasts, and the learning-rate schedule that ends with it."""

import dataclasses
import itertools
import math
from collections.abc import Sequence
from typing import Literal

from albert_core.errors import InputError
from albert_core.optimizers.schedules import Schedule, ScheduleConfig, new_schedule
from albert_core.pretraining.phases import Phase
from albert_core.settings.checks import check_at_least, check_between
from albert_core.training.minutes import UNSETTLED, PhaseMinutes

ScheduleSpan = Literal["phase", "run"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class BudgetConfig(ScheduleConfig):
    """How long pretraining lasts, in tokens or minutes, and how the schedules fit into that.

    At most one of `num_train_tokens` and `train_minutes` may be given. Either wins over
    `num_train_steps`, of which only the ratio between phases counts then: each phase has the part
    of the tokens, or of the minutes, that its tokens by the configuration (steps times batch size
    times sequence length) are of those of all phases.

    Attributes:
        warmup_ratio: Fraction of a schedule's steps that warm up; if given, wins over
            `num_warmup_steps`.
        num_train_tokens: Tokens to train on, padding included.
        train_minutes: Minutes of training, with all evaluations; after an interruption the minutes
            before it count, the pause does not. The first steps, at rate 0, measure the speed; how
            many steps there are is settled while training, before the rates depend on it.
        schedule_spans: Whether each phase has its own warm-up and decay (`phase`), or all phases
            together have one (`run`).
    """

    warmup_ratio: float | None = None
    num_train_tokens: int | None = None
    train_minutes: float | None = None
    schedule_spans: ScheduleSpan = "phase"

    @property
    def spans_run(self) -> bool:
        """Whether all phases together have one schedule."""
        return self.schedule_spans == "run"

    @property
    def has_budget(self) -> bool:
        """Whether tokens or minutes say how long training lasts."""
        return self.num_train_tokens is not None or self.train_minutes is not None

    def check_budget(self, phases: Sequence[Phase]) -> None:
        """Refuse budgets out of their range, that exclude each other, or without a schedule.

        Args:
            phases: Phases, with the steps of the configuration.

        Raises:
            InputError: `warmup_ratio` is not from 0 to below 1, the tokens are below 1, the minutes
                not above 0 or not finite; tokens and minutes are both given, or one of them with a
                phase of 0 steps; or `_check_minutes` refuses the schedule.
        """
        check_between(self, "pretraining", "warmup_ratio", inclusive="left")
        check_at_least(self, "pretraining", num_train_tokens=1)
        if self.train_minutes is not None and not 0 < self.train_minutes < math.inf:
            raise InputError(
                f"pretraining.train_minutes: got {self.train_minutes}, expected a number above 0"
            )
        if self.num_train_tokens is not None and self.train_minutes is not None:
            raise InputError(
                f"pretraining.num_train_tokens: got {self.num_train_tokens} with train_minutes "
                f"{self.train_minutes}, expected one of them"
            )
        if self.has_budget and not all(phase.num_train_steps for phase in phases):
            raise InputError(
                "pretraining.num_train_steps: got 0, which evaluates only, with num_train_tokens "
                "or train_minutes; expected one of them"
            )
        if self.train_minutes is not None:
            self._check_minutes(phases)

    def _check_minutes(self, phases: Sequence[Phase]) -> None:
        """Refuse a schedule that cannot end with the minutes.

        Raises:
            InputError: `start_warmup_step` is not 0; one schedule spans several phases and does not
                decay within the last, or does not end its warm-up (`warmup_ratio`) within the
                first; or warm-up and decay leave no step between them.
        """
        if self.start_warmup_step:
            raise InputError(
                f"pretraining.start_warmup_step: got {self.start_warmup_step}, expected 0 with "
                "train_minutes, where the warm-up begins once the speed is measured"
            )
        decay_ratio = self.decay_ratio if self.schedule == "warmup_stable_decay" else 0.0
        most = phases[-1].num_train_steps / sum(phase.num_train_steps for phase in phases)
        if self.spans_run and len(phases) > 1 and not 0.0 < decay_ratio <= most:
            raise InputError(
                f"pretraining.decay_ratio: got {decay_ratio:g} of all steps, expected above 0, and "
                f"at most the {most:g} that are of the last phase: with train_minutes a schedule "
                "over several phases must decay in the last one"
            )
        first = phases[0].num_train_steps / sum(phase.num_train_steps for phase in phases)
        if self.spans_run and len(phases) > 1 and (self.warmup_ratio or 0.0) >= first:
            raise InputError(
                f"pretraining.warmup_ratio: got {self.warmup_ratio} of all steps, expected below "
                f"the {first:g} that are of the first phase: with train_minutes the warm-up must "
                "end in it"
            )
        if (self.warmup_ratio or 0.0) + decay_ratio >= 1.0:
            raise InputError(
                f"pretraining.warmup_ratio: got {self.warmup_ratio}, expected below "
                f"{1 - decay_ratio:g}, what decay_ratio leaves"
            )

    def with_budget(self, phases: Sequence[Phase]) -> tuple[Phase, ...]:
        """Return phases with the steps that tokens give them, and those of their schedules.

        Each phase has the part of `num_train_tokens` that its tokens by the configuration are of
        those of all phases, rounded down to whole steps, but at least one step.

        Args:
            phases: Phases, with the steps of the configuration; without `num_train_tokens` they
                keep these.

        Raises:
            InputError: The tokens are too few for the warm-up or the decay.
        """
        if self.num_train_tokens is not None:
            total = sum(phase.num_tokens for phase in phases)
            # A phase's share of the tokens, its num_tokens / total, divided by its tokens per step:
            # batch size and sequence length cancel.
            steps = [self.num_train_tokens * phase.num_train_steps // total for phase in phases]
            phases = [
                dataclasses.replace(phase, num_train_steps=max(1, num_steps))
                for phase, num_steps in zip(phases, steps, strict=True)
            ]
        phases = self._with_schedules(phases)
        if self.num_train_tokens is not None:
            for phase in phases:
                self.get_schedule(phase).check()
        return tuple(phases)

    def _with_schedules(self, phases: Sequence[Phase]) -> list[Phase]:
        """Return phases with the steps of their schedules, and of a warm-up that is a part.

        A schedule has the steps of its phase, or of all phases if it spans the run; `UNSETTLED`
        ones with minutes. A warm-up ratio becomes steps, rounded.
        """
        total, result = sum(phase.num_train_steps for phase in phases), []
        for phase in phases:
            num_steps = total if self.spans_run else phase.num_train_steps
            num_warmup_steps = phase.num_warmup_steps
            if phase.warmup_ratio is not None:
                num_warmup_steps = round(phase.warmup_ratio * num_steps)
            scheduled = dataclasses.replace(
                phase,
                num_warmup_steps=num_warmup_steps,
                num_schedule_steps=num_steps if self.train_minutes is None else UNSETTLED,
            )
            result.append(scheduled)
        return result

    def get_schedule(self, phase: Phase) -> Schedule:
        """Return the learning rates of a phase, by the steps since its schedule began.

        Args:
            phase: The resolved phase; in a training by minutes the steps of its schedule are
                `UNSETTLED`.

        Raises:
            InputError: A setting of another schedule is not at its default.
        """
        return new_schedule(
            self,
            peak=phase.learning_rate,
            num_train_steps=phase.num_schedule_steps,
            num_warmup_steps=phase.num_warmup_steps,
        )

    def phase_minutes(self, phases: Sequence[Phase]) -> tuple[PhaseMinutes, ...]:
        """Return the end of each phase in time, with its schedule; empty without minutes.

        Each phase has the part of the minutes that its tokens are of those of all phases. If the
        schedule spans the run, all of a phase before the last is stable.

        Args:
            phases: What `with_budget` returned.
        """
        if self.train_minutes is None:
            return ()
        ends = list(itertools.accumulate(phase.num_tokens for phase in phases))
        num_steps = sum(phase.num_train_steps for phase in phases)
        minutes = []
        for phase, end in zip(phases, ends, strict=True):
            goes_on = self.spans_run and end < ends[-1]
            phase_end = PhaseMinutes(
                end_s=60 * self.train_minutes * end / ends[-1],
                peak=phase.learning_rate,
                num_warmup_steps=phase.num_warmup_steps,
                warmup_ratio=phase.warmup_ratio,
                stable_ratio=1.0 if goes_on else self.get_schedule(phase).stable_ratio,
                schedule_ratio=num_steps / phase.num_train_steps if self.spans_run else 1.0,
                is_revisable=not self.spans_run,
            )
            minutes.append(phase_end)
        return tuple(minutes)
