"""The examples in the rows of a file: their fields are found by the names of the columns."""

import dataclasses
import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

from albert_core.errors import InputError
from albert_core.inference.examples import example_fields
from albert_core.inference.row_files import Row
from albert_core.inference.signature import TaskSignature
from albert_core.settings.json_values import FieldError, as_id, as_text, as_texts, describe_value
from albert_core.tasks import Task
from albert_core.tasks.layouts import HUGGING_FACE_ID, find_layout

_ID_COLUMNS = ("id", HUGGING_FACE_ID, "index")


@dataclasses.dataclass(frozen=True, kw_only=True)
class FileExample:
    """An example of a file.

    Attributes:
        fields: Its fields by the names of `example_fields`.
        id: Its id; None where the file has none.
    """

    fields: Mapping[str, Any]
    id: str | None


def read_file_examples(
    rows: Iterator[Row], signature: TaskSignature, task: Task | None = None
) -> Iterator[FileExample]:
    """Yield the examples in rows, in their order, as the rows are read.

    Columns are named as the fields of examples are (`text`, `text_b`, `question`, `context`,
    `choices`), or as in the task's own files (`sentence1`, `sentence2`), in upper or lower case.
    All others are ignored but `id`, `idx` and `index`, in lower case, the first of which that has a
    value is the id; ids that are there twice are not noticed. Choices are a list of two or more, in
    tables one in JSON. An optional text may be empty. What is to be tagged is a text or a list of
    words.

    Args:
        rows: The rows; their columns are those of the first.
        signature: What the model is asked.
        task: Its task, if it has one.

    Raises:
        InputError: The columns lack a field that is not optional, or a cell is not what its field
            is, or an id neither text nor a whole number; names the line.
    """
    fields = example_fields(signature)
    columns: Mapping[str, str] | None = None
    for row in rows:
        if columns is None:
            columns = find_field_columns(row, fields, task)
        values = {}
        for field, column in columns.items():
            try:
                values[field] = _READERS[fields[field]](row.values.get(column), column)
            except FieldError as error:
                raise InputError(f"{row.place}: {error}") from error
        yield FileExample(fields=values, id=_read_id(row, columns.values()))


def find_field_columns(row: Row, fields: Mapping[str, str], task: Task | None) -> dict[str, str]:
    """Return the name of the column of each field that there is, by the field, as the row has it.

    Columns named as the fields count first, else the first of the ways that the task's own files
    have. Neither case nor white space around them matters; of columns that differ in these alone
    the last counts.

    Args:
        row: The first row of a file.
        fields: The contents of the fields, by names of `example_fields`.
        task: The task whose names of columns are known, too.

    Raises:
        InputError: A field that every example has is in no column.
    """
    names = {name.strip().lower(): name for name in row.values}
    required = [name for name, content in fields.items() if content != "optional text"]
    if all(name in names for name in required):
        return {name: names[name] for name in fields if name in names}
    ways = _ways_of_naming(task)
    for way in ways:
        if len(required) <= len(way) <= len(fields) and all(name in names for name in way):
            return {field: names[name] for field, name in zip(fields, way, strict=False)}
    others = "".join(f", or {', '.join(way)}" for way in ways)
    raise InputError(
        f"{row.place}: got the columns {', '.join(row.values) or 'nothing'}, expected "
        f"{', '.join(required)}{others}"
    )


def _ways_of_naming(task: Task | None) -> list[Sequence[str]]:
    """Return the names of the texts' columns in a task's own files, in each way they are named.

    For a task of GLUE in GLUE's columns these are the names of its layout; for other tasks, the
    names that the task declares for its train and dev files, in lower case and each of them once.
    Columns by number and templates (`{`) are left out. None without a task.
    """
    if task is None:
        return []
    if layout := find_layout(task):
        return list(layout.texts)
    declared = [source.texts or task.texts for source in (*task.train, *task.dev)]
    named = [
        tuple(str(column).lower() for column in columns)
        for columns in declared
        if all(isinstance(column, str) and "{" not in column for column in columns)
    ]
    return [way for way in dict.fromkeys(named) if way]


def _read_id(row: Row, used: Collection[str]) -> str | None:
    """Return the id of a row, from the first of the columns for it that is no field; else None.

    These columns are `id`, `idx` and `index`; one without a value is passed over.

    Raises:
        FieldError: The value is neither text nor a whole number.
    """
    for name in _ID_COLUMNS:
        value = row.values.get(name)
        if value is not None and name not in used:
            return as_id(value, f"{row.place}: {name}")
    return None


def _optional_text(value: Any, column: str) -> str | None:
    return as_text(value, column) if value else None


def _choices(value: Any, column: str) -> list[str]:
    """Return two choices or more, from a list or from the JSON of one in the cell of a table.

    Raises:
        FieldError: The value is no such list.
    """
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError) as error:
            raise FieldError(
                f"got {describe_value(value)} as {column}, expected a list in JSON"
            ) from error
    choices = as_texts(value, column)
    if len(choices) < 2:
        raise FieldError(f"got {choices!r} as {column}, expected two choices or more")
    return choices


def _text_or_words(value: Any, column: str) -> str | list[str]:
    return as_texts(value, column) if isinstance(value, list) else as_text(value, column)


_READERS: Mapping[str, Callable[[Any, str], Any]] = {
    "text": as_text,
    "optional text": _optional_text,
    "texts": _choices,
    "text or words": _text_or_words,
}
