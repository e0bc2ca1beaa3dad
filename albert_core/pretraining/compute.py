"""How a pretraining computes: as its settings or the machine say, or the fastest of some steps."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from albert_core.config import AlbertConfig
from albert_core.pretraining.compilation import compiled_model
from albert_core.pretraining.config import PretrainingConfig
from albert_core.pretraining.dataset import PretrainingData
from albert_core.pretraining.phases import Phase
from albert_core.progress import ReportProgress, report_message
from albert_core.records.batch import InputTimer
from albert_core.training.compute import ComputeSettings
from albert_core.training.compute_choice import choose_compute
from albert_core.training.devices import Devices
from albert_core.training.timed_steps import TimedTraining


def choose_pretraining_compute(
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
    """Choose precision and compilation of a pretraining, and report them; a checkpoint's are kept.

    Where steps are timed, it is on batches of the phase with the most tokens, and the random state
    is afterwards as the seed makes it. Where only an evaluation is wanted, nothing is timed and
    `auto` is float32 on every CPU: metrics must not depend on a processor's instructions. All
    processes must call this at the same step, and return the first one's choice.

    Args:
        model_config: The architecture.
        config: How to train.
        phases: Phases of `config`, resolved; at least one.
        data: The records of each phase.
        devices: The devices that train.
        checkpoints: Folder of the checkpoints.
        work: What is trained.
        progress: Called with a message about the choice.
    """
    index = max(range(len(phases)), key=lambda index: phases[index].num_tokens)
    phase = phases[index]
    # What these steps wait for records is no part of the training's measure.
    records = dataclasses.replace(data[index], input_timer=InputTimer())

    def new_training(compute: ComputeSettings) -> TimedTraining:
        """Return a new model and what begins the batches of the phase."""
        settings = dataclasses.replace(config, **compute.recorded())
        model = compiled_model(model_config, settings, [phase], devices)
        model.set_depth(phase.architecture(model_config).num_hidden_layers)
        model.num_micro_batches = phase.num_micro_batches(devices.num_data_parallel)
        return TimedTraining(model, lambda: records.train_batches(phase.batch_size))

    chosen = choose_compute(
        config,
        model_config.hidden_size,
        devices,
        trainings={checkpoints: work},
        new_training=new_training if config.num_train_steps else None,
        seed=config.seed,
        progress=progress,
        keeps_former_defaults=not config.num_train_steps,
    )
    report_message(progress, f"computing in {chosen}")
    return chosen
