"""What is checked before a run starts, so that bad input costs nothing; the pipeline's arguments.

The files of a run are seen through an `InputView`: `pipeline.local.inputs` reads all of them on
this machine, `pipeline.remote.inputs` looks at the listings of buckets.
"""

import dataclasses
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Protocol

from albert_core.checkpoints.trained_length import (
    find_trained_length,
    warn_of_untrained_positions,
)
from albert_core.errors import InputError
from albert_core.exports.formats import FORMATS, common_poolings
from albert_core.finetuning.config import EVERY_TASK, Initialization
from albert_core.finetuning.unused_dropout import refuse_unused_dropout
from albert_core.pooling import POOLINGS
from albert_core.storage import is_remote
from albert_core.tasks import TASKS, Task, expand_groups
from albert_core.tokenization import Tokenizer
from components.checkpoint.config import CheckpointConfig
from components.finetune.job import TaskJob
from components.promote.model_registry import AcceptedModel
from pipeline.config import RunConfig, plain_values, to_values

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


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunStart:
    """The inputs that a run starts from.

    Attributes:
        config: The run as its steps get it: addresses that are valid where they run, and the date
            in place of its placeholder where it is known.
        date: Date of a dated run, or what a schedule passes for it; else `NO_DATE`.
        corpus_fingerprint: Hash of the text; `unknown` where the text was not read.
        accepted: The model that the run goes on from; None if there is none, or if a step finds it
            out later.
        tokenizer: The vocabulary; None if it is to be trained, or was not read.
    """

    config: RunConfig
    date: str
    corpus_fingerprint: str
    accepted: AcceptedModel | None = None
    tokenizer: Tokenizer | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class CheckpointStart:
    """The checkpoint that a run starts from.

    Attributes:
        config: It by addresses that are valid where the steps run.
        fingerprint: Hash of the model; `unknown` where it was not read.
        max_length: Longest sequence that it reads, in tokens; None where it was not read.
        trained_length: Longest sequence that it was pretrained on; None where nothing tells it.
        tokenizer: Its vocabulary; None where it was not read.
    """

    config: CheckpointConfig
    fingerprint: str
    max_length: int | None = None
    trained_length: int | None = None
    tokenizer: Tokenizer | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class TaskFiles:
    """A task and its files.

    Attributes:
        task: Its declaration.
        folder: Address of the folder of its files.
        fingerprint: Hash of declaration and files; `unknown` where they were not read.
    """

    task: Task
    folder: str
    fingerprint: str


class InputView(Protocol):
    """A way to look at the files of a run.

    Its methods raise InputError for unusable files, and ServiceError where a storage fails.
    """

    def find_start(self, config: RunConfig) -> RunStart:
        """Check the inputs of a run from text, as far as they are seen, but those of its tasks.

        Returns:
            The inputs, with the configuration that takes the place of `config`.
        """

    def find_checkpoint(self, config: RunConfig) -> CheckpointStart:
        """Check the checkpoint of a run from one, as far as seen, and return it."""

    def find_task(self, name: str, config: RunConfig, tokenizer: Tokenizer | None) -> TaskFiles:
        """Check the files of one of the run's tasks, as far as seen, and return where they are.

        `tokenizer` is the run's vocabulary, where it is known.
        """


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
    jobs = _find_jobs(config, inputs, start.tokenizer)
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
    jobs = _find_jobs(config, inputs, start.tokenizer)
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
    """Refuse settings of pretraining that do not fit the lengths of a run's records.

    Raises:
        InputError: The tokens are too few for the warm-up, or offsets of positions do nothing or
            reach beyond the model's.
    """
    pretraining, length = config.pretraining, config.records.sequence_length
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


def _find_jobs(config: RunConfig, inputs: InputView, tokenizer: Tokenizer | None) -> list[TaskJob]:
    """Return the fine-tunings of all tasks of a run, once everything about tasks is checked.

    They are in the order of `config.tasks`, groups expanded. `tokenizer` is the run's vocabulary,
    where it is known. Tasks whose pooling the export formats change are named on standard error.

    Raises:
        InputError: Data of tasks is missing or unusable, with one message about all of them; two
            tasks have one name; a setting is for a task that does not exist, or for a head without
            it; or an export format cannot hold a head.
        ServiceError: A storage failed: that ends the check at once.
    """
    files: list[TaskFiles] = []
    errors: list[InputError] = []
    names = expand_groups(config.tasks)
    for name in names:
        try:
            files.append(inputs.find_task(name, config, tokenizer))
        except InputError as error:
            errors.append(error)
    if len(errors) == 1:
        raise errors[0]
    if errors:
        messages = dict.fromkeys(map(str, errors))  # a missing data_dir is one mistake
        raise InputError("; ".join(messages))
    _refuse_equal_names(names, [task_files.task.name for task_files in files])
    _refuse_settings_of_unknown_tasks(config, [task_files.task.name for task_files in files])
    refuse_unused_dropout(config.finetuning, [task_files.task for task_files in files])
    jobs = [job for task_files in files for job in _task_jobs(task_files, config)]
    _refuse_impossible_exports(config, jobs)
    _name_changed_poolings(config, jobs)
    return jobs


