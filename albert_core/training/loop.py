"""Keras `fit` in intervals: train, evaluate, checkpoint; and go on where a killed run stopped."""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np

from albert_core.errors import StepFailedError
from albert_core.model.weights import weights_by_name, write_weights
from albert_core.progress import ReportProgress
from albert_core.training.checkpoint import TrainingState, restore_latest, save_checkpoint
from albert_core.training.history import best_row
from albert_core.training.log import TrainingLog
from albert_core.training.plan import TrainingPlan
from albert_core.training.safeguards import DivergenceError, SafeguardConfig, StuckError
from albert_core.training.signals import catch_signals

BEST_NAME = "best.safetensors"
_REPORT_EVERY_S = 2.0

Evaluate = Callable[[int], Mapping[str, float]]
MeasureSpeed = Callable[[int, int, float], Mapping[str, float]]


def train(
    model: keras.Model,
    *,
    batches_from: Callable[[int], Any],
    evaluate: Evaluate,
    plan: TrainingPlan,
    folder: Path,
    progress: ReportProgress,
    safeguards: SafeguardConfig | None = None,
    measure_speed: MeasureSpeed = lambda first, last, seconds: {},
    is_chief: bool = True,
) -> TrainingState:
    """Train a compiled model to the end of the plan; its best weights are left in `BEST_NAME`.

    Args:
        model: Built and compiled with one of our optimizers.
        batches_from: Function of a step; returns endless batches of its phase from that step on.
        evaluate: Function of a step; returns figures of the model as it stands.
        plan: How long to train.
        folder: Where checkpoints, best weights and log live; a killed run continues from there.
        progress: Told the steps done, of how many, and the losses.
        safeguards: What to do when training goes wrong; the defaults when not given.
        measure_speed: Function of (first step, last step, seconds between them); returns figures
            for the log.
        is_chief: Whether this process writes; of several, one does.

    Returns:
        The final state; its history has a row of figures for each evaluation.

    Raises:
        StepFailedError: It was interrupted, or training went wrong; a checkpoint is left.
    """
    safeguards = safeguards or SafeguardConfig()
    model.optimizer.build(model.trainable_variables)
    state = restore_latest(folder, model)
    if state.num_lost_checkpoints:
        progress(state.step, plan.num_train_steps, "a damaged checkpoint is left out")
    with catch_signals() as signal_name:
        conductor = _Conductor(
            state,
            evaluate,
            plan,
            folder,
            progress,
            safeguards,
            measure_speed,
            signal_name,
            is_chief,
        )
        conductor.set_model(model)
        if safeguards.action == "roll_back" and not state.step:
            conductor.save()
        while not conductor.is_finished():
            try:
                conductor.fit(batches_from)
            except _BudgetSpent as spent:
                conductor.state.stopped_by = str(spent)
                conductor.evaluate_and_save()
            except DivergenceError as trouble:
                conductor.roll_back(trouble)
    return conductor.state


