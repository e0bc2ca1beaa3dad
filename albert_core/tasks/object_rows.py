"""The rows of files that have values by name: JSON lines and Parquet."""

import abc
import dataclasses
import string
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from albert_core.errors import InputError
from albert_core.files.atomic import refuse_special_file
from albert_core.row_formats import ParquetTable, open_parquet, read_json_objects
from albert_core.settings.json_values import (
    FieldError,
    JsonObject,
    as_text,
    as_texts,
    label_spellings,
)
from albert_core.tasks.layouts import find_layout
from albert_core.tasks.rows import (
    Row,
    RowCells,
    TaskRows,
    UnusableRowError,
    applied_labels,
    checked_id,
    has_label_columns,
)
from albert_core.tasks.source import Column
from albert_core.tasks.table_columns import find_layout_columns
from albert_core.tasks.text_files import read_lines


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Names:
    """The names of the values of an object that are texts, label and id.

    Attributes:
        texts: Those of the texts, in their order; some may be templates.
        label: That of the label; None without labels.
        id: That of the id; None without ids.
        labels: The task's label by other spellings in the file.
    """

    texts: tuple[Column, ...]
    label: Column | None
    id: Column | None
    labels: Mapping[str, str] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass
class _ObjectRows(TaskRows, abc.ABC):
    """Rows with values by name, each a `JsonObject` at the place ""."""

    _names: _Names = dataclasses.field(init=False)
    _class_names: Mapping[str, Sequence[str]] = dataclasses.field(default_factory=dict, init=False)

    def find_names(self, columns: Sequence[str]) -> None:
        """Choose, for `cells`, which values are texts, label and id.

        For a task of GLUE they are those of its layout, else as the task declares (unchecked).

        Args:
            columns: The names of the values in the first row or in the file.

        Raises:
            InputError: A task of GLUE's texts, label or id are in no known way among them.
        """
        task, source = self.task, self.source
        label = task.label if source.label is None else source.label
        layout = find_layout(task)
        if layout is None:
            self._names = _Names(
                texts=source.texts or task.texts,
                label=label if source.is_labelled else None,
                id=source.id,
            )
            return
        numbered = find_layout_columns(task, layout, source, self.path, columns)
        self._names = _Names(
            texts=tuple(columns[number] for number in numbered.texts),
            label=None if numbered.label is None else columns[numbered.label],
            id=None if numbered.id is None else columns[numbered.id],
            labels=numbered.labels,
        )

    def cells(self, row: Row) -> RowCells:
        """Return texts, label and id of an object; for multiple choice the text, then choices.

        `find_names` must have been called, which iterating does.

        Raises:
            UnusableRowError: A key is missing, a template cannot be filled, the id is empty, a
                value for one label is neither 1 nor 0, or there are fewer than two choices.
            FieldError: A value is of another type.
        """
        names = self._names
        if self.task.kind == "multiple_choice":
            context, choices = names.texts
            values = as_texts(self._value(row, choices), str(choices))
            if len(values) < 2:
                raise UnusableRowError(
                    "too few choices", f"got choices {values!r}, expected two or more"
                )
            texts = [self._text(row, context), *values]
        else:
            texts = [self._text(row, column) for column in names.texts]
        return RowCells(
            texts=texts,
            label=None if names.label is None else self._label(row, names.label),
            id=None if names.id is None else self._id(row, names.id),
        )

    def _value(self, row: JsonObject, column: Column) -> Any:
        """Return the value of a key, or the text of a template of keys (a name with braces).

        Raises:
            UnusableRowError: A key is missing, or a template cannot be filled.
            FieldError: A value in a template is no text.
        """
        try:
            if "{" in str(column):
                return _Template().vformat(str(column), (), row.values)
            return row.values[str(column)]
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            if isinstance(error, FieldError):
                raise
            raise UnusableRowError(
                "missing key",
                f"got no {column!r} for task {self.task.name}, only {', '.join(row.values)}",
            ) from error

    def _text(self, row: JsonObject, column: Column) -> str:
        return as_text(self._value(row, column), str(column))

    def _label(self, row: JsonObject, column: Column) -> tuple[str, ...]:
        """Return the spellings of a label, the task's where others are known for the file.

        The name of a class comes before its number. For `multi_label` these are all labels that
        apply; each may have a value of its own.

        Raises:
            UnusableRowError: The value is missing, or that of one label is neither 1 nor 0.
            FieldError: A value is of another type.
        """
        if has_label_columns(self.task, column, tuple(row.values)):
            return applied_labels({name: row.values[name] for name in self.task.labels})
        value = self._value(row, column)
        classes = self._class_names.get(str(column), ())
        if self.task.kind == "multi_label":
            is_list = isinstance(value, list)
            named = [self._label_in_list(item, classes) for item in value] if is_list else value
            return tuple(as_texts(named, str(column)))
        name = _class_name(value, classes)
        spellings = (*((name,) if name else ()), *label_spellings(value, str(column)))
        return tuple(self._names.labels.get(spelling, spelling) for spelling in spellings)

    def _label_in_list(self, item: Any, classes: Sequence[str]) -> Any:
        """Return a whole number in a list of labels as text, if it may stand for a label.

        It is the name of its class where the file names the classes. Else it may stand for one
        where it is a label itself, the task has class names, or no labels yet. Anything else is
        returned as it is.
        """
        task = self.task
        takes_numbers = task.class_names or not task.labels or str(item) in task.labels
        is_number = isinstance(item, int) and not isinstance(item, bool)
        name = str(item) if is_number and takes_numbers else item
        return _class_name(item, classes) or name

    def _id(self, row: JsonObject, column: Column) -> str:
        self._value(row, column)
        return checked_id(row.id(str(column)))