def _task_jobs(files: TaskFiles, config: RunConfig) -> Iterable[TaskJob]:
    """Yield the fine-tunings of a task, with the task's own settings.

    The first is from the pretrained weights; one from random weights follows if
    `random_weights_baseline` is set. A pooling of `auto` becomes one that the run's export formats
    hold.

    Raises:
        InputError: The task's settings are impossible together, or it cannot have the pooling.
    """
    poolings = common_poolings(config.export.formats)
    initializations: list[Initialization] = ["pretrained"]
    if config.random_weights_baseline:
        initializations.append("random")
    for initialization in initializations:
        yield TaskJob(
            task=files.task,
            data=files.folder,
            data_fingerprint=files.fingerprint,
            initialization=initialization,
            finetuning=config.finetuning.for_task(files.task, poolings=poolings),
        )


def _name_changed_poolings(config: RunConfig, jobs: Iterable[TaskJob]) -> None:
    """Print a line about tasks whose head has the pooler for the sake of the export formats.

    On standard error; nothing if there are none.
    """
    changed = {
        job.task.name
        for job in jobs
        if job.finetuning.pooling != config.finetuning.for_task(job.task).pooling
    }
    if changed:
        formats = [
            name for name in config.export.formats if FORMATS[name].poolings < frozenset(POOLINGS)
        ]
        print(
            f"finetuning.pooling: pooler for {', '.join(sorted(changed))}, since of export.formats "
            f"{', '.join(formats)} can hold no other head; without it the scores may be better",
            file=sys.stderr,
        )


def _refuse_equal_names(given: Sequence[str], tasks: Sequence[str]) -> None:
    """Refuse two tasks of one name: results, scores and exports go by it.

    Args:
        given: The tasks as the run's configuration names them.
        tasks: Their declared names, in the same order.

    Raises:
        InputError: Two tasks have one name; both addresses are named.
    """
    by_name: dict[str, str] = {}
    for address, name in zip(given, tasks, strict=True):
        if name in by_name:
            raise InputError(
                f"tasks: got {by_name[name]} and {address}, both named {name}, expected different "
                "names; change `name` in one task.yaml"
            )
        by_name[name] = address


def _refuse_settings_of_unknown_tasks(config: RunConfig, tasks: Sequence[str]) -> None:
    """Refuse settings for a task that is neither built in nor one of the run's.

    A misspelt name would otherwise do nothing. Settings for a built-in task that does not run, or
    for EVERY_TASK, are allowed.

    Args:
        config: The run, with `finetuning.per_task` and `export.thresholds`.
        tasks: Names of the run's tasks.

    Raises:
        InputError: A name is no task's; the message has all that are possible.
    """
    settings = {
        "finetuning.per_task": config.finetuning.per_task,
        "export.thresholds": config.export.thresholds,
    }
    for setting, by_task in settings.items():
        if unknown := sorted(set(by_task) - TASKS.keys() - {*tasks, EVERY_TASK}):
            raise InputError(
                f"{setting}: got {', '.join(unknown)}, expected names of tasks: "
                f"{', '.join(dict.fromkeys([*TASKS, *tasks]))}"
            )


def _refuse_impossible_exports(config: RunConfig, jobs: Sequence[TaskJob]) -> None:
    """Refuse a format without a counterpart for a task's head before models are trained.

    Raises:
        InputError: A format of `config.export.formats` cannot hold the pooling of a task's head, a
            head that tags words, or one for questions that may have no answer.
    """
    tagging = [job.task.name for job in jobs if job.task.kind == "token_classification"]
    unanswerable = dict.fromkeys(job.task.name for job in jobs if job.task.has_unanswerable)
    for name in config.export.formats:
        for job in jobs:
            pooling = job.finetuning.pooling_of(job.task)
            if pooling not in FORMATS[name].poolings:
                raise InputError(
                    f"export.formats: got {name} with finetuning.pooling {pooling} of "
                    f"{job.task.name}, expected pooler, since {FORMATS[name].title} has no "
                    "counterpart of other heads; set finetuning.pooling to auto or pooler, or "
                    "leave the format out"
                )
        if tagging and "token_classifier" in FORMATS[name].unsupported_heads:
            raise InputError(
                f"export.formats: got {name} with {', '.join(dict.fromkeys(tagging))}, expected "
                f"other formats, such as huggingface, since {FORMATS[name].title} has no "
                "counterpart of the head that tags words"
            )
        if unanswerable and "span_beam" in FORMATS[name].unsupported_heads:
            raise InputError(
                f"export.formats: got {name} with {', '.join(unanswerable)}, expected other "
                f"formats, since {FORMATS[name].title} has no counterpart of the head for "
                "questions without an answer"
            )
