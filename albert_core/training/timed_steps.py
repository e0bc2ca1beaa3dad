"""Which of several ways to compute is the fastest here, by a few steps of training in each."""

import dataclasses
import gc
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras

from albert_core.progress import ReportProgress, report_message
from albert_core.training.compute import ComputeSettings
from albert_core.training.devices import use_precision

_ROUNDS = 2
_LEAST_STEPS, _MOST_STEPS, _SECONDS = 3, 50, 1.0
_NOT_COUNTED = 2  # the first compiles; the second may still allocate memory
# Of ways that are about as fast the likeliest is taken, so that noise does not choose.
_MARGIN = 1.03

NewTraining = Callable[[ComputeSettings], tuple[keras.Model, Callable[[], Any]]]
"""Function of a way; returns a new model compiled for it, made in the precision that is set, and
what begins the batches that it is trained on."""


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
    possible: Sequence[ComputeSettings],
    new_training: NewTraining,
    *,
    seed: int,
    progress: ReportProgress,
) -> ComputeSettings:
    """Train a few steps in each way, in turns; return the fastest, with the times as its reason.

    The median of a way's steps counts; a way before another is taken unless that is more than 3 %
    faster. Each is trained twice, for at most 50 steps. The models are dropped. Afterwards the
    random state is as the seed makes it, and the precision of new models float32.

    Args:
        possible: The ways, the likeliest first, at least one.
        new_training: Returns a model for a way, and its batches.
        seed: Seed of all random states that is set in the end.
        progress: Called with a message that steps are timed.
    """
    report_message(progress, f"timing a few steps in {len(possible)} ways")
    trainings = []
    for one in possible:
        with use_precision(one.precision):
            trainings.append((one, *new_training(one)))
    seconds: list[list[float]] = [[] for _ in possible]
    for _ in range(_ROUNDS):
        for (one, model, begin_batches), its_seconds in zip(trainings, seconds, strict=True):
            times = StepTimes()
            with use_precision(one.precision):
                model.fit(
                    begin_batches(),
                    steps_per_epoch=_MOST_STEPS,
                    callbacks=[times],
                    shuffle=False,
                    verbose=0,
                )
            its_seconds += times.seconds
    del model
    trainings.clear()
    gc.collect()  # these models would take memory of the devices
    keras.utils.set_random_seed(seed)
    return fastest(possible, [statistics.median(values) for values in seconds])


def fastest(possible: Sequence[ComputeSettings], seconds: Sequence[float]) -> ComputeSettings:
    """Return the fastest way, with the times of all, in milliseconds, as its reason.

    Args:
        possible: The ways; an earlier one is taken unless a later one is more than 3 % faster.
        seconds: Seconds of a step in each way, in the order of `possible`.
    """
    best, best_s = possible[0], seconds[0]
    for one, its_s in zip(possible, seconds, strict=True):
        if its_s * _MARGIN < best_s:
            best, best_s = one, its_s
    others = (
        f"{1000 * its_s:.1f} in {one}"
        for one, its_s in zip(possible, seconds, strict=True)
        if one != best
    )
    why = f"timed: {1000 * best_s:.1f} ms a step, {', '.join(others)}"
    return dataclasses.replace(best, why=why)
