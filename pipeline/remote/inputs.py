"""The inputs of a run on a cluster, which are in buckets: looked for, and as parameters."""

import dataclasses
import fnmatch
from collections.abc import Iterator, Sequence
from typing import Any

from albert_core.corpus import corpus_fingerprint, find_corpus_files
from albert_core.errors import InputError
from albert_core.files import hash_json
from albert_core.finetuning.config import Initialization
from albert_core.storage import content_hash, find_files, is_remote, join
from albert_core.tasks import TASKS, Task
from albert_core.tasks.reading import SPLITS
from albert_core.tasks.registry import DECLARATION_NAME, candidate_folders, read_task_file
from components.finetune.job import TaskJob
from components.image import image_name
from components.resolve.dates import has_date
from pipeline.config import RunConfig, plain_values, to_values

UNKNOWN = "unknown"
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

Listing = Sequence[str]
"""Addresses of all files below `data_dir`."""


def refuse_local_inputs(config: RunConfig, work_root: str) -> None:
    """Refuse inputs that other machines do not reach.

    Raises:
        InputError: One is on this machine, or not named at all.
    """
    for name, address in _addresses(config, work_root):
        if not address or not is_remote(address):
            raise InputError(
                f"{name}: got {address or 'nothing'}, expected an address such as "
                "gs://bucket/folder: the steps run on other machines; copy it there (`gcloud "
                "storage cp`)"
            )
    if not config.tasks:
        raise InputError("tasks: got none; expected one or more, for example --tasks cola,sst-2")


def _addresses(config: RunConfig, work_root: str) -> Iterator[tuple[str, str]]:
    yield "--work_root", work_root
    yield from (("corpus.files", pattern) for pattern in config.corpus.files or ("",))
    for name, patterns in config.cleaning.evaluation_sets.items():
        yield from ((f"cleaning.evaluation_sets.{name}", pattern) for pattern in patterns)
    yield "data_dir", config.data_dir
    if config.pretraining.init_checkpoint:
        yield "pretraining.init_checkpoint", config.pretraining.init_checkpoint
    if config.vocab.source:
        yield "vocab.source", config.vocab.source
    if config.retraining.accepted:
        yield "retraining.accepted", config.retraining.accepted
    if config.beam.shared_folder:
        yield "beam.shared_folder", config.beam.shared_folder


def look_at_inputs(config: RunConfig) -> Listing:
    """Return the files of the tasks, having looked whether all inputs are there.

    Raises:
        NoAccessError: A bucket cannot be read from here.
        InputError: An input is missing.
    """
    if not has_date(config.corpus.files):
        find_corpus_files(config.corpus)
    for patterns in config.cleaning.evaluation_sets.values():
        for pattern in patterns:
            find_files(pattern)
    return [file.path for file in find_files(config.data_dir)]


def remote_arguments(
    config: RunConfig,
    *,
    work_root: str,
    date: str,
    listing: Listing | None,
    with_hashes: bool,
) -> dict[str, Any]:
    """Return the pipeline's arguments.

    Args:
        config: The run.
        work_root: Folder of work in progress.
        date: What a schedule passes as the date of a dated run.
        listing: What `look_at_inputs` found; None if the buckets cannot be read from here. Tasks
            then are in the first folder that they may be in.
        with_hashes: Whether hashes of the inputs are among the arguments.

    Raises:
        InputError: A task or a file of it is missing.
    """
    beam = config.beam.with_worker_image(image_name("data"))
    values = to_values(dataclasses.replace(config, beam=beam))
    jobs = [
        job
        for name in config.tasks
        for job in _jobs_of_task(name, config, listing, with_hashes=with_hashes)
    ]
    hashes_text = with_hashes and not config.is_dated
    return {
        "title": config.title,
        "date": date,
        "corpus_fingerprint": corpus_fingerprint(config.corpus) if hashes_text else UNKNOWN,
        "accepted": {},
        **{name: values[name] for name in _SECTIONS},
        "records": [plain_values(dataclasses.asdict(job)) for job in config.records_jobs()],
        "jobs": [job.to_values() for job in jobs],
        "work_root": work_root,
    }


def _jobs_of_task(
    name: str, config: RunConfig, listing: Listing | None, *, with_hashes: bool
) -> list[TaskJob]:
    task = _declared(name, config.data_dir)
    folder = join(config.data_dir, candidate_folders(task)[0])
    data_fingerprint = UNKNOWN
    if listing is not None:
        folder, files = _find_files(task, config.data_dir, listing)
        if with_hashes:
            hashes = {file: content_hash(file) for file in files}
            data_fingerprint = hash_json({"task": dataclasses.asdict(task), "files": hashes})
    initializations: list[Initialization] = ["pretrained"]
    if config.random_weights_baseline:
        initializations.append("random")
    return [
        TaskJob(
            task=task,
            data=folder,
            data_fingerprint=data_fingerprint,
            initialization=initialization,
            finetuning=config.finetuning.for_task(task),
        )
        for initialization in initializations
    ]


def _declared(name: str, data_dir: str) -> Task:
    """Return a task: a known one, of a file on this machine, or of its folder in the bucket."""
    if name in TASKS:
        return TASKS[name]
    is_file = name.endswith((".yaml", ".yml"))
    return read_task_file(name if is_file else join(join(data_dir, name), DECLARATION_NAME))


def _find_files(task: Task, data_dir: str, listing: Listing) -> tuple[str, list[str]]:
    """Return the first of a task's folders that has its dev set, and all its files there."""
    for name in candidate_folders(task):
        folder = data_dir.rstrip("/") if name == "." else join(data_dir, name)
        if any(_matching(folder, source.file, listing) for source in task.dev):
            break
    else:
        raise InputError(
            f"task {task.name}: no {task.dev[0].file} in {data_dir} or below it in "
            f"{' or '.join(n for n in candidate_folders(task) if n != '.')}; expected the "
            "task's dev set"
        )
    files = []
    for split in SPLITS:
        for source in task.sources(split):
            found = _matching(folder, source.file, listing)
            if not found and split != "test" and not source.is_optional:
                raise InputError(
                    f"task {task.name}: no file {join(folder, source.file)}; expected the task's "
                    f"{split} set"
                )
            files += found
    return folder, files


def _matching(folder: str, pattern: str, listing: Listing) -> list[str]:
    return fnmatch.filter(listing, join(folder, pattern))
