"""Find the columns of a table by its header, or refuse the table."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

from albert_core.errors import InputError
from albert_core.tasks.layouts import HUGGING_FACE_ID, KNOWN_NAMES, Layout, find_layout
from albert_core.tasks.rows import has_label_columns
from albert_core.tasks.source import Column, Source
from albert_core.tasks.task import Task

_MAX_NAME_WORDS, _MAX_NAME_CHARACTERS = 5, 60  # of the name of a column; longer is a text


@dataclasses.dataclass(frozen=True, kw_only=True)
class TableColumns:
    """The columns of a table's texts, label and id.

    Attributes:
        texts: Numbers of the columns of the texts.
        label: Number of the label's column; None without labels.
        label_columns: Numbers of the columns of each label by its name, where each has one; then
            `label` is None.
        id: Number of the id's column; None if rows are numbered.
        width: Number of columns.
        has_header: Whether the first row names them.
        labels: Labels by other spellings of them in this table.
        is_export: Whether it is an export of Hugging Face's data, whose cells may be quoted.
    """

    texts: tuple[int, ...]
    label: int | None
    id: int | None
    width: int
    has_header: bool
    labels: Mapping[str, str] = dataclasses.field(default_factory=dict)
    label_columns: Mapping[str, int] = dataclasses.field(default_factory=dict)
    is_export: bool = False

    @property
    def needed_width(self) -> int:
        """Number of cells that a row must have."""
        optional = [number for number in (self.label, self.id) if number is not None]
        return max([*self.texts, *optional, *self.label_columns.values()]) + 1


def find_columns(
    task: Task, source: Source, path: Path, first_row: Sequence[str], train_header: Sequence[str]
) -> TableColumns:
    """Return the columns of a table's texts, label and id.

    For a task of GLUE they are found by the names in the header, else by the numbers or names that
    the task declares.

    Args:
        task: The task.
        source: The table's declaration.
        path: The table, for messages.
        first_row: The cells of its first line.
        train_header: The header of the task's training table, to compare with where the columns are
            declared by number; empty if there is none.

    Raises:
        InputError: The cells are between commas in place of tabs; the header is not one that the
            columns are declared for, looks like data or has them in another order than the training
            table; or there is a header where none is declared.
    """
    is_declared_tsv = path.suffix.lower() == ".csv" and source.format == "tsv"
    if is_declared_tsv and len(first_row) == 1 and "," in first_row[0]:
        raise InputError(
            f"{path}, line 1: got columns between commas ({_shown(first_row)}), expected tabs; "
            "declare format: csv"
        )
    layout = find_layout(task)
    if layout is not None:
        names = [cell.strip().casefold() for cell in first_row]
        if source.has_header or layout.matching_texts(names):
            return find_layout_columns(task, layout, source, path, first_row)
    columns = _as_declared(task, source, path, first_row)
    if source.has_header:
        _refuse_data(task, source, path, first_row, columns)
        _refuse_swapped(task, source, path, first_row, train_header)
    elif {cell.strip().casefold() for cell in first_row} <= KNOWN_NAMES:
        raise InputError(
            f"{path}, line 1: got a header ({', '.join(first_row)}), expected data, as "
            "has_header is false; remove the line or declare has_header: true"
        )
    if layout is not None:  # without a header
        return dataclasses.replace(columns, width=layout.headless_width)
    return columns


def find_layout_columns(
    task: Task, layout: Layout, source: Source, path: Path, names: Sequence[str]
) -> TableColumns:
    """Return where texts, label and id of a task of GLUE are among the names of columns.

    Args:
        task: The task.
        layout: Its layout.
        source: The file's declaration.
        path: The file, for messages.
        names: The names, as they are written; case does not count.

    Raises:
        InputError: The layout knows no such names, a label or id that is declared is missing, or
            names are there twice or in several ways.
    """
    in_lower_case = [name.strip().casefold() for name in names]
    if text_names := layout.matching_texts(in_lower_case):
        return _by_layout(layout, source, path, in_lower_case, text_names)
    raise _unknown_header(task, layout, source, path, names)


def _by_layout(
    layout: Layout,
    source: Source,
    path: Path,
    names: Sequence[str],
    text_names: Sequence[tuple[str, ...]],
) -> TableColumns:
    """Return the columns of a table whose header has the texts by a layout's names.

    If there are several columns of ids, the layout's first is taken. A column `idx` marks an export
    of Hugging Face's data: its cells may be quoted, and its class numbers stand for labels.

    Args:
        layout: The layout of the task.
        source: The table's declaration: whether label and id are looked for.
        path: The table, for messages.
        names: The header's cells in lower case.
        text_names: The ways of naming the texts that the header follows, at least one.

    Raises:
        InputError: A label or id that is declared is missing; the header follows several ways of
            naming the texts, or has several of the label's names; or a name that is used is there
            twice.
    """
    labels = [name for name in layout.labels if name in names] if source.is_labelled else []
    ids = [name for name in layout.ids if name in names] if source.id is not None else []
    used = [*text_names[0], *labels[:1], *ids[:1]]
    is_short = (source.is_labelled and not labels) or (source.id is not None and not ids)
    is_ambiguous = len(text_names) > 1 or len(labels) > 1 or any(names.count(n) > 1 for n in used)
    if is_short or is_ambiguous:
        expected = layout.expected_names(
            with_label=source.is_labelled, with_id=source.id is not None
        )
        how = ", each once" if is_ambiguous else ""
        raise InputError(
            f"{path}, line 1: got the columns {', '.join(names)}, expected {expected}{how}"
        )
    is_export = HUGGING_FACE_ID in names
    return TableColumns(
        texts=tuple(names.index(name) for name in text_names[0]),
        label=names.index(labels[0]) if labels else None,
        id=names.index(ids[0]) if ids else None,
        width=len(names),
        has_header=True,
        labels={**layout.class_names, **(layout.class_numbers if is_export else {})},
        is_export=is_export,
    )


def _unknown_header(
    task: Task, layout: Layout, source: Source, path: Path, first_row: Sequence[str]
) -> InputError:
    """Return the error of a header that names a GLUE task's texts in no known way."""
    expected = layout.expected_names(with_label=source.is_labelled, with_id=source.id is not None)
    return InputError(
        f"{path}, line 1: got {len(first_row)} columns, {_shown(first_row)}, expected a header "
        f"with those of task {task.name}: {expected}; put GLUE's own file there, or declare "
        "a task of your own"
    )


