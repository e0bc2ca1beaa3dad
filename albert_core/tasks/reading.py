"""Reading the files of a task, whatever their format."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

from albert_core.errors import InputError
from albert_core.files import hash_json, sha256_of_file
from albert_core.tasks.examples import Example, Flaws, Question
from albert_core.tasks.race_file import read_race
from albert_core.tasks.squad_file import read_squad
from albert_core.tasks.tables import read_table
from albert_core.tasks.task import Source, Split, Task

SPLITS: tuple[Split, ...] = ("train", "dev", "test")


def task_fingerprint(task: Task, folder: Path) -> str:
    """Return a hash of the declaration and of the bytes of the files it names.

    Raises:
        InputError: A training or development file is missing.
    """
    hashes = {
        f"{source.file} {path.name}": sha256_of_file(path)
        for split in SPLITS
        for source in task.sources(split)
        for path in files_of(task, source, folder, split)
    }
    return hash_json({"task": dataclasses.asdict(task), "files": hashes})


def files_of(task: Task, source: Source, folder: Path, split: Split) -> list[Path]:
    """Return the files that a source stands for, in order; none if it may be missing and is.

    Raises:
        InputError: There is none, and it is needed: of all but test files one must be there.
    """
    found = existing_files(source, folder)
    if not found and not source.is_optional and split != "test":
        raise InputError(
            f"task {task.name}: no file {folder / source.file}; expected the task's {split} set"
        )
    return found


def existing_files(source: Source, folder: Path) -> list[Path]:
    """Return the files that a source stands for and that are there, in order."""
    paths = sorted(folder.glob(source.file)) if "*" in source.file else [folder / source.file]
    return [path for path in paths if path.is_file()]


def read_examples(
    task: Task, folder: Path, split: Split, *, flaws: Flaws | None = None
) -> list[Example]:
    """Return all examples of a split, in the order of its files and their rows.

    Args:
        task: A task of texts: classification, regression or multiple choice.
        folder: Folder of its files.
        split: Which files.
        flaws: Receives rows that cannot be used; without it they are refused.

    Raises:
        InputError: A file is missing or not UTF-8, or a row is short or has an unknown label; the
            message names file and line.
    """
    return list(_read(task, folder, split, flaws or Flaws()))


def read_questions(
    task: Task, folder: Path, split: Split, *, flaws: Flaws | None = None
) -> list[Question]:
    """Return all questions of a split of a question-answering task; as `read_examples`."""
    return list(_read(task, folder, split, flaws or Flaws()))


def _read(task: Task, folder: Path, split: Split, flaws: Flaws) -> Iterator:
    is_empty = True
    for source in task.sources(split):
        for path in files_of(task, source, folder, split):
            for example in _read_file(task, source, path, split, flaws):
                is_empty = False
                yield example
    if is_empty and split != "test":
        file = folder / task.sources(split)[0].file
        raise InputError(f"{file}: no rows; expected the task's {split} set")


def _read_file(
    task: Task, source: Source, path: Path, split: Split, flaws: Flaws
) -> Iterator[Example] | Iterator[Question]:
    trains = split == "train"
    file_format = task.format_of(source)
    if file_format == "squad":
        return read_squad(task, source, path, trains=trains, flaws=flaws)
    if file_format == "race":
        return read_race(source, path)
    return read_table(task, source, path, checks_texts=trains, flaws=flaws)
