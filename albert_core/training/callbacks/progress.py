"""Reports progress: the losses every few seconds, and the result of every evaluation."""

import time
from collections.abc import Mapping
from typing import Any

import keras

from albert_core.progress import ReportProgress
from albert_core.training.minutes import UNSETTLED
from albert_core.training.session import TrainingSession

_REPORT_EVERY_S = 2.0
# The first steps compile: from them a training of seconds would seem to take half an hour.
_MIN_STEPS, _MIN_S = 10, 60.0


class ProgressReporter(keras.callbacks.Callback):
    """Tells `report` the steps so far, of how many, and a line of text.

    It does so after a step when 2 seconds have passed, and after every evaluation.
    """

    def __init__(self, session: TrainingSession, report: ReportProgress) -> None:
        super().__init__()
        self.session, self._report = session, report
        self._last_report_s = time.monotonic()
        self._first: tuple[int, float] | None = None  # the first step that is done, and when

    def on_train_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Report loss, accuracies and the time left, if the last report is over 2 seconds old.

        The first step of this process is noted, from which the time left is told.
        """
        session, now = self.session, time.monotonic()
        step = session.state.step
        if self._first is None or self._first[0] > step:  # a roll-back goes behind it
            self._first = (step, now)
        # By the clock and not at every step: reading the metrics waits for the device.
        if now - self._last_report_s <= _REPORT_EVERY_S:
            return
        self._last_report_s = now
        shown = {n: v for n, v in (logs or {}).items() if n == "loss" or n.endswith("accuracy")}
        parts = [f"{name} {float(value):.3f}" for name, value in shown.items()]
        parts += self._time_left(step, now)
        self._report(step, session.num_expected_steps, ", ".join(parts))

    def _time_left(self, step: int, now: float) -> tuple[str, ...]:
        """Return the time left as text, by the steps since the first one that this process did.

        Empty before 10 of them, or before 2 of them if they have taken a minute. While the number
        of steps is not settled, the time follows from the minutes of the training, from the first
        step on.
        """
        first, since = self._first or (step, now)
        steps, seconds = step - first, now - since
        num_train_steps = self.session.plan.num_train_steps
        if num_train_steps >= UNSETTLED:
            minutes = self.session.seconds_left / 60
        elif steps < _MIN_STEPS and (steps < 2 or seconds < _MIN_S):
            return ()
        else:
            minutes = (num_train_steps - step) * seconds / steps / 60
        return (f"{minutes:,.0f} min left" if minutes >= 1 else "under a minute left",)

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Report the evaluation's metric to show, or else the monitored one, once it is saved."""
        plan, state = self.session.plan, self.session.state
        name = plan.shown_metric or plan.monitor
        text = f"{name} {state.history[-1][name]:.3f}"
        self._report(state.step, self.session.num_expected_steps, text)
