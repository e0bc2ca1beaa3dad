"""Writes the running log: metrics, learning rate and speed every few steps."""

import time
from collections.abc import Callable, Mapping
from typing import Any

import keras

from albert_core.training.log import TrainingLog, recover_log
from albert_core.training.session import TrainingSession

MeasureSpeed = Callable[[int, int, float], Mapping[str, float]]


class LogWriter(keras.callbacks.Callback):
    """Appends a row to the log at every step for which the session has recent metrics.

    Making it opens the log, which drops rows of steps after the session's. With several processes,
    only the first writes.

    Args:
        session: The training.
        measure_speed: Function of (first step, last step, seconds between them); returns metrics
            for the row.
    """

    def __init__(self, session: TrainingSession, measure_speed: MeasureSpeed) -> None:
        """Open the log at the session's step, if this process writes: later rows are dropped."""
        super().__init__()
        self.session = session
        self._measure_speed = measure_speed
        # Not only when training begins: an evaluation without training publishes an empty log.
        self._log = self._open()
        self._num_roll_backs = session.state.num_roll_backs

    def on_train_begin(self, logs: Mapping[str, Any] | None = None) -> None:
        """After a roll-back open the log again, which drops the rows of steps that are repeated.

        Else nothing is done.
        """
        if self._num_roll_backs != self.session.state.num_roll_backs:
            self._log = self._open()
            self._num_roll_backs = self.session.state.num_roll_backs

    def _open(self) -> TrainingLog | None:
        """Cut the log off at the session's step, and open it; None unless this process writes.

        A damaged or missing log is made again first, as `recover_log` does. Errors are those of
        `TrainingLog`.
        """
        session = self.session
        if not session.is_chief:
            return None
        recover_log(session.folder, session.state)
        return TrainingLog(session.folder, session.state.step)

    def on_train_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Append a row if this step has one; note it in the session, with step and time.

        Only the process that writes appends it. It waits for the step to end, and writes its values
        into the model's variables. A step without recent metrics does nothing.
        """
        session = self.session
        session.log_row = None
        if session.recent_metrics is None:
            return
        session.sync_variables()
        step, now = session.state.step, time.monotonic()
        first, seconds = session.last_log_step, now - session.last_log_s
        session.last_log_step, session.last_log_s = step, now
        row = {
            "global_step": step,
            **{name: round(value, 5) for name, value in session.recent_metrics.items()},
            "learning_rate": self._learning_rate(),
            "seconds": round(session.seconds, 2),
            "steps_per_second": round((step - first) / seconds, 4),
            **self._measure_speed(first, step, seconds),
        }
        session.log_row = row
        if self._log:
            self._log.append(row)

    def _learning_rate(self) -> float:
        # `learning_rate` is the schedule's, which knows nothing of roll-backs.
        optimizer = self.session.model.optimizer
        return float(keras.ops.convert_to_numpy(optimizer.learning_rate * optimizer.rate_factor))
