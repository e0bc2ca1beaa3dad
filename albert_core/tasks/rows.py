"""What the rows of a task's tables say, and their conversion to examples, whatever the format."""

import abc
import dataclasses
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from albert_core.tasks.examples import Example
from albert_core.tasks.source import Column, Source
from albert_core.tasks.task import Task

Row = Any  # a list of cells, or an object
_APPLIES, _APPLIES_NOT = ("1", "1.0", "true"), ("0", "0.0", "false")
_WHOLE_WITH_FRACTION = re.compile(r"(-?[0-9]+)\.0+")
_NO_LABELS = ("-1", "-")  # that data sets give to rows without one
_LARGEST_SCORE = 1e18  # the loss squares scores in float32, which ends at 3e38


class UnusableRowError(Exception):
    """A row cannot be used. Carries the cause; the message says what is wrong."""

    def __init__(self, cause: str, message: str) -> None:
        super().__init__(message)
        self.cause = cause


@dataclasses.dataclass(frozen=True, kw_only=True)
class RowCells:
    """The contents of a row.

    Attributes:
        texts: The texts.
        label: Spellings of its label; for `multi_label` all labels that apply, maybe none. None
            without labels.
        id: Its id; None without one.
    """

    texts: list[str]
    label: tuple[str, ...] | None
    id: str | None


def has_label_columns(task: Task, label: Column, names: Sequence[str]) -> bool:
    """Return whether a file has a column for each label, in place of one for all that apply.

    Args:
        task: The task; only of `multi_label` it may be so.
        label: The column that is declared for the labels.
        names: The names of the file's columns.
    """
    is_missing = isinstance(label, str) and label not in names
    return task.kind == "multi_label" and is_missing and set(task.labels) <= set(names)


def applied_labels(values: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the labels whose value is 1, from what their columns hold.

    Args:
        values: 1 or 0, as a number, a truth value or text, by the label.

    Raises:
        UnusableRowError: A value is something else.
    """
    applied = []
    for label, value in values.items():
        spelling = str(value).strip().lower()
        if spelling not in (*_APPLIES, *_APPLIES_NOT):
            raise UnusableRowError("unknown label", f"got {value!r} as {label!r}, expected 1 or 0")
        if spelling in _APPLIES:
            applied.append(label)
    return tuple(applied)


def plain_label(label: str) -> str:
    """Return a label without white space around it, and `1.0` or `-1.00` as `1` or `-1`.

    So pandas writes whole numbers in a column in which values are missing.
    """
    label = label.strip()
    whole = _WHOLE_WITH_FRACTION.fullmatch(label)
    return whole[1] if whole else label


@dataclasses.dataclass
class TaskRows(abc.ABC):
    """The rows of a file, and their conversion to examples.

    Attributes:
        task: The task.
        source: The file's declaration.
        path: The file.
        unit: What the numbers of rows count, for messages.
    """

    unit: ClassVar[str] = "line"

    task: Task
    source: Source
    path: Path

    @abc.abstractmethod
    def __iter__(self) -> Iterator[tuple[int, Row]]:
        """Yield each row with its number, from 1, by `unit`."""

    @abc.abstractmethod
    def cells(self, row: Row) -> RowCells:
        """Return texts, label and id of a row that iterating has yielded.

        Raises:
            UnusableRowError: The row has not what the task reads.
            FieldError: A value is of another type.
        """

    def example(self, row: Row, number: str) -> Example | None:
        """Convert a row to an example; None if its label is one of `skipped_labels`.

        One spelling of the label, or one of several labels, among them is enough. `number` becomes
        the example's id where the source names no id column.

        Raises:
            UnusableRowError: The row has not what the task reads, or its label is unknown.
            FieldError: A value is of another type.
        """
        cells = self.cells(row)
        if cells.label is not None:
            spellings = {*cells.label, *map(plain_label, cells.label)}
            if not spellings.isdisjoint(self.task.skipped_labels):
                return None
        return Example(
            id=number if cells.id is None else cells.id,
            texts=tuple(cells.texts),
            target=None if cells.label is None else self._target(cells.label, cells.texts),
            source=self.source.name,
        )

    def _with_class_name(self, label: str) -> str:
        """Return the name of the class whose number a label is; any other label as it is.

        A number that is itself one of the task's labels is this label. A label that is none of the
        task's, such as `1.0`, stands for the one without white space and fraction, `1`.
        """
        names = self.task.class_names
        if label not in self.task.labels:
            label = plain_label(label)
        is_number = label.isdecimal() and label not in self.task.labels
        return names[int(label)] if is_number and int(label) < len(names) else label

    def _label_targets(self, labels: Sequence[str]) -> tuple[float, ...]:
        """Return 1 for each of the task's labels that is among some, and 0 for the others.

        Raises:
            UnusableRowError: One of the labels is none of the task's.
        """
        labels = [self._with_class_name(label) for label in labels]
        if unknown := [label for label in labels if label not in self.task.labels]:
            raise UnusableRowError(
                "unknown label",
                f"got label {unknown[0]!r}, expected some of {', '.join(self.task.labels)}",
            )
        return tuple(float(label in labels) for label in self.task.labels)

    def _target(self, spellings: Sequence[str], texts: Sequence[str]) -> float | tuple[float, ...]:
        """Return the number of the class or choice, or the score, that a label stands for.

        For `multi_label` it is 1 or 0 for each of the task's labels.

        Args:
            spellings: The ways the label may be written; for a class the first known one counts.
                For `multi_label`, all labels that apply.
            texts: The texts of the row, whose number decides how many choices there are.

        Raises:
            UnusableRowError: It is no label of the task, no number of at most 1e18 in size, or not
                the number of a choice.
        """
        task = self.task
        if task.kind == "multi_label":
            return self._label_targets(spellings)
        num_choices = len(texts) - 1
        try:
            if task.kind == "classification":
                names = map(self._with_class_name, spellings)
                known = [label for label in names if label in task.labels]
                return float(task.labels.index((known or list(spellings))[0]))
            target = float(spellings[0])
            # NaN compares false. Python reads 1_0 as 10.
            if not abs(target) <= _LARGEST_SCORE or "_" in spellings[0]:
                raise ValueError(spellings)
            if task.kind == "multiple_choice" and target not in range(num_choices):
                raise ValueError(spellings)
        except ValueError as error:
            expected = {
                "classification": f"one of {', '.join(task.labels)}",
                "multiple_choice": f"the number of a choice, 0 to {num_choices - 1}",
            }.get(task.kind, f"a number of at most {_LARGEST_SCORE:g}")
            remedy = (
                f"; if it stands for none, declare skipped_labels: [{spellings[0]!r}]"
                if task.kind == "classification" and plain_label(spellings[0]) in _NO_LABELS
                else ""
            )
            raise UnusableRowError(
                "unknown label", f"got label {spellings[0]!r}, expected {expected}{remedy}"
            ) from error
        return target


def checked_id(text: str) -> str:
    """Return an id as it is; refuse an empty one. Whether it is there twice is not checked.

    Raises:
        UnusableRowError: It is empty or blank.
    """
    if not text.strip():
        raise UnusableRowError("empty id", "got an empty id")
    return text
