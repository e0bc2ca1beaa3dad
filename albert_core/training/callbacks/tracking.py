"""Tells a tracker the rows of the log and the evaluations."""

from collections.abc import Mapping
from typing import Any

import keras

from albert_core.tracking.step import TrackRow
from albert_core.training.session import TrainingSession

_EVALUATION, _POSITION = "evaluation", ("global_step", "phase")


class Tracking(keras.callbacks.Callback):
    """Passes what is logged and evaluated on to `track`, in the first process only.

    Runs after the log and the evaluation, which make the rows.

    Args:
        session: The training.
        track: Function of the steps done and values; must return at once.
    """

    def __init__(self, session: TrainingSession, track: TrackRow) -> None:
        super().__init__()
        self.session, self._track = session, track

    def on_train_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Track the row of the log of this step; does nothing at a step without one."""
        if self.session.is_chief and self.session.log_row is not None:
            self._track(self.session.state.step, self.session.log_row)

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Track the last evaluation, its metrics as `evaluation/NAME`."""
        if self.session.is_chief:
            row = self.session.state.history[-1]
            step = row["global_step"]
            self._track(step, {f"{_EVALUATION}/{n}": row[n] for n in row if n not in _POSITION})
