"""The fine-tunings of a run: one job for each task and initialization, once tasks are checked."""

import sys
from collections.abc import Iterable, Sequence

from albert_core.errors import InputError
from albert_core.exports.formats import FORMATS, common_poolings
from albert_core.finetuning.config import EVERY_TASK, Initialization
from albert_core.finetuning.unused_dropout import refuse_unused_dropout
from albert_core.pooling import POOLINGS
from albert_core.settings.checks import check_one_place
from albert_core.tasks import TASKS, expand_groups
from albert_core.tokenization import Tokenizer
from components.finetune.job import TaskJob
from pipeline.config import RunConfig
from pipeline.input_view import InputView, TaskFiles


def find_jobs(config: RunConfig, inputs: InputView, tokenizer: Tokenizer | None) -> list[TaskJob]:
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
    tasks = [task_files.task.name for task_files in files]
    check_one_place(
        "tasks",
        zip(tasks, names, strict=True),  # results, scores and exports go by the name
        shared="named",
        expected="expected different names; change `name` in one task.yaml",
    )
    _refuse_settings_of_unknown_tasks(config, tasks)
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
