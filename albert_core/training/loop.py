"""Keras `fit` in intervals: train, evaluate, checkpoint; and go on where a killed run stopped."""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np

from albert_core.model.weights import read_weights, weights_by_name, write_weights
from albert_core.runs.progress import ReportProgress
from albert_core.training.checkpoint import TrainingState, restore_latest, save_checkpoint
from albert_core.training.plan import TrainingPlan

_BEST = "best.safetensors"
_REPORT_EVERY_S = 2.0
_KEPT_CHECKPOINTS = 2

Evaluate = Callable[[], Mapping[str, float]]


def fit_resumably(
    model: keras.Model,
    *,
    batches_from: Callable[[int], Any],
    evaluate: Evaluate,
    plan: TrainingPlan,
    folder: Path,
    progress: ReportProgress,
) -> TrainingState:
    """Train a compiled model to the end of the plan and leave the best weights in it.

    Args:
        model: Built and compiled with one of our optimizers.
        batches_from: Function of a step; returns the endless batches from that step on.
        evaluate: Returns figures of the model as it stands.
        plan: How long to train.
        folder: Where checkpoints live; a killed run continues from the newest one.
        progress: Told the steps done, of how many, and the losses.

    Returns:
        The final state; its history has a row of figures for each evaluation.
    """
    model.optimizer.build(model.trainable_variables)
    state = restore_latest(folder, model)
    callback = _Interval(state, evaluate, plan, folder, progress)
    if state.step < plan.num_train_steps:
        model.fit(
            batches_from(state.step),
            steps_per_epoch=plan.interval_steps,
            initial_epoch=state.step // plan.interval_steps,
            epochs=plan.num_train_steps // plan.interval_steps,
            callbacks=[callback],
            shuffle=False,
            verbose=0,
        )
    best = read_weights(folder / _BEST)
    for name, weight in weights_by_name(model).items():
        weight.assign(best[name])
    return state


def best_row(history: list[dict[str, Any]], monitor: str) -> dict[str, Any]:
    """Return the row of the best evaluation, the earlier one on a tie."""
    return max(history, key=lambda row: row[monitor])


class _Interval(keras.callbacks.Callback):
    """At the end of an interval (an epoch, to Keras): evaluate, keep the best, checkpoint."""

    def __init__(
        self,
        state: TrainingState,
        evaluate: Evaluate,
        plan: TrainingPlan,
        folder: Path,
        progress: ReportProgress,
    ) -> None:
        super().__init__()
        self.state, self.evaluate, self.plan = state, evaluate, plan
        self.folder, self.progress = folder, progress
        self._started = self._reported = time.monotonic() - state.seconds

    def on_train_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Report, at most once in a few seconds: reading the losses waits for the device."""
        now = time.monotonic()
        if now - self._reported > _REPORT_EVERY_S:
            self._reported = now
            shown = {n: v for n, v in (logs or {}).items() if n == "loss" or n.endswith("accuracy")}
            text = ", ".join(f"{name} {float(value):.3f}" for name, value in shown.items())
            self.progress(self.state.step + batch + 1, self.plan.num_train_steps, text)

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Evaluate and save."""
        state = self.state
        state.step += self.plan.interval_steps
        trained = {f"train_{name}": float(value) for name, value in (logs or {}).items()}
        row = {"global_step": state.step, **trained, **self.evaluate()}
        if not np.isfinite(row["train_loss"]):
            raise FloatingPointError(
                f"loss {row['train_loss']} before step {state.step}: training diverged; lower the "
                "learning rate or lengthen the warm-up"
            )
        state.seconds = time.monotonic() - self._started
        state.history.append({**row, "seconds": round(state.seconds, 1)})
        if best_row(state.history, self.plan.monitor) is state.history[-1]:
            write_weights(self.folder / _BEST, weights_by_name(self.model))
        save_checkpoint(self.folder, self.model, state, keep=_KEPT_CHECKPOINTS)
        text = f"{self.plan.monitor} {row[self.plan.monitor]:.3f}"
        self.progress(state.step, self.plan.num_train_steps, text)
