"""In what precision a task is trained: as set, as the machine tells, or as is faster when timed."""

import dataclasses
from collections.abc import Sequence

from albert_core.backends import JITS_VARYING_LENGTHS
from albert_core.finetuning.batches import count_padded_lengths
from albert_core.finetuning.config import FinetuningConfig
from albert_core.finetuning.num_steps import has_original_recipe
from albert_core.finetuning.trials import TrialTrainer
from albert_core.progress import report_message
from albert_core.training.compute import ComputeSettings
from albert_core.training.compute_choice import choose_compute
from albert_core.training.timed_steps import TimedTraining


def choose_finetuning_compute(
    trainer: TrialTrainer, configs: Sequence[FinetuningConfig]
) -> ComputeSettings:
    """Choose precision and compilation of all trials, and report them; a checkpoint's are kept.

    `auto` is float32 on every CPU with a recipe of the original, as it is there. Whether XLA
    compiles a step whose batches differ in length is the backend's rule, if it is not set. Where
    steps are timed, the random state is afterwards as the first trial's seed makes it. All
    processes must call this at the same step, and return the first one's choice.

    Args:
        trainer: What trains them.
        configs: The settings of all trials, at least one; they set precision and compilation alike.
    """
    config = configs[0]
    if config.jit_compile is None:
        config = dataclasses.replace(config, jit_compile=JITS_VARYING_LENGTHS)

    def new_training(compute: ComputeSettings) -> TimedTraining:
        """Return a new model and what begins the batches of the task."""
        settings = dataclasses.replace(config, **compute.recorded())
        return TimedTraining(trainer.new_model(settings), lambda: trainer.batches_from(0, settings))

    chosen = choose_compute(
        config,
        trainer.model_config.hidden_size,
        trainer.devices,
        trainings=trainer.trainings(configs),
        new_training=new_training,
        seed=config.seed,
        progress=trainer.progress,
        keeps_former_defaults=has_original_recipe(config, trainer.preprocessor.task),
    )
    compilations = _describe_compilations(trainer, config, chosen)
    report_message(trainer.progress, f"computing in {chosen}; {compilations}")
    return chosen


def _describe_compilations(
    trainer: TrialTrainer, config: FinetuningConfig, compute: ComputeSettings
) -> str:
    """Return in words how often a trial's training step is compiled at most.

    Where XLA compiles it, once for each length of batches; else the step is traced once, and for
    each length only the loops that are compiled by themselves are.
    """
    count = count_padded_lengths(trainer.train.features, config.sequence_length)
    lengths = f"at most {count} lengths of batches" if count > 1 else "one length of batches"
    if compute.jit_compile:
        return f"the step is compiled for {lengths}"
    return f"the step is traced once, its element-wise loops are compiled for {lengths}"