def _as_declared(task: Task, source: Source, path: Path, first_row: Sequence[str]) -> TableColumns:
    """Return the columns by the numbers or names of the declaration.

    For `multi_label` each label may have a column with its name. Negative numbers count from the
    end. Without a header the first row may be short of cells: it is refused later, like any row.

    Raises:
        InputError: A name is not in the header, or twice, or the header has too few columns.
    """
    names = first_row if source.has_header else ()

    def number(column: Column) -> int:
        """Return the number of a column, from 0; below 0 if a short row does not reach that far."""
        if isinstance(column, str):
            return _named_column(column, names, path)
        return column if column >= 0 else len(first_row) + column

    label = task.label if source.label is None else source.label
    by_label = source.is_labelled and has_label_columns(task, label, names)
    columns = TableColumns(
        texts=tuple(number(column) for column in source.texts or task.texts),
        label=number(label) if source.is_labelled and not by_label else None,
        label_columns={name: number(name) for name in task.labels} if by_label else {},
        id=None if source.id is None else number(source.id),
        width=len(first_row),
        has_header=source.has_header,
    )
    if not source.has_header:  # a first row that is too short is refused like any other
        return dataclasses.replace(columns, width=max(columns.width, columns.needed_width))
    if columns.needed_width > columns.width:
        raise InputError(
            f"{path}, line 1: got {columns.width} columns, {_shown(first_row)}, expected at least "
            f"{columns.needed_width} for task {task.name}"
        )
    return columns


