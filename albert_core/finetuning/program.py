"""Fine-tuning from a pretrained checkpoint to a folder with the best model of all trials."""

import dataclasses
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from albert_core.artifacts.manifest import Metrics
from albert_core.checkpoints import Checkpoint
from albert_core.checkpoints.names import PRETRAINING_HEADS
from albert_core.checkpoints.side_files import TASK_NAME, TRIALS_NAME
from albert_core.checkpoints.trained_length import TRAINED_LENGTH, warn_of_untrained_positions
from albert_core.checkpoints.vocabulary import require_tokenizer
from albert_core.config import CONFIG_NAME, WEIGHTS_NAME
from albert_core.files.atomic import write_json
from albert_core.finetuning.baseline import baseline_score
from albert_core.finetuning.compute import choose_finetuning_compute
from albert_core.finetuning.config import FinetuningConfig, Initialization
from albert_core.finetuning.frozen_probe import can_probe, probe_frozen_encoder
from albert_core.finetuning.models import tuned_architecture
from albert_core.finetuning.probe_results import PROBE_NAME, probe_metrics
from albert_core.finetuning.task_preprocessor import TaskData, TaskPreprocessor, make_preprocessor
from albert_core.finetuning.trials import Trial, TrialTrainer, trials_of_best_settings
from albert_core.finetuning.truncation import count_truncated, describe_truncation
from albert_core.progress import ReportProgress, quiet, report_message
from albert_core.tasks import Task
from albert_core.tasks.description import describe_files
from albert_core.tracking.step import TrackRow, untracked
from albert_core.training.best_weights import copy_best
from albert_core.training.devices import use_devices, use_precision
from albert_core.training.history import write_history
from albert_core.training.log import LOG_NAME


