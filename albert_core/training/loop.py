"""Keras `fit` in intervals: train, evaluate, checkpoint; continue where a killed run stopped."""

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import keras

from albert_core.processes.stops import SAVING_S, longer_grace
from albert_core.progress import ReportProgress
from albert_core.tracking.step import TrackRow, untracked
from albert_core.training.callbacks.budget import Budget, lost_patience
from albert_core.training.callbacks.checkpointing import Checkpointing
from albert_core.training.callbacks.evaluation import Evaluate, Evaluation
from albert_core.training.callbacks.log import LogWriter, MeasureSpeed
from albert_core.training.callbacks.progress import ProgressReporter
from albert_core.training.callbacks.safeguards import Safeguards
from albert_core.training.callbacks.step_counter import StepCounter
from albert_core.training.callbacks.time_budget import TimeBudget
from albert_core.training.callbacks.tracking import Tracking
from albert_core.training.checkpoint import restore_latest
from albert_core.training.plan import TrainingPlan
from albert_core.training.safeguards import DivergenceError, SafeguardConfig
from albert_core.training.session import TrainingSession
from albert_core.training.signals import catch_signals
from albert_core.training.state import TrainingState


def train(
    model: keras.Model,
    *,
    batches_from: Callable[[int], Any],
    evaluate: Evaluate,
    plan: TrainingPlan,
    folder: Path,
    work: str,
    progress: ReportProgress,
    safeguards: SafeguardConfig | None = None,
    measure_speed: MeasureSpeed = lambda first, last, seconds: {},
    track: TrackRow = untracked,
    is_chief: bool = True,
    compute: Mapping[str, Any] = MappingProxyType({}),
) -> TrainingState:
    """Train a compiled model to the end of the plan; keep its best weights.

    Continues from the newest whole checkpoint in `folder`, if there is one. An interrupted training
    that is continued ends with the same bits as one that was not interrupted. The model itself is
    left with the weights of the last step. If a divergence is to be rolled back, a new training is
    saved before its first step, too. If the training is complete already, nothing is trained; an
    evaluation that an interruption prevented is made.

    Args:
        model: Built, and compiled with an optimizer of `albert_core.optimizers`.
        batches_from: Function of a step; returns endless batches of its phase from that step on.
        evaluate: Function of a step; returns metrics of the model as it is, the monitored one among
            them.
        plan: How long to train.
        folder: Folder of the checkpoints, the best weights and the log; must exist.
        work: What is trained: settings and data. Checkpoints of other work, and damaged ones, are
            removed.
        progress: Called with the number of steps done, the number of all steps (0 while it is not
            known), and a text with the losses.
        safeguards: What to do when training diverges; the defaults when not given.
        measure_speed: Function of (first step, last step, seconds between them); returns metrics
            for the log.
        track: Called with the steps done and each row of the log and of the evaluations, in the
            process that writes.
        is_chief: Whether this process writes; if there are several, one of them does.
        compute: How the model computes, which the checkpoints keep; see `ComputeSettings`.

    Returns:
        The final state; its history has a row of metrics for each evaluation, and its `best` says
            where the best weights are.

    Raises:
        InputError: The newest checkpoint does not fit the model, or the plan's minutes are too few
            for the warm-up and the decay.
        StoppedError: It was stopped by SIGTERM or Ctrl-C, and is saved.
        StepFailedError: Training diverged, and the last good checkpoint, if there is one, is kept;
            or one cannot be written.
    """
    safeguards = safeguards or SafeguardConfig()
    # Keras builds it at the first step, but a checkpoint is read into its moments before.
    model.optimizer.build(model.trainable_variables)
    state = restore_latest(folder, model, work=work)
    state.compute = dict(compute)
    if state.stopped_by is None and lost_patience(state.history, plan):
        state.stopped_by = "patience"  # killed after the evaluation, before it was recorded
    session = TrainingSession(model, state, plan, folder, is_chief=is_chief, work=work)
    if state.num_lost_checkpoints:
        progress(state.step, session.num_expected_steps, "a damaged checkpoint is left out")
    if safeguards.action == "roll_back" and not state.step:
        session.save()  # so that there is a checkpoint to go back to
    with (
        catch_signals() as signal_name,
        # No longer where no step would be lost, as while the first one is compiled.
        longer_grace(lambda: SAVING_S if session.state.step != session.saved_step else 0.0),
    ):
        guard = Safeguards(session, safeguards, progress)
        # The order matters: each callback says what must be done before and after it.
        callbacks = [
            StepCounter(session),
            Evaluation(session, evaluate, signal_name),
            guard,
            LogWriter(session, measure_speed),
            Tracking(session, track),
            *([TimeBudget(session)] if plan.minutes else []),
            Budget(session),
            Checkpointing(session, signal_name),
            ProgressReporter(session, progress),
        ]
        # A call of `fit` ends with the phase at the latest: the next one's batches have another
        # shape.
        while session.needs_evaluation or not session.is_finished:
            try:
                _continue(session, batches_from, callbacks)
            except DivergenceError as error:
                guard.roll_back(error)
    return session.state


def _continue(
    session: TrainingSession,
    batches_from: Callable[[int], Any],
    callbacks: Sequence[keras.callbacks.Callback],
) -> None:
    """Go on with a missed evaluation, else with the rest of an interval, else of a phase.

    Args:
        session: The training; its state is changed by the callbacks.
        batches_from: Function of a step; returns endless batches of its phase from that step on.
            Called once for each call of `fit`.
        callbacks: All of them, in the order they must run in.

    Raises:
        InputError: The plan's minutes are too few for the warm-up and the decay.
        DivergenceError: The safeguards call a loss or an evaluation divergence.
        StoppedError: A signal was received, and the last step is saved.
        StepFailedError: A checkpoint cannot be written.
    """
    if session.needs_evaluation:
        # Not by `fit`, which would train one step at least.
        for callback in callbacks:
            callback.on_epoch_end(0)
        return
    plan, step, num_done = session.plan, session.state.step, session.interval_step
    num_left = plan.phase_ends[plan.phase_of(step)] - step
    # To Keras an interval between evaluations is an epoch; the rest of one is a shorter epoch. The
    # end of a phase cuts its last epoch short.
    session.model.fit(
        batches_from(step),
        steps_per_epoch=plan.interval_steps - num_done,
        epochs=1 if num_done else math.ceil(num_left / plan.interval_steps),
        # With Keras's history, which `fit` wants to return and does not add to a finished list.
        callbacks=_LazyCallbackList(callbacks, add_history=True, model=session.model),
        shuffle=False,  # the data is shuffled as it is read, by a seed, to be continued anywhere
        verbose=0,
    )


class _LazyCallbackList(keras.callbacks.CallbackList):
    """Passes a batch's metrics to the callbacks unread.

    Keras would turn them into Python numbers, and so wait for the device after every step, which
    keeps it from working ahead.
    """

    def on_train_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Call the callbacks, in their order, with metrics that are still on the device."""
        for callback in self.callbacks:
            callback.on_train_batch_end(batch, logs)
