"""Checks of a run before it starts, so that bad input costs nothing; the pipeline's arguments."""

import dataclasses
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from albert_core.checkpoints.trained_length import (
    find_trained_length,
    warn_of_untrained_positions,
)
from albert_core.errors import InputError
from albert_core.records.config import MaskingConfig
from albert_core.settings import plain_values
from albert_core.storage import is_remote
from components.finetune.job import TaskJob
from pipeline.config import RunConfig, to_values
from pipeline.input_view import InputView
from pipeline.task_jobs import find_jobs

# The parameters of the pipeline that are sections of the configuration as they are.
_SECTIONS = (
    "corpus",
    "cleaning",
    "vocab",
    "beam",
    "model",
    "pretraining",
    "export",
    "retraining",
)


def pipeline_arguments(
    config: RunConfig, inputs: InputView, *, work_root: str | Path
) -> dict[str, Any]:
    """Check every input of a run and return the pipeline's arguments.

    How much of the files is checked depends on the view. A warning is printed on standard error
    about tasks whose inputs are longer than all sequences of pretraining, where that is known.

    Args:
        config: The run.
        inputs: The view of its files.
        work_root: Folder of work in progress.

    Returns:
        Plain values by the names of the parameters of `pipeline.albert`: those of a run from text,
        or from a checkpoint if it starts from one. `jobs` has one entry for each task and
        initialization, in the order of `config.tasks`, groups expanded; `accepted` is {} where the
        run goes on from no model.

    Raises:
        InputError: There are no tasks, or two of one name; the corpus, the checkpoint or data of
            tasks is missing or unusable (of all tasks that is told at once); a setting is for a
            task that does not exist, asks for longer sequences than the checkpoint reads, or is
            one of pretraining that does not fit the records; an export format cannot hold a task's
            head; the date is wrong; or the accepted model is gone.
        ServiceError: A storage failed.
    """
    if not config.tasks:
        raise InputError(
            "tasks: got none; expected one or more, for example --tasks cola,sst-2 (to pretrain "
            "only, use `albert pretrain`)"
        )
    if config.checkpoint.path:
        return _arguments_from_checkpoint(config, inputs, work_root=work_root)
    _check_pretraining(config)
    start = inputs.find_start(config)
    jobs = find_jobs(config, inputs, start.tokenizer)
    _warn_of_untrained_positions(jobs, _trained_length(start.config))
    values = to_values(start.config)
    return {
        **{name: values[name] for name in _SECTIONS},
        "title": start.config.title,
        "date": start.date,
        "corpus_fingerprint": start.corpus_fingerprint,
        "accepted": plain_values(dataclasses.asdict(start.accepted)) if start.accepted else {},
        "records": [plain_values(dataclasses.asdict(job)) for job in config.records_jobs()],
        "jobs": [job.to_values() for job in jobs],
        "work_root": str(work_root),
    }


def _arguments_from_checkpoint(
    config: RunConfig, inputs: InputView, *, work_root: str | Path
) -> dict[str, Any]:
    """Return the pipeline's arguments for a run from a checkpoint, once all its inputs are checked.

    Warns, on standard error, of tasks whose inputs are longer than what the checkpoint was trained
    on.

    Raises:
        InputError: The checkpoint or data of tasks is missing or unusable, a date is given, a
            setting is for a task that does not exist, an export format cannot hold a task's head,
            two tasks have one name, or a task asks for more tokens than the checkpoint has
            positions, where their number is known.
        ServiceError: A storage failed.
    """
    start = inputs.find_checkpoint(config)
    jobs = find_jobs(config, inputs, start.tokenizer)
    for job in jobs:
        length = job.finetuning.sequence_length
        if start.max_length and length > start.max_length:
            raise InputError(
                f"finetuning.sequence_length for {job.task.name}: got {length}, expected at most "
                f"the {start.max_length} positions of {config.checkpoint.path}; set it, for all "
                "tasks with --finetuning.sequence_length"
            )
    _warn_of_untrained_positions(jobs, start.trained_length)
    return {
        "title": config.title,
        "checkpoint": plain_values(dataclasses.asdict(start.config)),
        "checkpoint_fingerprint": start.fingerprint,
        "jobs": [job.to_values() for job in jobs],
        "export": to_values(config)["export"],
        "work_root": str(work_root),
    }


def _check_pretraining(config: RunConfig) -> None:
    """Refuse settings of pretraining that do not fit a run's records.

    Raises:
        InputError: The tokens are too few for the warm-up, offsets of positions do nothing or reach
            beyond the model's, or static records are to be masked otherwise than they are.
    """
    pretraining, length = config.pretraining, config.records.sequence_length
    static = config.records.static_masking if config.records.format == "static" else None
    if static and pretraining.masking not in (MaskingConfig(), static):
        raise InputError(
            "pretraining.masking: got settings with records.format static, whose records have "
            "their masks already; set records.masking in its place, or records.format compact"
        )
    num_positions = config.model.with_vocabulary(config.vocab.size).max_position_embeddings
    pretraining.check_positions(pretraining.sequence_lengths(default=length), num_positions)
    pretraining.resolved_phases(length)


def _trained_length(config: RunConfig) -> int | None:
    """Return the longest sequences whose positions a run from text will have trained, in tokens.

    The positions of the model that pretraining begins from count, too; None if it does not tell
    them, or is not on this machine.

    Raises:
        InputError: The manifest of that model cannot be read.
    """
    lengths = config.pretraining.sequence_lengths(default=config.records.sequence_length)
    num_positions = config.model.with_vocabulary(config.vocab.size).max_position_embeddings
    trained = config.pretraining.trained_length(lengths, num_positions)
    if start := config.pretraining.init_checkpoint:
        initial = None if is_remote(start) else find_trained_length(start)
        return initial and max(initial, trained)
    return trained


def _warn_of_untrained_positions(jobs: Iterable[TaskJob], trained_length: int | None) -> None:
    """Print a warning on standard error for each sequence length above that of pretraining.

    Only of tasks that start from the pretrained weights. Prints nothing if the length of
    pretraining is not known.
    """
    tasks: dict[int, list[str]] = {}
    for job in jobs:
        if job.initialization == "pretrained":
            tasks.setdefault(job.finetuning.sequence_length, []).append(job.task.name)
    for length, names in tasks.items():
        if warning := warn_of_untrained_positions(names, length, trained_length):
            print(f"warning: {warning}", file=sys.stderr)
