"""Reading a task's tab-separated files."""

import dataclasses
import math
from collections.abc import Iterator
from pathlib import Path

from albert_core.errors import InputError
from albert_core.runs.files import fingerprint, sha256_of_file
from albert_core.tasks.task import Split, Task


@dataclasses.dataclass(frozen=True)
class Example:
    """One or two texts and their target: a class number, a score, or None in a test file."""

    texts: tuple[str, ...]
    target: float | None


def task_fingerprint(task: Task, folder: Path) -> str:
    """Return a hash of the declaration and the bytes of the files it names.

    Raises:
        InputError: The training or the development file is missing.
    """
    hashes = {}
    for split in ("train", "dev", "test"):
        path = folder / task.file_of(split)
        if path.is_file():
            hashes[split] = sha256_of_file(path)
        elif split != "test":
            raise InputError(f"task {task.name}: no file {path}; expected the task's {split} set")
    return fingerprint({"task": dataclasses.asdict(task), "files": hashes})


def read_examples(task: Task, folder: Path, split: Split) -> list[Example]:
    """Return all examples of a split, in the order of the file.

    Quotes are ordinary characters. Source: `_read_tsv` of the original's classifier_utils.py.

    Raises:
        InputError: The file is missing or not UTF-8, or a row is short or has an unknown label;
            the message names file and line.
    """
    path = folder / task.file_of(split)
    columns = task.test_text_columns if split == "test" else task.text_columns
    needed = [*columns] if split == "test" else [*columns, task.label_column]
    num_columns = max(column + 1 if column >= 0 else 1 for column in needed)
    examples = []
    for number, row in _rows(path, skip_header=split == "test" or task.has_header):
        if len(row) < num_columns:
            raise InputError(
                f"{path}, line {number}: got {len(row)} columns, expected at least {num_columns} "
                f"for task {task.name}"
            )
        texts = tuple(row[column] for column in columns)
        label = None if split == "test" else row[task.label_column]
        examples.append(Example(texts, _target(label, task, path, number)))
    if not examples:
        raise InputError(f"{path}: no rows; expected the task's {split} set")
    return examples


def _rows(path: Path, *, skip_header: bool) -> Iterator[tuple[int, list[str]]]:
    try:
        text = path.read_bytes().decode("utf-8").removeprefix("\ufeff")
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 at byte {error.start}") from error
    lines = text.rstrip("\n").split("\n")
    for number, line in enumerate(lines, start=1):
        if number > skip_header and line.strip():
            yield number, line.rstrip("\r").split("\t")


def _target(label: str | None, task: Task, path: Path, number: int) -> float | None:
    if label is None:
        return None
    try:
        target = float(label) if task.is_regression else float(task.labels.index(label))
        if not math.isfinite(target):
            raise ValueError(label)
    except ValueError as error:
        expected = "a number" if task.is_regression else f"one of {', '.join(task.labels)}"
        raise InputError(
            f"{path}, line {number}: got label {label!r}, expected {expected}"
        ) from error
    return target
