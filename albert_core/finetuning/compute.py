"""In what precision a task is trained: as set, as the machine tells, or as is faster when timed."""

from collections.abc import Sequence
from typing import Any

import keras

from albert_core.backends import JITS_VARYING_LENGTHS
from albert_core.finetuning.batches import count_padded_lengths
from albert_core.finetuning.config import FinetuningConfig
from albert_core.finetuning.trials import TrialTrainer
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
    trainer: TrialTrainer, configs: Sequence[FinetuningConfig], devices: Devices
) -> ComputeSettings:
    """Return how all trials compute, and tell it: as they began, if one has a checkpoint.

    `auto` is float32 on every CPU with the original's recipe, as it is there.

    Args:
        trainer: What trains them.
        configs: The settings of all trials.
        devices: Those that train.
    """
    config = configs[0]
    settings: dict[str, Any] = {
        "precision": config.precision,
        "jit_compile": JITS_VARYING_LENGTHS,
    }
    hidden_size = trainer.model_config.hidden_size

    def time_steps(possible: Sequence[ComputeSettings]) -> ComputeSettings:
        return time_settings(
            possible,
            lambda one: _training(one, trainer, config),
            seed=config.seed,
            progress=trainer.progress,
        )

    former = former_settings(devices, hidden_size, **settings)
    is_original = config.recipe == "original" and bool(trainer.program.task.recipe.settings())
    chosen = choose_settings(
        [former] if is_original else possible_settings(devices, hidden_size, **settings),
        former=former,
        recorded=find_recorded(trainer.trainings(configs)),
        time_steps=time_steps,
    )
    trainer.progress(0, 0, f"computing in {chosen}; {_describe_compilations(trainer, config)}")
    return chosen


def _describe_compilations(trainer: TrialTrainer, config: FinetuningConfig) -> str:
    """Return in words how often a trial's training step is compiled at most.

    Where XLA compiles it, once for each length of batches, else once for all.
    """
    count = 1
    if JITS_VARYING_LENGTHS:
        count = count_padded_lengths(trainer.train.features, config.sequence_length)
    return (
        f"the step is compiled at most {count} times" if count > 1 else "the step is compiled once"
    )


def _training(compute: ComputeSettings, trainer: TrialTrainer, config: FinetuningConfig) -> Fit:
    """Return a function that trains a new model on the first batches of the task."""
    with use_precision(compute.precision):
        model = trainer.new_model(config)

    def fit(callback: keras.callbacks.Callback, num_steps: int) -> None:
        with use_precision(compute.precision):
            model.fit(
                trainer.batches_from(0, config),
                steps_per_epoch=num_steps,
                epochs=1,
                callbacks=[callback],
                shuffle=False,
                verbose=0,
            )

    return fit
