"""The rows of a task's files: examples and questions."""

import collections
import dataclasses

from albert_core.errors import InputError
from albert_core.tasks.task import BadRows


@dataclasses.dataclass(frozen=True, kw_only=True)
class Example:
    """Texts to classify, score or choose from.

    Attributes:
        id: Its id in the file, or the number of its row from 0.
        texts: One text or a pair; for multiple choice a text, then every choice.
        target: Class number, score or number of the right choice; of `multi_label` 1 or 0 for each
            label; None where unknown.
        source: `Source.name` of the file it comes from.
    """

    id: str
    texts: tuple[str, ...]
    target: float | tuple[float, ...] | None
    source: str = ""


@dataclasses.dataclass(frozen=True)
class Answer:
    """A stretch of the context: its text and the offset of its first character."""

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


class InvalidRows:
    """Collects rows that cannot be used: raises at the first, or counts them by cause.

    Args:
        bad_rows: `refuse` raises at the first one, `leave_out` counts them.

    Attributes:
        counts: Number of rows by cause.
        first: The message of the first row of each cause.
    """

    def __init__(self, bad_rows: BadRows = "refuse") -> None:
        self.bad_rows = bad_rows
        self.counts: collections.Counter[str] = collections.Counter()
        self.first: dict[str, str] = {}

    def add(self, cause: str, message: str) -> None:
        """Count an invalid row, which the caller then leaves out; keep each cause's first message.

        Args:
            cause: Key of `counts`, such as `empty text`.
            message: File, line, what is there and what was expected.

        Raises:
            InputError: `bad_rows` is `refuse`.
        """
        if self.bad_rows == "refuse":
            raise InputError(f"{message}; or leave such rows of training files out with bad_rows")
        self.counts[cause] += 1
        self.first.setdefault(cause, message)