class JsonRows(_ObjectRows):
    """The rows of a file with a JSON object in each line."""

    def __iter__(self) -> Iterator[tuple[int, Row]]:
        """Yield the number of the line and the JSON object of each line that is not blank.

        The first object decides by which names `cells` finds texts, label and id in all of them.

        Raises:
            InputError: The file is missing, cannot be read, is damaged or not UTF-8, a line is no
                JSON object, or the first one has not the names of a task of GLUE.
        """
        lines = read_lines(self.path)
        for index, (number, values) in enumerate(read_json_objects(str(self.path), lines)):
            if index == 0:
                self.find_names(list(values))
            yield number, JsonObject(values, "")


class ParquetRows(_ObjectRows):
    """The rows of a Parquet file; only the columns that the task needs are read.

    Numbers of classes stand for the names that Hugging Face's metadata in the file give them.
    """

    unit = "row"

    def __iter__(self) -> Iterator[tuple[int, Row]]:
        """Yield the number, from 1, and the values of each row.

        The file is open until the iteration ends; its columns decide what `cells` reads.

        Raises:
            InputError: The file is missing, no regular file, damaged or no Parquet, or has not the
                columns.
        """
        refuse_special_file(self.path)
        try:
            file = self.path.open("rb")
        except OSError as error:
            raise InputError(f"{self.path}: {error.strerror}") from error
        with file:
            table = open_parquet(str(self.path), file)
            self.find_names(table.names)
            self._class_names = table.class_names
            for number, values in table.rows(self._needed_columns(table)):
                yield number, JsonObject(values, "")

    def _needed_columns(self, table: ParquetTable) -> list[str] | None:
        """Return the columns that are read; None for all, which templates may need.

        Raises:
            InputError: The file lacks one.
        """
        names = self._names
        labels: tuple[Column | None, ...] = (names.label,)
        if names.label is not None and has_label_columns(self.task, names.label, table.names):
            labels = self.task.labels
        optional = [name for name in (*labels, names.id) if name is not None]
        needed = list(dict.fromkeys(map(str, (*names.texts, *optional))))
        if any("{" in name for name in needed):
            return None
        if missing := [name for name in needed if name not in table.names]:
            raise InputError(
                f"{self.path}: got the columns {', '.join(table.names) or 'none'}, expected "
                f"{missing[0]!r} for task {self.task.name}; declare `texts` and `label` by these "
                "names"
            )
        return needed


def _class_name(value: Any, names: Sequence[str]) -> str | None:
    """Return the name that a class number stands for; None for anything else."""
    is_number = isinstance(value, int) and not isinstance(value, bool)
    return names[value] if is_number and 0 <= value < len(names) else None


class _Template(string.Formatter):
    """Fills templates of keys such as `{target[span1_text]}` and `{keywords:, }` with texts.

    What stands behind the colon joins the texts of a list.
    """

    def get_field(self, field_name: str, args: Any, kwargs: Mapping[str, Any]) -> Any:
        """Return (name, value) of a field, and its first key; keys only (`a[b]`), no attributes.

        Raises:
            KeyError: A key is missing.
            TypeError: A value has no keys.
        """
        first, *rest = field_name.replace("]", "").split("[")
        value = kwargs[first]
        for key in rest:
            value = value[key]
        return (field_name, value), first

    def format_field(self, value: Any, format_spec: str) -> str:
        """Return a field's text; with a format spec the texts of a list, joined by the spec.

        Raises:
            FieldError: The value is no text, number or truth value, or with a spec no list of
                these.
        """
        name, content = value
        if format_spec:
            return format_spec.join(as_texts(content, name))
        return as_text(content, name)