class _UnreadLogs(keras.callbacks.CallbackList):
    """Hands a batch's figures on as they are: reading them would wait for the device each time."""

    def on_train_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Call the callbacks."""
        for callback in self.callbacks:
            callback.on_train_batch_end(batch, logs)


class _BudgetSpent(Exception):  # noqa: N818 - no error
    """The run may take no longer; the message names the setting that says so."""


class _Conductor(keras.callbacks.Callback):
    """Counts the updates and does between them what is due.

    An interval between evaluations is an epoch to Keras; one that was broken off is taken up as
    a shorter one.
    """

    def __init__(
        self,
        state: TrainingState,
        evaluate: Evaluate,
        plan: TrainingPlan,
        folder: Path,
        progress: ReportProgress,
        safeguards: SafeguardConfig,
        measure_speed: MeasureSpeed,
        signal_name: Callable[[], str | None],
        is_chief: bool,
    ) -> None:
        super().__init__()
        self.state, self.plan, self.folder, self.progress = state, plan, folder, progress
        self._evaluate, self._measure_speed = evaluate, measure_speed
        self._safeguards, self._signal_name = safeguards, signal_name
        self._is_chief = is_chief
        self._log = self._log_from(state.step)
        self._begun = time.monotonic() - state.seconds
        self._reported = self._saved = time.monotonic()
        self._logged = (state.step, time.monotonic())
        self._kept_metrics: list[np.ndarray] | None = None

    def is_finished(self) -> bool:
        """Whether nothing is left to do; evaluates what a killed run had no time to."""
        if self._steps_in_interval() == 0 and self._is_unevaluated():
            self.evaluate_and_save()
        state = self.state
        state.stopped_by = state.stopped_by or self._lost_patience()
        return state.stopped_by is not None or state.step >= self.plan.num_train_steps

    def fit(self, batches_from: Callable[[int], Any]) -> None:
        """Train to the end of the phase, or of an interval that was broken off."""
        step, interval = self.state.step, self.plan.interval_steps
        begun = self._steps_in_interval()
        end = self.plan.phase_ends[self.plan.phase_of(step)]
        metrics = [np.asarray(metric).copy() for metric in self.model.metrics_variables]
        self._kept_metrics = metrics if begun else None
        self.model.fit(
            batches_from(step),
            steps_per_epoch=interval - begun,
            epochs=1 if begun else (end - step) // interval,
            callbacks=_UnreadLogs([self], add_history=True, model=self.model),
            shuffle=False,
            verbose=0,
        )

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Take up the figures of an interval that was broken off."""
        if self._kept_metrics is not None:
            for variable, value in zip(
                self.model.metrics_variables, self._kept_metrics, strict=True
            ):
                variable.assign(value)
            self._kept_metrics = None

    def on_train_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Count an update; log, report and save when it is time."""
        state, plan = self.state, self.plan
        state.step += 1
        ends_interval = self._steps_in_interval() == 0
        if ends_interval or state.step % plan.log_steps == 0:
            self._write_log(logs or {})
        if time.monotonic() - self._reported > _REPORT_EVERY_S:
            self._report(logs or {})
        if ends_interval and not self._signal_name():
            return
        if self._signal_name() or self._is_checkpoint_due():
            self.save()
        if name := self._signal_name():
            raise StepFailedError(
                f"stopped by {name} after {state.step:,} steps; they are saved in {self.folder}: "
                "run again to continue there"
            )
        if spent := self._spent_budget():
            raise _BudgetSpent(spent)

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Evaluate and save."""
        self.evaluate_and_save()
        if spent := self._lost_patience() or self._spent_budget():
            self.state.stopped_by = spent
            self.save()
            self.model.stop_training = True

    def evaluate_and_save(self) -> None:
        """Evaluate the model as it is, keep it if it is the best, write a checkpoint."""
        state, plan = self.state, self.plan
        trained = {f"train_{n}": float(v) for n, v in self.model.get_metrics_result().items()}
        phase = plan.phase_of(max(state.step - 1, 0))
        row = {"global_step": state.step, "phase": phase, **trained, **self._evaluate(state.step)}
        state.seconds = time.monotonic() - self._begun
        state.history.append({**row, "seconds": round(state.seconds, 1)})
        self._safeguards.check_history(state.history)
        state.log_start = {}
        if phase != plan.phase_of(state.step):
            state.lowest_loss = None
        if self._is_chief and best_row(state.history, plan.monitor) is state.history[-1]:
            write_weights(self.folder / BEST_NAME, weights_by_name(self.model))
        self.save()
        text = f"{plan.monitor} {row[plan.monitor]:.3f}"
        self.progress(state.step, plan.num_train_steps, text)

    def save(self) -> None:
        """Write a checkpoint of this very step."""
        self._hand_back_variables()
        self.state.seconds = time.monotonic() - self._begun
        self._saved = time.monotonic()
        if self._is_chief:
            save_checkpoint(self.folder, self.model, self.state, keep=self.plan.keep_checkpoints)

    def roll_back(self, trouble: DivergenceError) -> None:
        """Return to the newest checkpoint with a lower rate; or give up.

        Raises:
            StepFailedError: That is the setting, or it was tried too often.
        """
        num_before, guard = self.state.num_roll_backs, self._safeguards
        restored = restore_latest(self.folder, self.model)
        if (
            guard.action == "stop"
            or isinstance(trouble, StuckError)
            or num_before >= guard.max_roll_backs
        ):
            raise StepFailedError(
                f"{trouble}; training stopped, its last good checkpoint (step {restored.step:,}) "
                f"is kept in {self.folder}; lower the learning rate or lengthen the warm-up"
                + (f" ({num_before} roll-backs did not help)" if num_before else "")
            ) from trouble
        restored.num_roll_backs = num_before + 1
        factor = guard.roll_back_factor**restored.num_roll_backs
        self.model.optimizer.rate_factor.assign(factor)
        self.state, self._log = restored, self._log_from(restored.step)
        self._logged = (restored.step, time.monotonic())
        self.save()
        text = f"{trouble}: back to step {restored.step:,} with {factor:g} times the rate"
        self.progress(restored.step, self.plan.num_train_steps, text)

    def _log_from(self, step: int) -> TrainingLog | None:
        return TrainingLog(self.folder, step) if self._is_chief else None

    def _hand_back_variables(self) -> None:
        """Let the variables have their values; with JAX `fit` keeps them to itself."""
        if keras.backend.backend() == "jax":
            self.model.jax_state_sync()

    def _steps_in_interval(self) -> int:
        return self.state.step % self.plan.interval_steps

    def _is_unevaluated(self) -> bool:
        history = self.state.history
        if not self.state.step:
            return self.plan.num_train_steps == 0
        return not history or history[-1]["global_step"] != self.state.step

    def _is_checkpoint_due(self) -> bool:
        plan = self.plan
        if plan.checkpoint_steps and self.state.step % plan.checkpoint_steps == 0:
            return True
        minutes = (time.monotonic() - self._saved) / 60
        return bool(plan.checkpoint_minutes) and minutes >= plan.checkpoint_minutes

    def _spent_budget(self) -> str | None:
        plan, minutes = self.plan, (time.monotonic() - self._begun) / 60
        if plan.stop_after_steps is not None and self.state.step >= plan.stop_after_steps:
            return "stop_after_steps"
        if plan.stop_after_minutes is not None and minutes >= plan.stop_after_minutes:
            return "stop_after_minutes"
        return None

    def _lost_patience(self) -> str | None:
        history, patience = self.state.history, self.plan.patience
        if not patience or not history:
            return None
        without_gain = len(history) - 1 - history.index(best_row(history, self.plan.monitor))
        return "patience" if without_gain >= patience else None

    def _write_log(self, logs: Mapping[str, Any]) -> None:
        """Add the means over the updates since the last line."""
        state = self.state
        count = self._steps_in_interval() or self.plan.interval_steps
        means = {name: float(value) for name, value in logs.items()}
        before = state.log_start or {"count": 0, "means": dict.fromkeys(means, 0.0)}
        if count == before["count"]:
            return
        recent = {
            name: (mean * count - before["means"][name] * before["count"])
            / (count - before["count"])
            for name, mean in means.items()
        }
        state.log_start = {"count": count, "means": means}
        self._safeguards.check_loss(state.step, recent["loss"], state.lowest_loss)
        state.lowest_loss = min(recent["loss"], state.lowest_loss or recent["loss"])
        self._hand_back_variables()
        first, since = self._logged
        self._logged = (state.step, time.monotonic())
        seconds = self._logged[1] - since
        row = {
            "global_step": state.step,
            **{name: round(value, 5) for name, value in recent.items()},
            "learning_rate": self._rate(),
            "seconds": round(self._logged[1] - self._begun, 2),
            "steps_per_second": round((state.step - first) / seconds, 4),
            **self._measure_speed(first, state.step, seconds),
        }
        if self._log:
            self._log.append(row)

    def _rate(self) -> float:
        optimizer = self.model.optimizer
        return float(keras.ops.convert_to_numpy(optimizer.learning_rate * optimizer.rate_factor))

    def _report(self, logs: Mapping[str, Any]) -> None:
        now = time.monotonic()
        self._reported = now
        shown = {n: v for n, v in logs.items() if n == "loss" or n.endswith("accuracy")}
        parts = [f"{name} {float(value):.3f}" for name, value in shown.items()]
        first, since = self._logged
        if self.state.step > first:
            left = self.plan.num_train_steps - self.state.step
            minutes = left * (now - since) / (self.state.step - first) / 60
            parts.append(f"{minutes:,.0f} min left" if minutes >= 1 else "under a minute left")
        self.progress(self.state.step, self.plan.num_train_steps, ", ".join(parts))
