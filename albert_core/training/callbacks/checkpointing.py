"""Writes checkpoints and the best weights, also when a signal asks the process to end."""

import time
from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np

from albert_core.model.weights import weights_by_name
from albert_core.training.best_weights import write_best
from albert_core.training.history import best_row
from albert_core.training.session import TrainingSession


class Checkpointing(keras.callbacks.Callback):
    """Saves checkpoints and the best weights, and ends training when a signal was received.

    A checkpoint is saved after every evaluation, and between evaluations when `checkpoint_steps` or
    `checkpoint_minutes` of the session's plan ask for one. Before the checkpoint of an evaluation
    that is the best of its phase so far, the first process writes the weights. After each step and
    each evaluation it is checked whether a signal was received; then a checkpoint is saved and
    StoppedError is raised.

    Args:
        session: The training.
        signal_name: Returns the name of the signal that the process received, or None.
    """

    def __init__(self, session: TrainingSession, signal_name: Callable[[], str | None]) -> None:
        super().__init__()
        self.session, self._signal_name = session, signal_name
        self._interval_metrics: list[np.ndarray] | None = None

    def on_train_begin(self, logs: Mapping[str, Any] | None = None) -> None:
        """Copy the metrics of an interval that is continued, since Keras resets them.

        Does nothing where an interval begins.
        """
        if self.session.interval_step:
            metrics = self.session.model.metrics_variables
            # Copies: on a CPU an array may share its memory with the variable that is reset.
            self._interval_metrics = [np.asarray(metric).copy() for metric in metrics]

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Put the metrics of a continued interval back, once; does nothing at other intervals."""
        if self._interval_metrics is not None:
            variables = self.session.model.metrics_variables
            for variable, value in zip(variables, self._interval_metrics, strict=True):
                variable.assign(value)
            self._interval_metrics = None

    def on_train_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Save if a checkpoint is due or a signal was received.

        The last step of an interval is saved after its evaluation instead, unless a signal was
        received.

        Raises:
            StoppedError: A signal was received, and the step is saved.
            StepFailedError: It cannot be saved.
        """
        session = self.session
        if signal_name := self._signal_name():
            session.save_and_stop(signal_name)
        # The end of an interval saves after its evaluation, unless there is no time for one.
        if session.interval_step and self._is_due():
            session.save()

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Write the weights, or their averages, if this evaluation is its phase's best; then save.

        The evaluation is the last row of the history, which must be there. With several processes,
        only the first writes. The file of the weights and its description in the state come first,
        so that the checkpoint names them.

        Raises:
            StoppedError: A signal was received, and the evaluation is saved.
            StepFailedError: The weights or the checkpoint cannot be written.
        """
        session, history = self.session, self.session.state.history
        # Before the checkpoint: one that knows of this evaluation must find its weights written.
        if session.is_chief and best_row(history, session.plan.monitor) is history[-1]:
            averages = session.model.optimizer.averages_by_name()
            # Averages are what was evaluated.
            weights = {**weights_by_name(session.model), **averages}
            session.state.best = write_best(session.folder, session.state.step, weights)
        if signal_name := self._signal_name():
            session.save_and_stop(signal_name)
        session.save()

    def _is_due(self) -> bool:
        """Tell whether steps, or minutes since the last checkpoint, ask for one now.

        Steps count from the beginning of training; a number of 0 never asks.
        """
        plan, step = self.session.plan, self.session.state.step
        if plan.checkpoint_steps and step % plan.checkpoint_steps == 0:
            return True
        minutes = (time.monotonic() - self.session.last_save_s) / 60
        return bool(plan.checkpoint_minutes) and minutes >= plan.checkpoint_minutes
