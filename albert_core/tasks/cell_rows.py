"""The rows of tables between tabs or commas, whose columns a header names or numbers count."""

import ast
import dataclasses
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

from albert_core.errors import InputError
from albert_core.row_formats import (
    NumberedCells,
    find_other_delimiter,
    read_csv_cells,
    read_tsv_cells,
)
from albert_core.tasks.quoting import Rows, unquote_export
from albert_core.tasks.rows import (
    Row,
    RowCells,
    TaskRows,
    UnusableRowError,
    applied_labels,
    checked_id,
)
from albert_core.tasks.source import Source
from albert_core.tasks.table_columns import TableColumns, find_columns
from albert_core.tasks.text_files import open_unpacked_file, read_text, split_lines

CellFormat = Literal["tsv", "csv"]


def read_header(path: Path, source: Source, file_format: CellFormat) -> list[str]:
    """Return the cells of the first row of a table, whether a header or not.

    Empty for an empty file, one that is missing, no regular file, not UTF-8 or otherwise
    unreadable. The rest of the file is not checked.

    Args:
        path: The table, local; decompressed by its ending.
        source: Its declaration, of which only the delimiter is read, for `csv`.
        file_format: Its format.
    """
    if not path.is_file():
        return []  # a pipe would be waited for
    try:
        with open_unpacked_file(str(path)) as file:
            text = io.TextIOWrapper(file, encoding="utf-8-sig", newline="")
            if file_format == "csv":
                rows = read_csv_cells(str(path), text, delimiter=source.delimiter)
            else:
                rows = read_tsv_cells(text)
            return next(rows, (0, []))[1]
    except (InputError, UnicodeDecodeError):
        return []


def is_tab_separated(path: Path) -> bool:
    """Return whether the first line of a file, decompressed, has a tab in its first MiB.

    False for a file that is missing, no regular file or otherwise unreadable.
    """
    if not path.is_file():
        return False  # a pipe would be waited for
    try:
        with open_unpacked_file(str(path)) as file:
            return b"\t" in file.readline(1 << 20)
    except InputError:
        return False