def run_finetuning(
    *,
    task: Task,
    data: Path,
    pretrained: Checkpoint,
    initialization: Initialization,
    config: FinetuningConfig,
    results: Path,
    checkpoints: Path,
    work: str,
    feature_cache: Path,
    trained_length: int | None = None,
    progress: ReportProgress = quiet,
    track: TrackRow = untracked,
) -> Metrics:
    """Train every trial on the devices of the strategy; write the best model into `results`.

    The settings of the grid with the best mean of the first dev metric are chosen, and of their
    trainings the one whose seed has the highest. Sets the seed of all random states, and Keras's
    dtype policy, which is float32 afterwards. With several processes, only the first writes the
    model and the files that belong to it.

    A model that was pretrained is probed as it was before, too, see `probe_frozen_encoder`: after
    the model is written, and by every process, each of which writes frozen_probe.json.

    Args:
        task: The task.
        data: Folder of its files.
        pretrained: The model to start from, with its vocabulary.
        initialization: `pretrained`, or `random` weights of the same architecture, as a baseline.
        config: How to train: the settings of this task, see `FinetuningConfig.for_task`, with
            another `pooling` than `auto`.
        results: Folder that exists; receives configuration, weights, vocabulary, task.json,
            metrics.jsonl, training_log.jsonl, trials.json, and frozen_probe.json of a pretrained
            model.
        checkpoints: Folder that exists; keeps the checkpoints: a killed run continues from the
            newest.
        work: What is trained: settings and inputs. Checkpoints of other work are not taken up.
        feature_cache: Keeps the training set's features, which other trainings with the same data,
            vocabulary and lengths read; made if it is missing.
        trained_length: Longest sequences that the model was pretrained on, in tokens, for a
            warning; None where it is not known.
        progress: Receives the number of steps done.
        track: Called with the rows of the logs and the evaluations; with several trials, names
            begin with the trial's name.

    Returns:
        The best dev metrics, with several seeds also mean and sample standard deviation; the step,
        rate, batch size and seed of the best model, and of a training by minutes its steps and its
        warm-up; `majority_score` of a baseline that needs no model; the scores of the frozen probe;
        the sizes of both sets; in words the files that they are from; `training_precision` and
        `training_jit_compile`; training examples that lost tokens, see `count_truncated`; training
        rows left out, by cause; `strategy`, the devices in words, if they are several.

    Raises:
        InputError: The checkpoint, its vocabulary or the task's files cannot be used, or
            `sequence_length` is more than the model reads.
        StepFailedError: A training was interrupted or diverged; its checkpoint is left.
    """
    checkpoint = pretrained.with_pooler()
    for note in (*checkpoint.notes, *_describe_left_out(checkpoint, task)):
        report_message(progress, note)
    if warning := warn_of_untrained_positions([task.name], config.sequence_length, trained_length):
        report_message(progress, f"warning: {warning}")
    tokenizer = require_tokenizer(checkpoint)
    model_config = tuned_architecture(checkpoint.config, config)
    if config.recipe == "original" and not task.recipe.settings():
        report_message(
            progress, f"the original has no recipe for {task.name}: the settings stay as they are"
        )
    with use_devices(
        config.strategy, model_parallel_size=config.model_parallel_size, prefix="finetuning."
    ) as devices:
        if devices.num_devices > 1:
            report_message(progress, f"training: {devices}")
        preprocessor = make_preprocessor(task, config, tokenizer, feature_cache)
        files = describe_files(task, data)
        report_message(progress, f"{task.name}: {files}")
        train, dev = _read_data(preprocessor, data, progress)
        configs = config.trials(num_examples=len(train.examples))
        trainer = TrialTrainer(
            preprocessor=preprocessor,
            model_config=model_config,
            weights=checkpoint.weights if initialization == "pretrained" else {},
            train=train,
            dev=dev,
            checkpoints=checkpoints,
            work=work,
            progress=progress,
            devices=devices,
            track=track,
            is_only_trial=len(configs) == 1,
        )
        compute = choose_finetuning_compute(trainer, configs)
        with use_precision(compute.precision):
            trials = [
                trainer.run(dataclasses.replace(trial_config, **compute.recorded()))
                for trial_config in configs
            ]
    metric = task.metrics[0]
    seed_trials = trials_of_best_settings(trials, metric)
    chosen = max(seed_trials, key=lambda trial: trial.best_metrics[metric])
    if devices.is_chief:
        _write_results(results, trainer, trials, chosen)
    # In every process: those that only waited for the first one would give up before it ends.
    probe_scores = _probe(trainer, checkpoint, results)
    return {
        **_dev_metrics(seed_trials, chosen, task),
        "majority_score": round(baseline_score(preprocessor, train, dev), 4),
        **probe_scores,
        "num_train": len(train.examples),
        "num_dev": len(dev.examples),
        "data_files": files,
        "training_precision": compute.precision,
        "training_jit_compile": compute.jit_compile,
        **_count_shortcomings(train, trained_length),
        **({"strategy": str(devices)} if devices.num_devices > 1 else {}),
    }


def _read_data(
    preprocessor: TaskPreprocessor, data: Path, progress: ReportProgress
) -> tuple[TaskData, TaskData]:
    """Return the training set and the dev set, and report if many examples are cut.

    Raises:
        InputError: A file is missing or unusable.
    """
    report_message(progress, "making features")
    train, dev = preprocessor.read(data, "train"), preprocessor.read(data, "dev")
    if note := describe_truncation(train.features, "training"):
        report_message(progress, f"{preprocessor.task.name}: {note}")
    return train, dev


def _probe(trainer: TrialTrainer, checkpoint: Checkpoint, results: Path) -> dict[str, float]:
    """Write the frozen probe of a pretrained model into `results`; return its metrics.

    Nothing is done and the result empty for random weights, for a task that has no probe, or where
    the settings want none.

    Args:
        trainer: What the model was trained by; tells the task, its data and the weights.
        checkpoint: The model before fine-tuning.
        results: Folder that exists.
    """
    preprocessor, train = trainer.preprocessor, trainer.train.examples
    wants_probe = trainer.weights and preprocessor.config.num_probe_examples
    if not wants_probe or not can_probe(preprocessor.task, len(train)):
        return {}
    probe = probe_frozen_encoder(
        task=preprocessor.task,
        config=checkpoint.config,
        weights=trainer.weights,
        tokenizer=preprocessor.tokenizer,
        train=train,
        dev=trainer.dev.examples,
        sequence_length=preprocessor.config.sequence_length,
        num_examples=preprocessor.config.num_probe_examples,
        source=checkpoint.source,
        progress=trainer.progress,
    )
    write_json(results / PROBE_NAME, dataclasses.asdict(probe))
    return probe_metrics(probe)


