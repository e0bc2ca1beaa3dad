"""Fine-tune a pretrained model on a task."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from albert_core.artifacts.inputs import input_folder
from albert_core.artifacts.manifest import Manifest, Metrics
from albert_core.artifacts.work_folder import local_work_root
from albert_core.checkpoints import read_checkpoint
from albert_core.checkpoints.trained_length import find_trained_length
from albert_core.finetuning.config import FinetuningConfig, Initialization
from albert_core.optimizers.settings import without_unchanged
from albert_core.pooling import ORIGINAL_POOLING
from albert_core.progress import ReportProgress, quiet
from albert_core.tasks import Task, task_fingerprint
from albert_core.tracking.config import NO_TRACKING, TrackingConfig
from albert_core.training.config import TrainingConfig
from components.finetune.job import task_step_name
from components.tracked_step import TrackedStep

_DEFAULTS = dataclasses.asdict(FinetuningConfig())
# Settings that pretraining has, too, of which fine-tuning had the precision alone at first.
_SHARED_SETTINGS = {field.name for field in dataclasses.fields(TrainingConfig)} - {"precision"}
# Settings that earlier versions did not have, with the values that they had in effect.
_ADDED_SETTINGS: Mapping[str, Any] = {
    **{name: _DEFAULTS[name] for name in _SHARED_SETTINGS},
    "evaluation_interval_steps": None,
    "train_minutes": None,
    "pooling": ORIGINAL_POOLING,
    "head_rate_multiplier": None,
    "grid_max_examples": None,
    "num_probe_examples": FinetuningConfig.num_probe_examples,
}


def finetune(
    *,
    task: Task,
    data: str | Path,
    pretrained: str | Path,
    initialization: Initialization,
    config: FinetuningConfig,
    output: str | Path,
    work_root: str | Path | None = None,
    albert_config: str | Path | None = None,
    vocab: str | Path | None = None,
    lower_case: bool | None = None,
    strip_accents: bool | None = None,
    tracking: TrackingConfig = NO_TRACKING,
    progress: ReportProgress = quiet,
) -> Manifest:
    """Fine-tune and publish the model with the best dev score, by the task's first metric.

    With a grid, it is the best of the trainings with the settings whose mean over the seeds is the
    best. A killed run is continued. If `output` already holds this work, nothing is run. A process
    that another one leads, as its environment says, trains along, publishes nothing, and waits
    until the leader has.

    Args:
        task: The task.
        data: Folder of its files, local, gs:// or s3://.
        pretrained: A checkpoint of any kind that `albert convert` knows, local, gs:// or s3://.
        initialization: `pretrained`, or `random` weights of the same architecture.
        config: How to train: the settings of this task, see `FinetuningConfig.for_task`.
        output: Folder to make, local, gs:// or s3://.
        work_root: Folder of the work folders, and of the features that trainings share; when not
            given, work is done beside `output` and no features are shared.
        albert_config: The albert_config.json of a TensorFlow 1 checkpoint without one beside it.
        vocab: Vocabulary of the checkpoint, if not the one beside it.
        lower_case: Whether that vocabulary is for lower-cased text, if not as the files say.
        strip_accents: Whether it is for text without accents, if not as the files say.
        tracking: Where the training is tracked; as this process's environment says when off.
        progress: Receives the number of steps done.

    Returns:
        The manifest of `output`, with the metrics of `run_finetuning`.

    Raises:
        InputError: An input is missing or unusable, or `output` holds something else.
        StepFailedError: A training was interrupted or diverged, and its checkpoint is left; or
            another process has taken over this work, or a process that is led waited in vain for
            its leader.
        ServiceError: The storage failed.
    """
    config = dataclasses.replace(config, pooling=config.pooling_of(task))
    places = {"pretrained": pretrained, "data": data}
    pretrained, data = input_folder(pretrained), input_folder(data)
    checkpoint = read_checkpoint(
        pretrained,
        config=albert_config,
        vocab=vocab,
        lower_case=lower_case,
        strip_accents=strip_accents,
    )
    step = TrackedStep(
        name="finetune",
        title=task_step_name("finetune", task.name, initialization),
        settings={
            "task": task.name,
            "initialization": initialization,
            "finetuning": recorded_settings(config),
        },
        inputs={
            "pretrained": checkpoint.content_hash(),
            "data": task_fingerprint(task, data),
        },
        places=places,
        output=output,
        work_root=work_root,
        tracking=tracking,
        progress=progress,
    )
    shared_features = local_work_root(work_root) / "features" if work_root else None
    is_random = initialization == "random"  # then no position was trained, and none is worse

    def write_model(results: Path, checkpoints: Path) -> Metrics:
        """Train, write the model into `results` and return its metrics; called by `run_step`.

        Features are cached below the work root, or without one in the folder of the checkpoints.
        Inputs beyond the trained length are looked for only with pretrained weights.
        """
        from albert_core.finetuning.program import run_finetuning

        with step.tracked(checkpoints) as tracker:
            metrics = run_finetuning(
                task=task,
                data=data,
                pretrained=checkpoint,
                initialization=initialization,
                config=config,
                results=results,
                checkpoints=checkpoints,
                work=step.work,
                feature_cache=shared_features or checkpoints / "features",
                trained_length=None if is_random else find_trained_length(pretrained),
                progress=progress,
                track=tracker.log_row,
            )
            tracker.log_scores(metrics)
        return metrics

    return step.run(write_model)


def recorded_settings(config: FinetuningConfig) -> dict[str, Any]:
    """Return the settings, by name, for the manifest and the fingerprint of the work.

    Settings that earlier versions did not have are left out where they have the value that those
    versions had in effect, so that the fingerprint of their work stays the same. Of the optimizer's
    settings, `without_unchanged` leaves some out.
    """
    settings = without_unchanged(dataclasses.asdict(config))
    return {
        name: value
        for name, value in settings.items()
        if name not in _ADDED_SETTINGS or value != _ADDED_SETTINGS[name]
    }
