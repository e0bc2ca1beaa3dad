"""Read examples from tab-separated files and JSON lines."""

import abc
import dataclasses
import string
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from albert_core.errors import InputError
from albert_core.files import read_regular_file
from albert_core.json_values import (
    FieldError,
    JsonObject,
    as_text,
    as_texts,
    label_spellings,
    parse_json,
)
from albert_core.tasks.examples import UNEVEN_CHOICES, Example, InvalidRows
from albert_core.tasks.quoting import unquote_export
from albert_core.tasks.table_columns import TableColumns, find_columns
from albert_core.tasks.task import Column, Source, Task

Row = Any  # a list of cells, or a JSON object
_LARGEST_SCORE = 1e18  # the loss squares scores in float32, which ends at 3e38


class _Unusable(Exception):  # noqa: N818 - caught here
    """A row cannot be used. Carries the cause; the message says what is wrong."""

    def __init__(self, cause: str, message: str) -> None:
        super().__init__(message)
        self.cause = cause


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Cells:
    """What a row says: its texts, the spellings of its label (None without one), its id.

    Of `multi_label` the label is all those that apply, of which there may be none.
    """

    texts: list[str]
    label: tuple[str, ...] | None
    id: str | None


def read_table(
    task: Task,
    source: Source,
    path: Path,
    *,
    checks_texts: bool,
    invalid_rows: InvalidRows,
    train_header: Sequence[str] = (),
) -> Iterator[Example]:
    """Yield the examples of a file, in its order.

    In `tsv` quotes are ordinary characters. Source: `_read_tsv` of the original's
    classifier_utils.py. Deviates from it: columns of GLUE's tables are found by their names, and a
    header that is not known is refused. Rows whose label is skipped are left out, uncounted; a row
    with an id that came before, or with another number of choices than the split's first, cannot be
    used.

    Args:
        task: The task.
        source: The file's declaration.
        path: The file.
        checks_texts: Whether a row with an empty text is invalid.
        invalid_rows: Collects rows that cannot be used.
        train_header: The header of the training table; columns that are declared by number must
            stand in the same order here.

    Raises:
        InputError: The file is missing or unreadable, its header is not the one its columns are
            declared for, or a row cannot be used and `invalid_rows` refuses such.
    """
    rows: _Rows
    if task.source_format(source) == "jsonl":
        rows = _JsonRows(task, source, path)
    else:
        rows = _TabSeparatedRows(task, source, path, train_header)
    seen: set[str] = set()
    for index, (number, row) in enumerate(rows):
        place = f"{path}, line {number}"
        try:
            example = rows.example(row, str(index))
            if example is None:
                continue
            if source.id is not None:
                _refuse_repeated(example, seen)
            if checks_texts:
                _refuse_empty(example)
            if task.kind == "multiple_choice":
                _refuse_uneven(example, invalid_rows)
        except FieldError as error:
            invalid_rows.add("wrong type", f"{place}: {error}")
            continue
        except _Unusable as error:
            invalid_rows.add(error.cause, f"{place}: {error}")
            continue
        yield example


def _refuse_repeated(example: Example, seen: set[str]) -> None:
    """Refuse an example with an id that was seen; add its id to those."""
    if example.id in seen:
        raise _Unusable("duplicate id", f"got id {example.id!r} again")
    seen.add(example.id)


def _refuse_empty(example: Example) -> None:
    if not all(text.strip() for text in example.texts):
        raise _Unusable("empty text", "got an empty text, expected words")


def _refuse_uneven(example: Example, invalid_rows: InvalidRows) -> None:
    """Refuse an example of multiple choice with other choices than the split's first in number."""
    if uneven := invalid_rows.describe_uneven(len(example.texts) - 1):
        raise _Unusable(UNEVEN_CHOICES, uneven)


def read_header(path: Path) -> list[str]:
    """Return the cells of the first line of a tab-separated file; none if it cannot be read."""
    try:
        with path.open(encoding="utf-8-sig") as file:
            return file.readline().rstrip("\r\n").split("\t")
    except (OSError, UnicodeDecodeError):
        return []


