"""Ends or rolls back a training that diverges."""

import dataclasses
import time
from collections.abc import Mapping
from typing import Any

import keras

from albert_core.backends import broadcast_from_first_process
from albert_core.errors import StepFailedError
from albert_core.progress import ReportProgress
from albert_core.training.checkpoint import restore_latest
from albert_core.training.minutes import PhaseTiming
from albert_core.training.safeguards import DivergenceError, SafeguardConfig, StuckError
from albert_core.training.session import TrainingSession
from albert_core.training.state import checkpoint_folder


class Safeguards(keras.callbacks.Callback):
    """Raises `DivergenceError` at a loss or an evaluation that the settings call divergence.

    Runs before the log and the checkpoints, so that neither holds a step that diverged. Whoever
    catches the error calls `roll_back`, which goes back to the newest checkpoint and tells `report`
    so, or gives up.
    """

    def __init__(
        self, session: TrainingSession, config: SafeguardConfig, report: ReportProgress
    ) -> None:
        super().__init__()
        self.session, self.config, self._report = session, config, report

    def on_train_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Check the mean loss of the last steps and remember the lowest one of the phase.

        Does nothing at steps without a row in the log.

        Raises:
            DivergenceError: The loss diverges.
        """
        if self.session.recent_metrics is None:
            return
        state, loss = self.session.state, self.session.recent_metrics["loss"]
        self.config.check_loss(state.step, loss, state.lowest_loss)
        state.lowest_loss = min(loss, state.lowest_loss or loss)

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Check the history of evaluations; when a phase has ended, forget its lowest loss.

        That loss is kept of training steps (`on_train_batch_end`), not of evaluations.

        Raises:
            StuckError: Training does not learn.
        """
        state, plan = self.session.state, self.session.plan
        self.config.check_history(state.history)
        if plan.phase_of(state.step) != self.session.last_phase:
            state.lowest_loss = None  # longer sequences have another loss

    def roll_back(self, error: DivergenceError) -> None:
        """Restore the newest checkpoint with a lower learning rate, and save it so; or give up.

        The time since the checkpoint counts as trained, but not for the speed by which steps are
        settled. Model and optimizer are restored also before giving up; where there is no
        checkpoint, they keep the weights that diverged. The session's state is replaced only if it
        does not give up.

        Args:
            error: What shows the divergence.

        Raises:
            StepFailedError: The settings say `stop`, it was tried too often or cannot help, there
                is no checkpoint, or it cannot be written.
        """
        session, config = self.session, self.config
        num_before = session.state.num_roll_backs
        # Also before giving up: the message names the step, and nothing may use the diverged
        # weights.
        restored = restore_latest(session.folder, session.model, work=session.work)
        is_hopeless = isinstance(error, StuckError) or num_before >= config.max_roll_backs
        has_checkpoint = checkpoint_folder(session.folder, restored.step).is_dir()
        if config.action == "stop" or is_hopeless or not has_checkpoint:
            checkpoint = "there is no checkpoint yet"
            if has_checkpoint:
                step = f"step {restored.step:,}"
                checkpoint = f"its last good checkpoint ({step}) is kept in {session.folder}"
            tried = f" ({num_before} roll-backs did not help)" if num_before else ""
            raise StepFailedError(
                f"{error}; training stopped, {checkpoint}; lower the learning rate or lengthen the "
                f"warm-up{tried}"
            ) from error
        # Counted here, not in the checkpoint, which may be older than the last roll-back.
        restored.num_roll_backs = num_before + 1
        # A checkpoint of an earlier version lacks it.
        restored.compute = session.state.compute
        # The steps since the checkpoint are made again: their time would make the measured speed
        # of a training by minutes too low. All processes must settle the same.
        lost_s = broadcast_from_first_process(session.seconds) - restored.seconds
        restored.timings = [
            dataclasses.asdict(PhaseTiming(**timing).without(lost_s)) for timing in restored.timings
        ]
        factor = config.roll_back_factor**restored.num_roll_backs
        session.model.optimizer.rate_factor.assign(factor)
        session.state = restored
        session.last_log_step, session.last_log_s = restored.step, time.monotonic()
        # At once: a process killed before the next checkpoint would forget the lower rate.
        session.save()
        text = f"{error}: back to step {restored.step:,} with {factor:g} times the rate"
        self._report(restored.step, session.num_expected_steps, text)
