"""Which of several `ComputeSettings` is the fastest here, by a few steps of training with each."""

import dataclasses
import gc
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import keras

from albert_core.progress import ReportProgress, report_message
from albert_core.training.compute import ComputeSettings
from albert_core.training.devices import use_precision

_ROUNDS = 2
_LEAST_STEPS, _MOST_STEPS, _SECONDS = 3, 50, 1.0
_NOT_COUNTED = 2  # the first compiles; the second may still allocate memory
# Of settings that are about as fast the likeliest are taken, so that noise does not choose.
_MARGIN = 1.03


class TimedTraining(NamedTuple):
    """A training of which some steps are timed.

    Attributes:
        model: New and compiled; made in the precision that is set.
        begin_batches: Begins the batches that it is trained on.
    """

    model: keras.Model
    begin_batches: Callable[[], Any]


NewTraining = Callable[[ComputeSettings], TimedTraining]
"""Function of settings; returns a training that computes by them."""


class StepTimes(keras.callbacks.Callback):
    """Notes the seconds of each step, and ends the training when they are enough.

    That is after three noted steps or more that took a second together.

    Attributes:
        seconds: Seconds of each step so far, except the first two, which compile and allocate.
    """

    def __init__(self) -> None:
        """Begin without a step."""
        super().__init__()
        self.seconds: list[float] = []
        self._last_s, self._num_done = 0.0, 0

    def on_train_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Note the time since the step before, whose metrics Keras has waited for.

        Sets the model's `stop_training` when there are enough.
        """
        now = time.perf_counter()
        if self._num_done >= _NOT_COUNTED:
            self.seconds.append(now - self._last_s)
        self._last_s, self._num_done = now, self._num_done + 1
        if len(self.seconds) >= _LEAST_STEPS and sum(self.seconds) >= _SECONDS:
            self.model.stop_training = True


def time_settings(
    candidates: Sequence[ComputeSettings],
    new_training: NewTraining,
    *,
    seed: int,
    progress: ReportProgress,
) -> ComputeSettings:
    """Train a few steps by each candidate, in turns; return the fastest, with the times as reason.

    The median of a candidate's steps counts; one before another is taken unless that is more than
    3 % faster. Each is trained twice, each time for at most 50 steps. The models are dropped.
    Afterwards the random state is as the seed makes it, and the precision of new models float32.

    Args:
        candidates: The settings, the likeliest first, at least one.
        new_training: Returns a new training that computes by one of them.
        seed: Seed of all random states that is set in the end.
        progress: Called with a message that steps are timed.
    """
    report_message(progress, f"timing a few steps in {len(candidates)} ways")
    trainings = []
    for candidate in candidates:
        with use_precision(candidate.precision):
            trainings.append(new_training(candidate))
    step_seconds: list[list[float]] = [[] for _ in candidates]
    for _ in range(_ROUNDS):
        for candidate, training, seconds in zip(candidates, trainings, step_seconds, strict=True):
            with use_precision(candidate.precision):
                seconds += _time_steps(training)
    # These models would take memory of the devices; `training` still holds the last one.
    del training
    trainings.clear()
    gc.collect()
    # Making and training them drew random numbers; go on as if nothing had been timed.
    keras.utils.set_random_seed(seed)
    return fastest(candidates, [statistics.median(seconds) for seconds in step_seconds])


def _time_steps(training: TimedTraining) -> list[float]:
    """Train some steps and return their seconds, without the first two."""
    times = StepTimes()
    # By Keras's own list of callbacks, which waits for each step to end; that of `train` does not.
    training.model.fit(
        training.begin_batches(),
        steps_per_epoch=_MOST_STEPS,
        callbacks=[times],
        shuffle=False,
        verbose=0,
    )
    return times.seconds


def fastest(candidates: Sequence[ComputeSettings], seconds: Sequence[float]) -> ComputeSettings:
    """Return the fastest settings, with the times of all, in milliseconds, as their reason.

    Args:
        candidates: The settings; earlier ones are taken unless later ones are more than 3 % faster.
        seconds: Seconds of a step by each candidate, in their order.
    """
    best, best_s = candidates[0], seconds[0]
    for candidate, step_s in zip(candidates, seconds, strict=True):
        if step_s * _MARGIN < best_s:
            best, best_s = candidate, step_s
    others = (
        f"{1000 * step_s:.1f} in {candidate}"
        for candidate, step_s in zip(candidates, seconds, strict=True)
        if candidate != best
    )
    why = f"timed: {1000 * best_s:.1f} ms a step, {', '.join(others)}"
    return dataclasses.replace(best, why=why)
