"""Read examples from tab-separated files and JSON lines."""

import dataclasses
import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from albert_core.errors import InputError
from albert_core.tasks.examples import Example, InvalidRows
from albert_core.tasks.task import Column, Source, Task

Row = Any  # a list of cells, or a JSON object


class _Unusable(Exception):  # noqa: N818 - caught here
    """A row cannot be used. Carries the cause; the message says what is wrong."""

    def __init__(self, cause: str, message: str) -> None:
        super().__init__(message)
        self.cause = cause


def read_table(
    task: Task, source: Source, path: Path, *, checks_texts: bool, invalid_rows: InvalidRows
) -> Iterator[Example]:
    """Yield the examples of a file, in its order.

    In `tsv` quotes are ordinary characters. Source: `_read_tsv` of the original's
    classifier_utils.py.

    Args:
        task: The task.
        source: The file's declaration.
        path: The file.
        checks_texts: Whether a row with an empty text is invalid.
        invalid_rows: Collects rows that cannot be used.

    Raises:
        InputError: The file is missing or unreadable, or a row cannot be used and `invalid_rows`
            refuses such.
    """
    reader = _JsonRows if task.source_format(source) == "jsonl" else _TabSeparatedRows
    rows = reader(task, source, path)
    seen: set[str] = set()
    for index, (number, row) in enumerate(rows):
        place = f"{path}, line {number}"
        try:
            example = rows.example(row, str(index))
            if example is None:
                continue
            if source.id is not None:
                if example.id in seen:
                    raise _Unusable("duplicate id", f"got id {example.id!r} again")
                seen.add(example.id)
            if checks_texts and not all(text.strip() for text in example.texts):
                raise _Unusable("empty text", "got an empty text, expected words")
        except _Unusable as error:
            invalid_rows.add(error.cause, f"{place}: {error}")
            continue
        yield example


@dataclasses.dataclass
class _Rows:
    """The rows of a file, and their conversion to examples."""

    task: Task
    source: Source
    path: Path

    def __iter__(self) -> Iterator[tuple[int, Row]]:
        raise NotImplementedError

    def value(self, row: Row, column: Column) -> Any:
        """Return the value of a row in a column, by number or name."""
        raise NotImplementedError

    def example(self, row: Row, number: str) -> Example | None:
        """Convert a row to an example; None if its label is one of `skipped_labels`.

        `number` becomes the example's id where the source names no id column.
        """
        texts = [self.value(row, column) for column in self.source.texts or self.task.texts]
        if self.task.kind == "multiple_choice":
            context, choices = texts
            if not isinstance(choices, list) or len(choices) < 2:
                raise _Unusable("too few choices", f"got choices {choices!r}, expected a list")
            texts = [context, *choices]
        label = None
        if self.source.is_labelled:
            column = self.task.label if self.source.label is None else self.source.label
            label = str(self.value(row, column))
            if label in self.task.skipped_labels:
                return None
        return Example(
            id=number if self.source.id is None else str(self.value(row, self.source.id)),
            texts=tuple(map(_text, texts)),
            target=None if label is None else self._target(label, num_choices=len(texts) - 1),
            source=self.source.name,
        )

    def _target(self, label: str, *, num_choices: int) -> float:
        task = self.task
        try:
            if task.kind == "classification":
                return float(task.labels.index(label))
            target = float(label)
            if not math.isfinite(target):
                raise ValueError(label)
            if task.kind == "multiple_choice" and target not in range(num_choices):
                raise ValueError(label)
        except ValueError as error:
            expected = {
                "classification": f"one of {', '.join(task.labels)}",
                "multiple_choice": f"the number of a choice, 0 to {num_choices - 1}",
            }.get(task.kind, "a number")
            raise _Unusable("unknown label", f"got label {label!r}, expected {expected}") from error
        return target


class _TabSeparatedRows(_Rows):
    _names: Sequence[str] = ()

    def __iter__(self) -> Iterator[tuple[int, Row]]:
        lines = read_text(self.path).rstrip("\n").split("\n")
        for number, line in enumerate(lines, start=1):
            row = line.rstrip("\r").split("\t")
            if number == 1 and self.source.has_header:
                self._names = row
            elif line.strip():
                yield number, row

    def value(self, row: Row, column: Column) -> str:
        if isinstance(column, str):
            if column not in self._names:
                raise InputError(
                    f"{self.path}: no column {column!r} in its header ({', '.join(self._names)}); "
                    "give its number, from 0, or another name"
                )
            column = self._names.index(column)
        needed = max(column + 1, 1)
        if len(row) < needed:
            raise _Unusable(
                "short row",
                f"got {len(row)} columns, expected at least {needed} for task {self.task.name}",
            )
        return row[column]


class _JsonRows(_Rows):
    def __iter__(self) -> Iterator[tuple[int, Row]]:
        for number, line in enumerate(read_text(self.path).split("\n"), start=1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except ValueError as error:
                raise InputError(
                    f"{self.path}, line {number}: not JSON ({error}); expected an object a line"
                ) from error
            if not isinstance(row, dict):
                raise InputError(
                    f"{self.path}, line {number}: got a {type(row).__name__}, expected an object"
                )
            yield number, row

    def value(self, row: Row, column: Column) -> Any:
        try:
            if "{" in str(column):
                return str(column).format_map(row)
            return row[column]
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise _Unusable(
                "missing key", f"got no {column!r} for task {self.task.name}, only {', '.join(row)}"
            ) from error


def read_text(path: Path) -> str:
    """Read a file of UTF-8, without its byte order mark.

    Raises:
        InputError: The file is missing or not UTF-8.
    """
    try:
        return path.read_bytes().decode("utf-8").removeprefix("\ufeff")
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 at byte {error.start}") from error


def _text(value: Any) -> str:
    """Return a cell as text; a list of words, as of CSL, is joined by Chinese commas."""
    return "，".join(map(str, value)) if isinstance(value, list) else str(value)
