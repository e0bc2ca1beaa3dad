"""The rows of a task's files: examples, questions, and sentences with tags."""

import collections
import dataclasses
from collections.abc import Sequence
from typing import TypeVar

from albert_core.errors import InputError
from albert_core.tasks.source import Split
from albert_core.tasks.task import BadRows, Task

Row = TypeVar("Row")

UNEVEN_CHOICES = "other number of choices"  # a cause of `InvalidRows`


@dataclasses.dataclass(frozen=True, kw_only=True)
class Example:
    """Texts to classify, score or choose from.

    Attributes:
        id: Its id in the file, or the number of its row from 0.
        texts: One text or a pair; for multiple choice a text, then every choice.
        target: Class number, score or number of the right choice; for `multi_label` 1 or 0 for each
            label; None where unknown.
        source: `Source.name` of the file it comes from.
    """

    id: str
    texts: tuple[str, ...]
    target: float | tuple[float, ...] | None
    source: str = ""


@dataclasses.dataclass(frozen=True)
class Answer:
    """A stretch of the context: its text and the offset of its first character.

    Attributes:
        text: The text, as the file has it.
        start: Offset in the context, in characters from 0; -1 where the file tells none. Whether
            the text stands there is checked for a question's first answer in training files alone.
    """

    text: str
    start: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class Question:
    """A question about a context.

    Attributes:
        id: Its id in the file.
        question: The question.
        context: The text that may hold the answer.
        answers: The answers people gave; training takes the first. Empty for questions without
            an answer and where none is known.
        is_impossible: Whether the context does not answer it.
        source: `Source.name` of the file it comes from.
    """

    id: str
    question: str
    context: str
    answers: tuple[Answer, ...] = ()
    is_impossible: bool = False
    source: str = ""


@dataclasses.dataclass(frozen=True, kw_only=True)
class TaggedSentence:
    """A sentence whose words have tags.

    Attributes:
        id: Its number among the sentences of its source, from 0.
        words: Its words, at least one.
        tags: The number of each word's tag among the task's labels; None where they are unknown.
        source: `Source.name` of the file it comes from.
    """

    id: str
    words: tuple[str, ...]
    tags: tuple[int, ...] | None = None
    source: str = ""


def spread_evenly(rows: Sequence[Row], max_rows: int | None) -> Sequence[Row]:
    """Return at most `max_rows` rows, in their order and evenly spread, the first one among them.

    If `max_rows` is None, or there are no more, `rows` itself is returned. The choice depends on
    the two numbers alone.
    """
    if max_rows is None or len(rows) <= max_rows:
        return rows
    return [rows[number * len(rows) // max_rows] for number in range(max_rows)]


class InvalidRows:
    """Collects rows of a split that cannot be used: raises at the first, or counts them by cause.

    Args:
        bad_rows: `refuse` raises at the first one, `leave_out` counts them.
        split: The split, which decides what a message tells to do.

    Attributes:
        counts: Number of rows that were left out, by cause.
        first: The message of the first of these rows of each cause.
    """

    def __init__(self, bad_rows: BadRows = "refuse", split: Split = "train") -> None:
        self.bad_rows, self.split = bad_rows, split
        self.counts: collections.Counter[str] = collections.Counter()
        self.first: dict[str, str] = {}
        self._num_choices: int | None = None

    @classmethod
    def for_split(cls, task: Task, split: Split, *, leaves_out: bool) -> "InvalidRows":
        """Return a new collector for a split of a task.

        It leaves rows out if `leaves_out` is set and the rows are of training files, which hold the
        dev set, too, where it is split off. Any other refuses the first row.
        """
        is_trained = split == "train" or (split == "dev" and task.splits_off_dev)
        return cls("leave_out" if leaves_out and is_trained else "refuse", split)

    def describe_uneven(self, num_choices: int) -> str:
        """Describe a row with another number of choices than the split's first one, for a message.

        Empty if nothing is. The first row that is asked about sets, for all later calls, how many
        there must be: the choices of a split are scored together.
        """
        expected = self._num_choices = self._num_choices or num_choices
        if num_choices == expected:
            return ""
        return (
            f"got {num_choices} choices, expected {expected} as in the first row; give every row "
            "as many"
        )

    def add(self, cause: str, message: str) -> None:
        """Count an invalid row, which the caller then leaves out; keep each cause's first message.

        Args:
            cause: Key of `counts`, such as `empty text`.
            message: File, line, what is there and what was expected.

        Raises:
            InputError: `bad_rows` is `refuse`.
        """
        if self.bad_rows == "refuse":
            raise InputError(message + self._remedy(cause))
        self.counts[cause] += 1
        self.first.setdefault(cause, message)

    def _remedy(self, cause: str) -> str:
        """Return what can be done about an invalid row, to end its message; empty if nothing is."""
        if self.split == "train":
            return "; or leave such rows out with --finetuning.bad_rows leave_out"
        if self.split == "test" and cause == "unknown label":
            return "; if the test rows have no labels, declare is_labelled: false for their file"
        return ""