@dataclasses.dataclass
class _Rows(abc.ABC):
    """The rows of a file, and their conversion to examples."""

    task: Task
    source: Source
    path: Path

    @abc.abstractmethod
    def __iter__(self) -> Iterator[tuple[int, Row]]:
        """Yield each row with the number of its line."""

    @abc.abstractmethod
    def cells(self, row: Row) -> _Cells:
        """Return what a row says."""

    def example(self, row: Row, number: str) -> Example | None:
        """Convert a row to an example; None if its label is one of `skipped_labels`.

        `number` becomes the example's id where the source names no id column.
        """
        cells = self.cells(row)
        if cells.label is not None and not set(cells.label).isdisjoint(self.task.skipped_labels):
            return None
        return Example(
            id=number if cells.id is None else cells.id,
            texts=tuple(cells.texts),
            target=None if cells.label is None else self._target(cells.label, cells.texts),
            source=self.source.name,
        )

    def _label_targets(self, labels: Sequence[str]) -> tuple[float, ...]:
        """Return 1 for each of the task's labels that is among some, and 0 for the others.

        Raises:
            _Unusable: One of the labels is none of the task's.
        """
        if unknown := [label for label in labels if label not in self.task.labels]:
            raise _Unusable(
                "unknown label",
                f"got label {unknown[0]!r}, expected some of {', '.join(self.task.labels)}",
            )
        return tuple(float(label in labels) for label in self.task.labels)

    def _target(self, spellings: Sequence[str], texts: Sequence[str]) -> float | tuple[float, ...]:
        """Return the number of the class or choice, or the score, that a label stands for.

        Of `multi_label` it is 1 or 0 for each of the task's labels.

        Args:
            spellings: The ways the label may be written; for a class the first known one counts. Of
                `multi_label` all labels that apply.
            texts: The texts of the row, whose number decides how many choices there are.

        Raises:
            _Unusable: It is no label of the task, no number of at most 1e18 in size, or not the
                number of a choice.
        """
        task = self.task
        if task.kind == "multi_label":
            return self._label_targets(spellings)
        num_choices = len(texts) - 1
        try:
            if task.kind == "classification":
                known = [label for label in spellings if label in task.labels]
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
            raise _Unusable(
                "unknown label", f"got label {spellings[0]!r}, expected {expected}"
            ) from error
        return target


@dataclasses.dataclass
class _TabSeparatedRows(_Rows):
    train_header: Sequence[str] = ()
    _columns: TableColumns = dataclasses.field(init=False)

    def __iter__(self) -> Iterator[tuple[int, Row]]:
        """Yield the number of the line and the cells of each row, without header and blank rows.

        Finds the columns by the first line first, which `cells` needs. Cells of an export are
        unquoted. Yields nothing of a file that has a header alone.

        Raises:
            InputError: The file is missing, not UTF-8, has other line ends than line feeds, or its
                header is refused by `find_columns`.
        """
        text = read_text(self.path).rstrip("\n")
        if "\r" in text.rstrip("\r") and "\n" not in text:
            raise InputError(
                f"{self.path}: got lines that end in a carriage return alone, expected line feeds; "
                "convert the file, for example with `tr '\\r' '\\n'`"
            )
        rows = [
            (number, line.rstrip("\r").split("\t"))
            for number, line in enumerate(text.split("\n"), start=1)
            if line.strip() or number == 1
        ]
        if len(rows) == 1 and self.source.has_header:
            return  # nothing but a header
        self._columns = find_columns(
            self.task, self.source, self.path, rows[0][1], self.train_header
        )
        if self._columns.is_export:
            rows = unquote_export(rows)
        for number, row in rows[1:] if self._columns.has_header else rows:
            if any(cell.strip() for cell in row):
                yield number, row

    def cells(self, row: Row) -> _Cells:
        """Return texts, label and id of a row; needs the columns that iterating finds.

        Other spellings of labels that are known for the table are replaced by the task's.

        Raises:
            _Unusable: The row has too few or too many cells or an empty id, or the task is multiple
                choice, which tables cannot hold.
        """
        columns = self._columns
        if len(row) < columns.needed_width:
            raise _Unusable(
                "short row",
                f"got {len(row)} columns, expected at least {columns.needed_width} for task "
                f"{self.task.name}",
            )
        if len(row) > columns.width:
            where = "in the header" if columns.has_header else "in the first row"
            raise _Unusable(
                "long row",
                f"got {len(row)} columns, expected {columns.width} as {where}; remove the tab in "
                "one of its cells",
            )
        texts = [row[number] for number in columns.texts]
        if self.task.kind == "multiple_choice":
            raise _Unusable(
                "too few choices", f"got choices {texts[-1]!r}, expected a list, in a jsonl file"
            )
        label = None if columns.label is None else row[columns.label]
        return _Cells(
            texts=texts,
            label=None
            if label is None
            else tuple(columns.labels.get(name, name) for name in self._labels_in(label)),
            id=None if columns.id is None else _checked_id(row[columns.id]),
        )

    def _labels_in(self, cell: str) -> Sequence[str]:
        """Return the label in a cell, or those of `multi_label`, between commas."""
        if self.task.kind != "multi_label":
            return (cell,)
        return [name.strip() for name in cell.split(",") if name.strip()]


