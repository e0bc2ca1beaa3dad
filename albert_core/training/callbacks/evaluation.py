"""Evaluates the model at the end of every interval."""

from collections.abc import Callable, Mapping
from typing import Any

import keras

from albert_core.training.session import TrainingSession
from albert_core.training.signals import SignalError

Evaluate = Callable[[int], Mapping[str, Any]]


class Evaluation(keras.callbacks.Callback):
    """Adds a row to the history at the end of every interval, and where a budget ends one early.

    A signal that ends the training within an interval adds none.

    Args:
        session: The training.
        evaluate: Function of a step; returns metrics of the model as it is. Where a signal ends it
            early, it raises SignalError and leaves weights and metrics as they were.
        signal_name: Returns the name of the signal that the process received, or None.
    """

    def __init__(
        self,
        session: TrainingSession,
        evaluate: Evaluate,
        signal_name: Callable[[], str | None] = lambda: None,
    ) -> None:
        """Keep session and functions; nothing is evaluated yet."""
        super().__init__()
        self.session = session
        self._evaluate, self._signal_name = evaluate, signal_name

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Evaluate; append a row to the history.

        It holds step, phase, the model's own metrics of the interval (`train_*`, left out at step
        0), those of `evaluate`, and the seconds of the training so far, with this and all other
        evaluations.

        Args:
            epoch: Not read: the step is that of the session.
            logs: Not read.

        Raises:
            StoppedError: A signal ended the evaluation, and the step before it is saved.
            StepFailedError: The step cannot be saved.
        """
        session = self.session
        step = session.state.step
        # Read first: an evaluation may reset the model's metrics.
        metrics = session.model.get_metrics_result() if step else {}
        try:
            evaluated = self._evaluate(step)
        except SignalError:  # on continuing, the evaluation is the first thing to do
            session.save_and_stop(self._signal_name() or "a signal")
        trained = {f"train_{name}": float(value) for name, value in metrics.items()}
        row = {
            "global_step": step,
            "phase": session.last_phase,
            **trained,
            **evaluated,
            # Read after the evaluation, whose time counts towards the budget.
            "seconds": round(session.seconds, 1),
        }
        session.state.history.append(row)