@dataclasses.dataclass
class CellRows(TaskRows):
    """The rows of a table between tabs or commas.

    Attributes:
        file_format: In `tsv` quotes are ordinary characters; `csv` is that of RFC 4180, with the
            source's delimiter.
        train_header: The header of the training table, see `find_columns`.
    """

    file_format: CellFormat = "tsv"
    train_header: Sequence[str] = ()
    _columns: TableColumns = dataclasses.field(init=False)

    def __iter__(self) -> Iterator[tuple[int, Row]]:
        """Yield the number of the line and the cells of each row, without header and blank rows.

        The whole file is read first, and its columns are found by its first row and kept for
        `cells`. Cells of a `tsv` that is an export are unquoted. Yields nothing for a file without
        rows after its header, which is then not checked.

        Raises:
            InputError: The file is missing, cannot be read, is not UTF-8 or not in its format, or
                its header is refused by `find_columns`.
        """
        text = read_text(self.path)
        rows = list(self._csv_rows(text) if self.file_format == "csv" else self._tsv_rows(text))
        if not rows or (len(rows) == 1 and self.source.has_header):
            return  # nothing but a header
        if self.file_format == "tsv":
            _refuse_quoted_cells(self.path, rows[0][1])
        self._columns = find_columns(
            self.task, self.source, self.path, rows[0][1], self.train_header
        )
        if self._columns.is_export and self.file_format == "tsv":
            rows = unquote_export(rows)
        for number, row in rows[1:] if self._columns.has_header else rows:
            if any(cell.strip() for cell in row):
                yield number, row

    def _tsv_rows(self, text: str) -> NumberedCells:
        """Yield the number, from 1, and the cells of each line that is not blank, and of the first.

        Raises:
            InputError: Lines end in carriage returns alone.
        """
        for number, cells in read_tsv_cells(split_lines(text.rstrip("\n"), self.path)):
            if number == 1 or any(cell.strip() for cell in cells):
                yield number, cells

    def _csv_rows(self, text: str) -> Rows:
        """Return the number of the line and the cells of each row that has any cells, maybe blank.

        Raises:
            InputError: It is no CSV; or its first row is one cell with another sign that people put
                between cells, although it is a header or the task reads several columns.
        """
        source = self.source
        delimiter = source.delimiter
        lines = io.StringIO(text, newline="")
        cells = read_csv_cells(str(self.path), lines, delimiter=delimiter)
        rows = [(number, row) for number, row in cells if row]
        first = rows[0][1] if rows else []
        num_texts = len(source.texts or self.task.texts)
        has_several = source.is_labelled or source.id is not None or num_texts > 1
        other = find_other_delimiter(first)
        if other and (source.has_header or has_several):  # else it may be a text with such a sign
            raise InputError(
                f"{self.path}, line 1: got one column, {first[0][:100]!r}, expected columns "
                f"between {delimiter!r}; declare what is between them with delimiter: {other!r}"
            )
        return rows

    def cells(self, row: Row) -> RowCells:
        """Return texts, label and id of a row; needs the columns that iterating finds.

        Other spellings of labels that are known for the table are replaced by the task's.

        Raises:
            UnusableRowError: The row has too few or too many cells, an empty id or, in a column for
                one label, neither 1 nor 0; or the task is multiple choice, which tables cannot
                hold.
        """
        columns = self._columns
        self._refuse_ragged(row)
        texts = [row[number] for number in columns.texts]
        if self.task.kind == "multiple_choice":
            raise UnusableRowError(
                "too few choices", f"got choices {texts[-1]!r}, expected a list, in a jsonl file"
            )
        return RowCells(
            texts=texts,
            label=self._label(row),
            id=None if columns.id is None else checked_id(row[columns.id]),
        )

    def _label(self, row: Sequence[str]) -> tuple[str, ...] | None:
        """Return the label of a row, or all that apply of `multi_label`; None without labels.

        Spellings that are known for the table are replaced by the task's; unknown labels stay.

        Raises:
            UnusableRowError: A column for one label holds neither 1 nor 0.
        """
        columns = self._columns
        if columns.label_columns:
            cells = {name: row[number] for name, number in columns.label_columns.items()}
            return applied_labels(cells)
        if columns.label is None:
            return None
        names = self._labels_in(row[columns.label])
        return tuple(columns.labels.get(name, name) for name in names)

    def _refuse_ragged(self, row: Sequence[str]) -> None:
        """Refuse a row that has fewer or more cells than the first one.

        A `tsv`, as the original reads it, may lack cells at the end that the task does not need.

        Raises:
            UnusableRowError: The row is refused, as `short row` or `long row`.
        """
        columns, is_csv = self._columns, self.file_format == "csv"
        where = "in the header" if columns.has_header else "in the first row"
        if len(row) < columns.needed_width:
            raise UnusableRowError(
                "short row",
                f"got {len(row)} columns, expected at least {columns.needed_width} for task "
                f"{self.task.name}",
            )
        if is_csv and len(row) < columns.width:
            raise UnusableRowError(
                "short row", f"got {len(row)} columns, expected {columns.width} as {where}"
            )
        if len(row) > columns.width:
            remedy = (
                f"put a cell that has {self.source.delimiter!r} in it into double quotes"
                if is_csv
                else "remove the tab in one of its cells"
            )
            raise UnusableRowError(
                "long row",
                f"got {len(row)} columns, expected {columns.width} as {where}; {remedy}",
            )

    def _labels_in(self, cell: str) -> Sequence[str]:
        """Return the label in a cell, unchanged; for `multi_label` the names between commas.

        The names of `multi_label` are stripped and blank ones left out, so there may be none. They
        may also be a list as Python or JSON writes it, such as pandas leaves in a column of lists.

        Raises:
            UnusableRowError: The cell is in brackets and no such list.
        """
        if self.task.kind != "multi_label":
            return (cell,)
        cell = cell.strip()
        is_list = cell.startswith("[") and cell.endswith("]") and cell not in self.task.labels
        names = _written_list(cell) if is_list else cell.split(",")
        return [name.strip() for name in names if name.strip()]


def _refuse_quoted_cells(path: Path, row: Sequence[str]) -> None:
    """Refuse a `tsv` whose first row has each cell in quotes, which would be part of the texts.

    Raises:
        InputError: It has two cells or more, all in quotes.
    """
    are_quoted = (len(cell) > 1 and cell[0] == cell[-1] == '"' for cell in row)
    if len(row) > 1 and all(are_quoted):
        raise InputError(
            f"{path}, line 1: got all cells in quotes ({', '.join(row)[:100]}), which are ordinary "
            'characters in a tsv; declare format: csv and delimiter: "\\t" for this file'
        )


def _written_list(cell: str) -> list[str]:
    """Return the texts, or whole numbers as texts, of a list as Python or JSON writes it.

    Raises:
        UnusableRowError: It is no such list, as one that NumPy has written without commas.
    """
    try:
        items = ast.literal_eval(cell)
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        items = None
    are_labels = isinstance(items, list) and all(
        isinstance(item, str | int) and not isinstance(item, bool) for item in items
    )
    if not are_labels:
        raise UnusableRowError(
            "unknown label",
            f"got labels {cell[:100]!r}, expected names with commas between them, or a list such "
            "as ['sea', 'town']",
        )
    return list(map(str, items))
