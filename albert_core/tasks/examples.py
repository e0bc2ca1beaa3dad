"""What a task's files hold, row by row."""

import collections
import dataclasses

from albert_core.errors import InputError
from albert_core.tasks.task import BadRows


@dataclasses.dataclass(frozen=True, kw_only=True)
class Example:
    """Texts to be judged.

    Attributes:
        id: Its id in the file, or its number there from 0.
        texts: One text, a pair, or of multiple choice a text and each choice.
        target: Class number, score or number of the right choice; None where unknown.
        source: Name of the file it comes from, as the task gives it.
    """

    id: str
    texts: tuple[str, ...]
    target: float | None
    source: str = ""


@dataclasses.dataclass(frozen=True)
class Answer:
    """A piece of the context: its text, and the number of its first character."""

    text: str
    start: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class Question:
    """A question about a context.

    Attributes:
        id: Its id in the file.
        question: The question.
        context: The text that may hold the answer.
        answers: The answers people gave; training takes the first. None where there is none, or
            none is known.
        is_impossible: Whether the context does not answer it.
        source: Name of the file it comes from, as the task gives it.
    """

    id: str
    question: str
    context: str
    answers: tuple[Answer, ...] = ()
    is_impossible: bool = False
    source: str = ""


class Flaws:
    """Rows that cannot be used: refused, or counted by cause.

    Args:
        bad_rows: Whether to refuse the first or to leave all out.
    """

    def __init__(self, bad_rows: BadRows = "refuse") -> None:
        self.bad_rows = bad_rows
        self.counts: collections.Counter[str] = collections.Counter()
        self.first: dict[str, str] = {}

    def found(self, cause: str, message: str) -> None:
        """Count a row.

        Args:
            cause: What is wrong, as a key of `counts`.
            message: What is wrong where, and what was expected.

        Raises:
            InputError: Such rows are refused.
        """
        if self.bad_rows == "refuse":
            raise InputError(f"{message}; or leave such rows of training files out with bad_rows")
        self.counts[cause] += 1
        self.first.setdefault(cause, message)
