"""How many examples a task has: as published, or counted in its files."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path

from albert_core.errors import InputError
from albert_core.tasks.examples import InvalidRows
from albert_core.tasks.reading import read_examples, read_questions, read_sentences
from albert_core.tasks.registry import TASKS
from albert_core.tasks.source import Split
from albert_core.tasks.task import Task

# Training and dev examples. MNLI's dev set is both of its files.
_PUBLISHED: Mapping[str, tuple[int, int]] = {
    "cola": (8_551, 1_043),
    "sst-2": (67_349, 872),
    "mrpc": (3_668, 408),
    "sts-b": (5_749, 1_500),
    "qqp": (363_846, 40_430),
    "mnli": (392_702, 19_647),
    "qnli": (104_743, 5_463),
    "rte": (2_490, 277),
    "wnli": (635, 71),
    "squad1": (87_599, 10_570),
    "squad2": (130_319, 11_873),
    "race": (87_866, 4_887),
    "race-middle": (25_421, 1_436),
    "race-high": (62_445, 3_451),
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class TaskSize:
    """The size of a task.

    Attributes:
        num_train: Examples, questions or sentences of the training set.
        num_dev: Number of examples of the dev set.
        source: Where the numbers are from, in words.
    """

    num_train: int
    num_dev: int
    source: str


def published_size(task: Task) -> TaskSize:
    """Return the size of a task of GLUE, SQuAD or RACE.

    Raises:
        InputError: The task is none of these, or another of the same name.
    """
    if task.name not in _PUBLISHED or TASKS[task.name] != task:
        raise InputError(
            f"task {task.name}: its number of examples is not known, expected one of "
            f"{', '.join(_PUBLISHED)}; or give the folder of its files (--data_dir), where they "
            "are counted"
        )
    num_train, num_dev = _PUBLISHED[task.name]
    return TaskSize(num_train=num_train, num_dev=num_dev, source="as published")


def count_examples(task: Task, folder: Path, *, leaves_out: bool) -> TaskSize:
    """Return the size of a task by its files, which are read whole.

    Rows whose label is skipped are not counted. A dev set that is split off the training rows is
    counted as it would be split.

    Args:
        task: The task, with the files that are there.
        folder: Folder of its files.
        leaves_out: Whether training rows that cannot be used are left out, uncounted, not refused.

    Raises:
        InputError: A file is missing, has a row that cannot be used and is not left out, has more
            such rows than others, or there are no or too few rows.
    """
    read = {
        "question_answering": read_questions,
        "token_classification": read_sentences,
    }.get(task.kind, read_examples)

    def count(split: Split) -> int:
        rows = InvalidRows.for_split(task, split, leaves_out=leaves_out)
        return len(read(task, folder, split, invalid_rows=rows))  # type: ignore[arg-type]

    return TaskSize(num_train=count("train"), num_dev=count("dev"), source=f"counted in {folder}")
