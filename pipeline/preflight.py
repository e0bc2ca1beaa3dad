"""What is checked before a run starts, so that bad input costs nothing."""

import dataclasses
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from albert_core.corpus import check_corpus, corpus_fingerprint, find_corpus_files
from albert_core.corpus.cleaning import CleaningConfig
from albert_core.corpus.overlap import OverlapIndex
from albert_core.errors import InputError
from albert_core.finetuning.config import Initialization
from albert_core.storage import find_files
from albert_core.tasks import (
    TASKS,
    Flaws,
    Task,
    find_task,
    read_examples,
    read_questions,
    task_fingerprint,
)
from albert_core.tasks.reading import SPLITS
from components.finetune.job import TaskJob
from components.image import image_name
from pipeline.config import RunConfig, plain_values, to_values

_SECTIONS = ("cleaning", "vocab", "beam", "model", "pretraining")


def pipeline_arguments(config: RunConfig, *, work_root: str | Path) -> dict[str, Any]:
    """Check every input of a run and return the pipeline's arguments.

    Raises:
        InputError: The corpus or a task's data is missing or unusable.
    """
    corpus = dataclasses.replace(
        config.corpus, files=tuple(file.path for file in find_corpus_files(config.corpus))
    )
    check_corpus(corpus)
    cleaning = _with_absolute_files(config.cleaning)
    beam = config.beam
    if "ALBERT_REGISTRY" in os.environ:
        beam = beam.with_worker_image(image_name("data"))
    values = to_values(dataclasses.replace(config, corpus=corpus, cleaning=cleaning, beam=beam))
    return {
        "title": config.title,
        "corpus": values["corpus"],
        "corpus_fingerprint": corpus_fingerprint(corpus),
        **{name: values[name] for name in _SECTIONS},
        "records": [plain_values(dataclasses.asdict(job)) for job in config.records_jobs()],
        "jobs": [job.to_values() for job in task_jobs(config)],
        "work_root": str(work_root),
    }


def _with_absolute_files(cleaning: CleaningConfig) -> CleaningConfig:
    """Name the evaluation files one by one, having read each."""
    OverlapIndex.build(cleaning.evaluation_sets, ngram=cleaning.overlap_ngram)
    files = {
        name: tuple(file.path for pattern in patterns for file in find_files(pattern))
        for name, patterns in cleaning.evaluation_sets.items()
    }
    return dataclasses.replace(cleaning, evaluation_sets=files)


def task_jobs(config: RunConfig) -> list[TaskJob]:
    """Return the run's fine-tunings, having read every task's files once.

    Raises:
        InputError: No task is named, or a task or a file of it is missing or wrong.
    """
    if not config.tasks:
        raise InputError(
            "tasks: got none; expected one or more, for example --tasks cola,sst-2 (to pretrain "
            "only, use `albert pretrain`)"
        )
    if not config.data_dir:
        raise InputError("data_dir: got nothing; expected the folder of the tasks' folders")
    tasks = [find_task(name, config.data_dir) for name in config.tasks]
    _refuse_unknown_exceptions(config, [task.name for task, _ in tasks])
    initializations: list[Initialization] = ["pretrained"]
    if config.random_weights_baseline:
        initializations.append("random")
    return [
        job
        for task, folder in tasks
        for job in _jobs_of_task(task, folder, config, initializations)
    ]


def _refuse_unknown_exceptions(config: RunConfig, tasks: Iterable[str]) -> None:
    """Refuse settings for a task that neither exists nor runs: a misspelt name does nothing."""
    if unknown := sorted(config.finetuning.per_task.keys() - TASKS.keys() - set(tasks)):
        raise InputError(
            f"finetuning.per_task: got {', '.join(unknown)}, expected names of tasks: "
            f"{', '.join(dict.fromkeys([*TASKS, *tasks]))}"
        )


def _jobs_of_task(
    task: Task, folder: Path, config: RunConfig, initializations: list[Initialization]
) -> list[TaskJob]:
    finetuning = config.finetuning.for_task(task)
    _read_all(task, folder, leaves_out=finetuning.leaves_out(task))
    data_fingerprint = task_fingerprint(task, folder)
    return [
        TaskJob(
            task=task,
            data=str(folder.absolute()),
            data_fingerprint=data_fingerprint,
            initialization=initialization,
            finetuning=finetuning,
        )
        for initialization in initializations
    ]


def _read_all(task: Task, folder: Path, *, leaves_out: bool) -> None:
    read = read_questions if task.kind == "question_answering" else read_examples
    for split in SPLITS:
        flaws = Flaws("leave_out" if leaves_out and split == "train" else "refuse")
        read(task, folder, split, flaws=flaws)
