"""Reports progress: the losses every few seconds, and the result of every evaluation."""

import math
import time
from collections.abc import Mapping
from typing import Any

import keras

from albert_core.progress import ReportProgress
from albert_core.training.session import TrainingSession

_REPORT_EVERY_S = 2.0


class ProgressReport(keras.callbacks.Callback):
    """Tells `report` the steps so far, of how many, and a line of text."""

    def __init__(self, session: TrainingSession, report: ReportProgress) -> None:
        super().__init__()
        self.session, self._report = session, report
        self._last_report_s = time.monotonic()

    def on_train_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Report loss, accuracies and the time left, if the last report is over 2 seconds old."""
        session, now = self.session, time.monotonic()
        # By the clock and not at every step: reading the metrics waits for the device.
        if now - self._last_report_s <= _REPORT_EVERY_S:
            return
        self._last_report_s = now
        shown = {n: v for n, v in (logs or {}).items() if n == "loss" or n.endswith("accuracy")}
        parts = [f"{name} {float(value):.3f}" for name, value in shown.items()]
        minutes = session.seconds_left / 60
        if not math.isnan(minutes):
            parts.append(f"{minutes:,.0f} min left" if minutes >= 1 else "under a minute left")
        self._report(session.state.step, session.num_expected_steps, ", ".join(parts))

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Report a metric of the evaluation, once it is saved."""
        plan, state = self.session.plan, self.session.state
        name = plan.shown_metric or plan.monitor
        text = f"{name} {state.history[-1][name]:.3f}"
        self._report(state.step, self.session.num_expected_steps, text)
