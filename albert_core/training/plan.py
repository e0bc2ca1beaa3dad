"""The plan of a training: steps, evaluations, checkpoints, early stop. Does not import Keras."""

import dataclasses
import itertools
import math

from albert_core.errors import InputError
from albert_core.training.minutes import PhaseMinutes


@dataclasses.dataclass(kw_only=True)
class TrainingPlan:
    """How long to train, how often to evaluate, log and save, and when to stop early.

    It changes only by `settle`. Steps of a phase that must be a multiple of `interval_steps`, and
    are none, raise InputError; nothing else is checked.

    Attributes:
        phase_steps: Number of steps of each phase, a multiple of `interval_steps` unless
            `are_last_intervals_short`; `UNSETTLED` where it is not settled yet. Batches may have
            another shape in each phase.
        interval_steps: Steps between evaluations, each with a checkpoint.
        are_last_intervals_short: Whether the last interval of a phase may be shorter than others.
        minutes: The end of each phase, if phases last minutes rather than steps; otherwise empty.
        num_evaluations: Evaluations that are spread evenly over a phase that lasts minutes, once
            its steps are settled: `interval_steps` follows from them. None: it is given.
        spans_run: Whether one schedule spans all phases.
        evaluates_first: Whether the model is evaluated before the first step, too.
        monitor: Metric of the evaluation that selects the best weights, by its largest value in the
            last phase.
        shown_metric: Metric that is reported at each evaluation; if empty, `monitor`.
        checkpoint_steps: Steps between further checkpoints; 0: none.
        checkpoint_minutes: Minutes between further checkpoints; 0: none.
        keep_checkpoints: How many checkpoints are kept, the newest ones.
        log_steps: Steps between lines of the log.
        patience: Number of evaluations without an improvement after which to stop early; 0: never.
        stop_after_steps: Steps after which to stop early; None: never.
        stop_after_minutes: Minutes of training, over all interruptions, after which to stop early;
            None: never.
    """

    phase_steps: tuple[int, ...]
    interval_steps: int
    monitor: str
    are_last_intervals_short: bool = False
    minutes: tuple[PhaseMinutes, ...] = ()
    num_evaluations: int | None = None
    spans_run: bool = False
    evaluates_first: bool = False
    shown_metric: str = ""
    checkpoint_steps: int = 0
    checkpoint_minutes: float = 0.0
    keep_checkpoints: int = 2
    log_steps: int = 50
    patience: int = 0
    stop_after_steps: int | None = None
    stop_after_minutes: float | None = None

    def __post_init__(self) -> None:
        """Refuse phases whose steps are no multiple of `interval_steps`; nothing else is checked.

        Raises:
            InputError: The steps of a phase are no multiple of `interval_steps`, and
                `are_last_intervals_short` is not set.
        """
        if self.are_last_intervals_short:
            return
        for num_steps in self.phase_steps:
            if self.interval_steps < 1 or num_steps % self.interval_steps:
                raise InputError(
                    f"num_train_steps: got {num_steps}, expected a multiple of the "
                    f"{self.interval_steps} steps between evaluations"
                )

    @property
    def num_train_steps(self) -> int:
        """Sum of the steps of all phases."""
        return sum(self.phase_steps)

    @property
    def phase_ends(self) -> tuple[int, ...]:
        """Number of steps at the end of each phase, counted from the beginning of training."""
        return tuple(itertools.accumulate(self.phase_steps))

    def settle(self, index: int, num_steps: int) -> None:
        """Set the steps of the phase of an index, counted from 0; nothing is checked.

        With `num_evaluations`, `interval_steps` is set, too: before the steps are settled there is
        no evaluation.
        """
        phase_steps = list(self.phase_steps)
        phase_steps[index] = num_steps
        self.phase_steps = tuple(phase_steps)
        if self.num_evaluations is not None:
            self.interval_steps = math.ceil(num_steps / self.num_evaluations)

    def phase_begin(self, index: int) -> int:
        """Return the number of steps before the phase of an index, counted from 0."""
        return sum(self.phase_steps[:index])

    def steps_of_interval(self, step: int) -> int:
        """Return how many steps are done of the evaluation interval that the last of `step` is in.

        If that step ends the interval, these are all steps of the interval. Intervals count from
        the beginning of each phase; the last one of a phase may be short.

        Args:
            step: Steps done, above 0.
        """
        step_of_phase = step - self.phase_begin(self.phase_of_last_step(step))
        return (step_of_phase - 1) % self.interval_steps + 1

    def phase_of(self, step: int) -> int:
        """Return the index, from 0, of the phase of the step that follows `step` steps.

        At the end of training it is the last phase.
        """
        # Without the last end: after the last step there is no further phase.
        return sum(step >= end for end in self.phase_ends[:-1])

    def phase_of_last_step(self, step: int) -> int:
        """Return the index, from 0, of the phase of the last of `step` steps; 0 before the first.

        It differs from `phase_of` at the end of a phase alone.
        """
        return self.phase_of(max(step - 1, 0))
