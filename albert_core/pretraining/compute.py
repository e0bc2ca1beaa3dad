"""How a pretraining computes: as its settings or the machine say, or the fastest of some steps."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras

from albert_core.config import AlbertConfig
from albert_core.pretraining.compilation import compiled_model
from albert_core.pretraining.config import PretrainingConfig
from albert_core.pretraining.dataset import PretrainingData
from albert_core.pretraining.phases import Phase
from albert_core.progress import ReportProgress
from albert_core.records.batch import InputTimer
from albert_core.training.compute import (
    ComputeSettings,
    choose_settings,
    find_recorded,
    former_settings,
    possible_settings,
)
from albert_core.training.devices import Devices, use_precision
from albert_core.training.timed_steps import Fit, time_settings


def choose_compute(
    model_config: AlbertConfig,
    config: PretrainingConfig,
    phases: Sequence[Phase],
    data: Sequence[PretrainingData],
    devices: Devices,
    *,
    checkpoints: Path,
    work: str,
    progress: ReportProgress,
) -> ComputeSettings:
    """Return how to compute a pretraining, and tell it: as it began, if it has a checkpoint.

    Where steps are timed, it is on batches of the phase with the most tokens; then Keras's session
    is cleared and the random state as the seed of the settings makes it.

    Args:
        model_config: The architecture.
        config: How to train.
        phases: Those of `config`, resolved.
        data: For each phase its records.
        devices: Those that train.
        checkpoints: Folder of the checkpoints.
        work: What is trained.
        progress: Told the choice.
    """
    settings: dict[str, Any] = {"precision": config.precision, "jit_compile": config.jit_compile}
    hidden_size = model_config.hidden_size

    def time_steps(possible: Sequence[ComputeSettings]) -> ComputeSettings:
        """Return the fastest way for the phase with the most tokens."""
        if not config.num_train_steps:
            return possible[0]
        index = max(range(len(phases)), key=lambda one: phases[one].num_tokens)
        phase, records = phases[index], dataclasses.replace(data[index], input_timer=InputTimer())

        def fits(one: ComputeSettings) -> Fit:
            return _training(one, model_config, config, phase, records, devices)

        return time_settings(possible, fits, seed=config.seed, progress=progress)

    chosen = choose_settings(
        possible_settings(devices, hidden_size, **settings),
        former=former_settings(devices, hidden_size, **settings),
        recorded=find_recorded({checkpoints: work}),
        time_steps=time_steps,
    )
    progress(0, 0, f"computing in {chosen}")
    return chosen


def _training(
    compute: ComputeSettings,
    model_config: AlbertConfig,
    config: PretrainingConfig,
    phase: Phase,
    data: PretrainingData,
    devices: Devices,
) -> Fit:
    """Return a function that trains a new model on the first batches of a phase."""
    config = dataclasses.replace(config, **compute.recorded())
    with use_precision(compute.precision):
        model = compiled_model(model_config, config, [phase], devices)
    model.set_depth(phase.architecture(model_config).num_hidden_layers)
    model.num_micro_batches = phase.num_micro_batches(devices.num_data_parallel)

    def fit(callback: keras.callbacks.Callback, num_steps: int) -> None:
        batches = data.train_batches(phase.batch_size)
        with use_precision(compute.precision):
            model.fit(
                batches,
                steps_per_epoch=num_steps,
                epochs=1,
                callbacks=[callback],
                shuffle=False,
                verbose=0,
            )

    return fit
