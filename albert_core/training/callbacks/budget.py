"""Ends training early: at a budget of steps or minutes, or when evaluations stop improving."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras

from albert_core.backends import broadcast_from_first_process
from albert_core.training.history import best_row
from albert_core.training.plan import TrainingPlan
from albert_core.training.session import TrainingSession


class Budget(keras.callbacks.Callback):
    """Stops training when a budget or the patience is used up.

    The name of that setting goes to `stopped_by` of the session's state. It is the plan's
    `stop_after_steps` or `stop_after_minutes`, or its `patience`. Also ends an interval where
    Keras takes it for longer: the last one of a phase, or one that was settled meanwhile. Runs
    before the checkpoints, so that an interrupted process does not train beyond its budget when it
    goes on.
    """

    def __init__(self, session: TrainingSession) -> None:
        super().__init__()
        self.session = session
        self._interval_steps = session.plan.interval_steps

    def on_train_begin(self, logs: Mapping[str, Any] | None = None) -> None:
        """Note the interval between evaluations that Keras takes for an epoch."""
        self._interval_steps = self.session.plan.interval_steps

    def on_train_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Stop at a spent budget, and where Keras does not know that an interval ends.

        Keras then ends the epoch, which evaluates and saves. A budget that is spent at the last
        step of an interval is left to `on_epoch_end`.
        """
        if self.session.interval_step:  # the last step of an interval: after its evaluation
            self._stop_by(self._spent_budget())
            return
        plan = self.session.plan
        # To Keras the last interval of a phase is as long as the others, and one that was settled
        # meanwhile as long as it was before.
        if (
            self.session.state.step in plan.phase_ends
            or plan.interval_steps != self._interval_steps
        ):
            self.session.model.stop_training = True

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Stop when patience or a budget is used up, unless training was stopped before."""
        if self.session.state.stopped_by is None:
            patience_lost = lost_patience(self.session.state.history, self.session.plan)
            self._stop_by("patience" if patience_lost else self._spent_budget())

    def _stop_by(self, setting: str | None) -> None:
        """Note the setting and have Keras end training; does nothing without a setting."""
        if setting:
            self.session.state.stopped_by = setting
            self.session.model.stop_training = True

    def _spent_budget(self) -> str | None:
        """Return the setting whose budget is spent, steps before minutes; None if none is.

        With several processes, which must call this at the same step, the clock of the first one
        counts.
        """
        plan = self.session.plan
        if plan.stop_after_steps is not None and self.session.state.step >= plan.stop_after_steps:
            return "stop_after_steps"
        if plan.stop_after_minutes is None:
            return None
        # All processes must stop after the same step, and their clocks differ.
        minutes = broadcast_from_first_process(self.session.seconds) / 60
        return "stop_after_minutes" if minutes >= plan.stop_after_minutes else None


def lost_patience(history: Sequence[Mapping[str, Any]], plan: TrainingPlan) -> bool:
    """Tell whether at least `plan.patience` evaluations follow the best one.

    Only evaluations of the last phase count for the best, and of equal ones the first. False with a
    patience of 0, or before the first evaluation.
    """
    if not plan.patience or not history:
        return False
    best = best_row(history, plan.monitor)
    # By identity: two evaluations may have equal metrics.
    index = next(index for index, row in enumerate(history) if row is best)
    return len(history) - 1 - index >= plan.patience