def _count_shortcomings(train: TaskData, trained_length: int | None) -> dict[str, int]:
    """Return how many training examples are too long, were cut, or were left out, by metric.

    `num_beyond_pretraining` sequences are longer than all of pretraining, which had
    `trained_sequence_length` tokens; both are there only if that is known and there are some.
    Examples that lost tokens are counted as by `count_truncated`, and rows left out by cause.
    """
    counts = {}
    if trained_length is not None:
        num_beyond = int(np.sum(train.features.lengths > trained_length))
        if num_beyond:
            counts = {"num_beyond_pretraining": num_beyond, TRAINED_LENGTH: trained_length}
    return {
        **counts,
        **count_truncated(train.features),
        **{f"num_left_out ({cause})": number for cause, number in train.left_out.items()},
    }


def _describe_left_out(checkpoint: Checkpoint, task: Task) -> tuple[str, ...]:
    """Return a note about the heads that a checkpoint was fine-tuned with before.

    Empty if it has none, or only those of pretraining.
    """
    heads = checkpoint.heads - PRETRAINING_HEADS
    if not heads:
        return ()
    names = f" ({', '.join(checkpoint.label_names)})" if checkpoint.label_names else ""
    return (
        f"left out {', '.join(sorted(heads))}{names} of {checkpoint.source}: the head for "
        f"{task.name} begins anew",
    )


def _dev_metrics(seed_trials: Sequence[Trial], chosen: Trial, task: Task) -> Metrics:
    """Return a trial's dev metrics, step and settings; with several seeds also mean and std.

    For a training by minutes there are also its steps and its warm-up; for several seeds their
    number, as `num_seeds`.

    Args:
        seed_trials: The trials of the best settings, one for each seed; the sample std is over
            these.
        chosen: The one of them whose model is kept.
        task: The task, whose metrics are returned, rounded to 4 decimals.
    """
    metrics: dict[str, Any] = {name: round(chosen.best_metrics[name], 4) for name in task.metrics}
    if len(seed_trials) > 1:
        metrics["num_seeds"] = len(seed_trials)
        for name in task.metrics:
            values = [trial.best_metrics[name] for trial in seed_trials]
            metrics[f"{name}_mean"] = round(float(np.mean(values)), 4)
            metrics[f"{name}_std"] = round(float(np.std(values, ddof=1)), 4)
    return {
        **metrics,
        "global_step": chosen.best_metrics["global_step"],
        "learning_rate": chosen.config.learning_rate,
        "batch_size": chosen.config.batch_size,
        "seed": chosen.config.seed,
        **chosen.settled,
    }


def _write_results(
    results: Path, trainer: TrialTrainer, trials: Sequence[Trial], chosen: Trial
) -> None:
    """Write a trial's model, history and log, the task, and the best metrics of every trial.

    Args:
        results: Folder that exists.
        trainer: What trained them; tells architecture, vocabulary and task, and the folder with a
            folder for each trial, which has its best weights.
        trials: All trials, of all settings.
        chosen: The one whose weights, metrics.jsonl and training_log.jsonl are written.

    Raises:
        StepFailedError: The best weights were damaged since they were written.
    """
    folder = trainer.checkpoints / chosen.name
    trainer.model_config.to_json_file(results / CONFIG_NAME)
    trainer.preprocessor.tokenizer.save(results)
    copy_best(folder, chosen.weights, results / WEIGHTS_NAME)
    shutil.copy(folder / LOG_NAME, results / LOG_NAME)
    write_json(results / TASK_NAME, dataclasses.asdict(trainer.preprocessor.task))
    rows = [
        {"name": trial.name, "seed": trial.config.seed, **trial.settled, **trial.best_metrics}
        for trial in trials
    ]
    write_json(results / TRIALS_NAME, {"chosen": chosen.name, "trials": rows})
    write_history(results, chosen.history)
