"""Counts steps and takes the means of the metrics that the log and the safeguards look at."""

from collections.abc import Mapping
from typing import Any

import keras

from albert_core.training.session import TrainingSession


class StepCounter(keras.callbacks.Callback):
    """Counts the steps; at those with a line in the log takes the means since the last line.

    Must be the first callback: the others read the step and the means of the session.
    """

    def __init__(self, session: TrainingSession) -> None:
        super().__init__()
        self.session = session

    def on_train_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Count a step; set `recent_metrics` of the session where a row of the log is due.

        That is every `log_steps` steps and at the end of an interval: they are then the means over
        the steps since the last row. After other steps they are None.
        """
        session = self.session
        session.state.step += 1
        session.recent_metrics = None
        if session.interval_step == 0 or session.state.step % session.plan.log_steps == 0:
            session.recent_metrics = self._recent_means(logs or {})

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Begin new means, as Keras does with its own."""
        self.session.state.log_start = {}

    def _recent_means(self, logs: Mapping[str, Any]) -> dict[str, float] | None:
        """Return the means over the steps since the log's last row; None without such steps.

        Keras gives means since the beginning of the interval; those at the last row are in the
        state, so that a run that goes on from a checkpoint logs the same rows. They are replaced by
        those at this row.

        Args:
            logs: The means by Keras.
        """
        state = self.session.state
        count = self.session.plan.steps_of_interval(state.step)
        # This waits for the device, which is why only steps with a line come here.
        means = {name: float(value) for name, value in logs.items()}
        before = state.log_start or {"count": 0, "means": dict.fromkeys(means, 0.0)}
        num_steps = count - before["count"]
        if num_steps == 0:
            return None
        state.log_start = {"count": count, "means": means}
        return {
            name: (mean * count - before["means"][name] * before["count"]) / num_steps
            for name, mean in means.items()
        }
