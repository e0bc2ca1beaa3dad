"""What the callbacks of one training share: model, state, plan and clock."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

import keras

from albert_core.backends import sync_variables
from albert_core.errors import StoppedError
from albert_core.training.checkpoint import save_checkpoint
from albert_core.training.minutes import UNSETTLED
from albert_core.training.plan import TrainingPlan
from albert_core.training.state import TrainingState


class TrainingSession:
    """One training in this process, from a new or a restored state on.

    Its clock starts when it is made, at the seconds of the state.

    Attributes:
        model: The model, built and compiled.
        state: What a checkpoint stores besides variables; a roll-back replaces it.
        plan: How long to train.
        folder: Folder of the checkpoints, the best weights and the log.
        is_chief: Whether this process writes; if there are several, one of them does.
        work: What is trained, which its checkpoints name: those of another are not taken up.
        recent_metrics: Means over the steps since the last line of the log; None at steps without
            a line.
        log_row: The line of the log of the last step; None at steps without one.
        last_log_step: Step of the last line of the log.
        last_log_s: When that was written (monotonic seconds).
        last_save_s: When the last checkpoint was written (monotonic seconds).
        saved_step: Step of the last checkpoint, written or restored; 0 without one.
    """

    def __init__(
        self,
        model: keras.Model,
        state: TrainingState,
        plan: TrainingPlan,
        folder: Path,
        *,
        is_chief: bool = True,
        work: str = "",
    ) -> None:
        """Start the clock as if training had begun `state.seconds` ago; touches no file."""
        self.model, self.state, self.plan, self.folder = model, state, plan, folder
        self.is_chief, self.work = is_chief, work
        # Monotonic: a wall clock that is set back, or forward, would change what a budget allows.
        now = time.monotonic()
        # The time trained before an interruption counts: budgets are for the whole run.
        self._begin_s = now - state.seconds
        self.recent_metrics: Mapping[str, float] | None = None
        self.log_row: Mapping[str, float] | None = None
        self.last_log_step, self.last_log_s = state.step, now
        self.last_save_s = now
        self.saved_step = state.step

    @property
    def seconds(self) -> float:
        """Time spent training and evaluating; of earlier processes, up to the last checkpoint."""
        return time.monotonic() - self._begin_s

    @property
    def interval_step(self) -> int:
        """Steps since the end of the last interval between evaluations; 0 where one ends."""
        step = self.state.step
        if step == 0 or step in self.plan.phase_ends:
            return 0
        return self.plan.steps_of_interval(step) % self.plan.interval_steps

    @property
    def last_phase(self) -> int:
        """Index of the last step's phase, from 0; 0 before the first step."""
        return self.plan.phase_of_last_step(self.state.step)

    @property
    def num_expected_steps(self) -> int:
        """Steps of the whole training; while they are not settled, by the speed so far.

        0 as long as there is none. Phases to come are taken to have as many steps a minute as those
        before them.
        """
        if self.plan.num_train_steps < UNSETTLED:
            return self.plan.num_train_steps
        timings = self.state.timings
        if not timings or not all(timing["num_expected"] for timing in timings):
            return 0
        minutes = self.plan.minutes
        ratio = minutes[-1].end_s / minutes[len(timings) - 1].end_s
        return round(ratio * sum(timing["num_expected"] for timing in timings))

    @property
    def seconds_left(self) -> float:
        """Seconds to the end of a training by minutes; 0 once they are over."""
        return max(self.plan.minutes[-1].end_s - self.seconds, 0.0)

    @property
    def is_finished(self) -> bool:
        """Whether the plan or a setting that stops early leaves nothing to train.

        An evaluation may be due all the same (`needs_evaluation`).
        """
        return self.state.stopped_by is not None or self.state.step >= self.plan.num_train_steps

    @property
    def needs_evaluation(self) -> bool:
        """Whether an evaluation is due that is not in the history.

        An evaluation is due after an interruption between the last step of an interval, or the step
        at which training was stopped early, and its evaluation; before the first step for a plan
        that evaluates first, and for one without steps, which evaluates once.
        """
        history, step = self.state.history, self.state.step
        if not step:
            evaluates = self.plan.evaluates_first or self.plan.num_train_steps == 0
            return evaluates and not history
        is_due = self.interval_step == 0 or self.state.stopped_by is not None
        return is_due and (not history or history[-1]["global_step"] != step)

    def sync_variables(self) -> None:
        """Write the values of the last step into the model's variables."""
        sync_variables(self.model)

    def save(self) -> None:
        """Write a checkpoint of the last step, if this process writes.

        In every process it writes the last step's values into the model's variables, and the time
        into the state. Waits for the device.

        Raises:
            StepFailedError: It cannot be written.
        """
        self.sync_variables()
        self.state.seconds = self.seconds
        self.last_save_s = time.monotonic()
        if self.is_chief:
            keep = self.plan.keep_checkpoints
            save_checkpoint(self.folder, self.model, self.state, keep=keep, work=self.work)
        self.saved_step = self.state.step

    def save_and_stop(self, signal_name: str) -> NoReturn:
        """Save the last step, as a signal asks the process to end.

        Args:
            signal_name: Name of the signal.

        Raises:
            StoppedError: Always, once the step is saved.
            StepFailedError: It cannot be saved.
        """
        self.save()
        raise StoppedError(
            f"stopped by {signal_name} after {self.state.step:,} steps; they are saved in "
            f"{self.folder}: run again to continue there"
        )