def _named_column(column: str, names: Sequence[str], path: Path) -> int:
    """Return the number of the column with a name, from 0.

    White space around the names in the header does not count unless a name with it is declared.

    Raises:
        InputError: No column has the name, or several do.
    """
    if column not in names:
        names = [name.strip() for name in names]
    if column not in names:
        raise InputError(
            f"{path}: no column {column!r} in its header ({', '.join(names)}); "
            "give its number, from 0, or another name"
        )
    if names.count(column) > 1:
        raise InputError(
            f"{path}: got {names.count(column)} columns named {column!r}, expected one; give its "
            "number, from 0"
        )
    return names.index(column)


def _refuse_data(
    task: Task, source: Source, path: Path, first_row: Sequence[str], columns: TableColumns
) -> None:
    """Refuse a first row that is data: taken for a header, it would be lost.

    Taken for data is a row with a label or a number where the label is, a number where the id is,
    or a text of over 5 words or 60 characters, in a column that is declared by its number. A row of
    the numbers 0, 1, 2, ... passes.

    Raises:
        InputError: The row is taken for data.
    """
    if list(first_row) == [str(number) for number in range(len(first_row))]:
        return  # a table without names, written by pandas

    def unnamed(declared: Sequence[Column | None], numbers: Sequence[int | None]) -> list[str]:
        """Return the cells of columns that are not declared by the names that they have here."""
        cells = [
            (column, first_row[at])
            for column, at in zip(declared, numbers, strict=True)
            if at is not None
        ]
        return [cell for column, cell in cells if column not in (cell, cell.strip())]

    labels = unnamed([task.label if source.label is None else source.label], [columns.label])
    is_label = any(cell.strip() in task.labels or _is_number(cell) for cell in labels)
    is_id = any(map(_is_number, unnamed([source.id], [columns.id])))
    texts = unnamed(source.texts or task.texts, columns.texts)
    if is_label or is_id or any(map(_is_sentence, texts)):
        raise InputError(
            f"{path}, line 1: got a row of data ({_shown(first_row)}), expected a header; add one, "
            "or declare has_header: false for this file"
        )


def _refuse_swapped(
    task: Task,
    source: Source,
    path: Path,
    header: Sequence[str],
    train_header: Sequence[str],
) -> None:
    """Refuse a table that seems to have its columns in another order than the training table.

    The columns of the texts and of the label are compared, where they are declared by number for
    both tables. A column is refused if its name here differs from its name in the training table,
    and at least one of these two names is in both headers.

    Args:
        task: The task, with the columns of the training table.
        source: The table's declaration.
        path: The table, for messages.
        header: Names of the table's columns; all that are declared by number must be there.
        train_header: Names of the training table's columns; a column that is not there is not
            compared.

    Raises:
        InputError: A column is refused; the message has its name in both tables.
    """
    pairs = list(zip(source.texts or task.texts, task.texts, strict=False))
    if source.is_labelled:
        pairs.append((task.label if source.label is None else source.label, task.label))
    for column, train_column in pairs:
        if not isinstance(column, int) or not isinstance(train_column, int):
            continue
        if not -len(train_header) <= train_column < len(train_header):
            continue
        name, train_name = header[column], train_header[train_column]
        if name != train_name and (train_name in header or name in train_header):
            raise InputError(
                f"{path}, line 1: got column {name!r} where the training file has "
                f"{train_name!r}, expected the same order; declare the columns by name"
            )


def _is_number(text: str) -> bool:
    """Return whether Python reads a text as a float, `nan` and `inf` included."""
    try:
        float(text)
    except ValueError:
        return False
    return True


def _is_sentence(text: str) -> bool:
    """Return whether a text has over 5 words or 60 characters, too many for a column's name."""
    return len(text.split()) > _MAX_NAME_WORDS or len(text) > _MAX_NAME_CHARACTERS


def _shown(row: Sequence[str]) -> str:
    """Return a row's cells with commas between them, cut after 100 characters, with an ellipsis."""
    text = ", ".join(row)
    return text if len(text) <= 100 else f"{text[:100]}…"