class _JsonRows(_Rows):
    def __iter__(self) -> Iterator[tuple[int, Row]]:
        """Yield the number of the line and the JSON object of each line that is not blank.

        Raises:
            InputError: The file is missing or not UTF-8, or a line is no JSON object.
        """
        for number, line in enumerate(read_text(self.path).split("\n"), start=1):
            if not line.strip():
                continue
            place = f"{self.path}, line {number}"
            row = parse_json(line, place, expected="an object a line")
            yield number, JsonObject.of(row, place).at("")

    def cells(self, row: Row) -> _Cells:
        """Return texts, label and id of a JSON object; of multiple choice the text, then choices.

        Raises:
            _Unusable: A key is missing, the id is empty, or there are fewer than two choices.
            FieldError: A value is of another type.
        """
        task, source = self.task, self.source
        columns = source.texts or task.texts
        if task.kind == "multiple_choice":
            context, choices = columns
            values = as_texts(self._value(row, choices), str(choices))
            if len(values) < 2:
                raise _Unusable("too few choices", f"got choices {values!r}, expected two or more")
            texts = [self._text(row, context), *values]
        else:
            texts = [self._text(row, column) for column in columns]
        label = task.label if source.label is None else source.label
        return _Cells(
            texts=texts,
            label=self._label(row, label) if source.is_labelled else None,
            id=None if source.id is None else self._id(row, source.id),
        )

    def _value(self, row: JsonObject, column: Column) -> Any:
        """Return the value of a key, or the text of a template of keys (a name with braces).

        Raises:
            _Unusable: A key is missing, or a template cannot be filled.
            FieldError: A value in a template is no text.
        """
        try:
            if "{" in str(column):
                return _Template().vformat(str(column), (), row.values)
            return row.values[str(column)]
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            if isinstance(error, FieldError):
                raise
            raise _Unusable(
                "missing key",
                f"got no {column!r} for task {self.task.name}, only {', '.join(row.values)}",
            ) from error

    def _text(self, row: JsonObject, column: Column) -> str:
        return as_text(self._value(row, column), str(column))

    def _label(self, row: JsonObject, column: Column) -> tuple[str, ...]:
        value = self._value(row, column)
        if self.task.kind == "multi_label":
            return tuple(as_texts(value, str(column)))
        return label_spellings(value, str(column))

    def _id(self, row: JsonObject, column: Column) -> str:
        self._value(row, column)
        return _checked_id(row.id(str(column)))


class _Template(string.Formatter):
    """Fills templates of keys such as `{target[span1_text]}` and `{keywords:, }` with texts.

    What stands behind the colon joins the texts of a list.
    """

    def get_field(self, field_name: str, args: Any, kwargs: Mapping[str, Any]) -> Any:
        """Return (name, value) of a field, and its first key; keys only (`a[b]`), no attributes."""
        first, *rest = field_name.replace("]", "").split("[")
        value = kwargs[first]
        for key in rest:
            value = value[key]
        return (field_name, value), first

    def format_field(self, value: Any, format_spec: str) -> str:
        """Return a field's text; with a format spec the texts of a list, joined by the spec."""
        name, content = value
        if format_spec:
            return format_spec.join(as_texts(content, name))
        return as_text(content, name)


def _checked_id(text: str) -> str:
    if not text.strip():
        raise _Unusable("empty id", "got an empty id")
    return text


def read_text(path: Path) -> str:
    """Read a file of UTF-8 as text, line ends as they are, without its byte order mark.

    Raises:
        InputError: The file is missing, cannot be read, or is not UTF-8.
    """
    try:
        return read_regular_file(path).decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 at byte {error.start}") from error
