"""What is checked before a run starts, so that bad input costs nothing."""

import dataclasses
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from albert_core.corpus import CorpusConfig, check_corpus, corpus_fingerprint, find_corpus_files
from albert_core.corpus.cleaning import CleaningConfig
from albert_core.corpus.overlap import OverlapIndex
from albert_core.errors import InputError
from albert_core.exports.formats import FORMATS
from albert_core.finetuning.config import Initialization
from albert_core.storage import find_files, is_remote
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
from components.promote.model_registry import AcceptedModel
from components.resolve.dates import (
    DATE_PLACEHOLDER,
    NO_DATE,
)
from components.resolve.step import resolve
from pipeline.config import RunConfig, plain_values, to_values

_SECTIONS = ("cleaning", "vocab", "beam", "model", "pretraining", "export", "retraining")


def pipeline_arguments(
    config: RunConfig, *, work_root: str | Path, date: str = NO_DATE
) -> dict[str, Any]:
    """Check every input of a run and return the pipeline's arguments.

    Args:
        config: The run.
        work_root: Folder of work in progress.
        date: Date of a dated run.

    Raises:
        InputError: The corpus or a task's data is missing or unusable, or the date is, or the
            accepted model is gone.
    """
    start = _start(_for_other_places(config), date)
    values = to_values(start.config)
    return {
        "title": start.config.title,
        "date": date,
        "corpus": values["corpus"],
        "corpus_fingerprint": start.corpus_fingerprint,
        **{name: values[name] for name in _SECTIONS},
        "accepted": plain_values(dataclasses.asdict(start.accepted)) if start.accepted else {},
        "records": [plain_values(dataclasses.asdict(job)) for job in config.records_jobs()],
        "jobs": [job.to_values() for job in task_jobs(config)],
        "work_root": str(work_root),
    }


@dataclasses.dataclass(frozen=True)
class _Start:
    """What a run starts from: settings with its date in them, its text, the accepted model."""

    config: RunConfig
    corpus_fingerprint: str
    accepted: AcceptedModel | None = None


def _start(config: RunConfig, date: str) -> _Start:
    if not config.is_dated:
        return _undated_start(config, date)
    found = resolve(
        date=date,
        title=config.title,
        corpus=config.corpus,
        vocab=config.vocab,
        pretraining=config.pretraining,
        retraining=config.retraining,
    )
    dated = dataclasses.replace(
        config,
        title=found.title,
        corpus=_with_files(found.corpus),
        vocab=found.vocab,
        pretraining=found.pretraining,
    )
    return _Start(dated, found.corpus_fingerprint, found.accepted)


def _undated_start(config: RunConfig, date: str) -> _Start:
    if date != NO_DATE:
        raise InputError(
            f"date: got {date}, expected none, since nothing depends on it; put {DATE_PLACEHOLDER} "
            "into corpus.files or title, or set retraining.accepted"
        )
    corpus = _with_files(config.corpus)
    check_corpus(corpus)
    return _Start(dataclasses.replace(config, corpus=corpus), corpus_fingerprint(corpus))


def _with_files(corpus: CorpusConfig) -> CorpusConfig:
    """Name the files one by one."""
    files = tuple(file.path for file in find_corpus_files(corpus))
    return dataclasses.replace(corpus, files=files)


def _for_other_places(config: RunConfig) -> RunConfig:
    """Make addresses absolute, and name the image of Beam's workers: steps may run elsewhere."""
    accepted = config.retraining.accepted
    if accepted and not is_remote(accepted):
        accepted = str(Path(accepted).absolute())
    beam = config.beam
    if "ALBERT_REGISTRY" in os.environ:
        beam = beam.with_worker_image(image_name("data"))
    return dataclasses.replace(
        config,
        beam=beam,
        cleaning=_with_named_files(config.cleaning),
        retraining=dataclasses.replace(config.retraining, accepted=accepted),
    )


def _with_named_files(cleaning: CleaningConfig) -> CleaningConfig:
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
    names = [task.name for task, _ in tasks]
    _refuse_unknown_tasks("finetuning.per_task", config.finetuning.per_task, names)
    _refuse_unknown_tasks("export.thresholds", config.export.thresholds, names)
    _refuse_impossible_exports(config, [task for task, _ in tasks])
    initializations: list[Initialization] = ["pretrained"]
    if config.random_weights_baseline:
        initializations.append("random")
    return [
        job
        for task, folder in tasks
        for job in _jobs_of_task(task, folder, config, initializations)
    ]


def _refuse_unknown_tasks(name: str, settings: Iterable[str], tasks: Sequence[str]) -> None:
    """Refuse settings for a task that neither exists nor runs: a misspelt name does nothing."""
    if unknown := sorted(set(settings) - TASKS.keys() - set(tasks)):
        raise InputError(
            f"{name}: got {', '.join(unknown)}, expected names of tasks: "
            f"{', '.join(dict.fromkeys([*TASKS, *tasks]))}"
        )


def _refuse_impossible_exports(config: RunConfig, tasks: Iterable[Task]) -> None:
    """Refuse a format without a counterpart for a task's head before models are trained."""
    unanswerable = [task.name for task in tasks if task.has_unanswerable]
    for name in config.export.formats:
        if unanswerable and "span_beam" in FORMATS[name].unsupported_heads:
            raise InputError(
                f"export.formats: got {name} with {', '.join(unanswerable)}, expected other "
                f"formats, since {FORMATS[name].title} has no counterpart of the head for "
                "questions without an answer"
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
