"""Read examples from tables: between tabs or commas, JSON lines, Parquet."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from albert_core.settings.json_values import FieldError
from albert_core.tasks.cell_rows import CellRows, is_tab_separated
from albert_core.tasks.examples import UNEVEN_CHOICES, Example, InvalidRows
from albert_core.tasks.object_rows import JsonRows, ParquetRows
from albert_core.tasks.rows import TaskRows, UnusableRowError
from albert_core.tasks.source import COMMA, Format, Source
from albert_core.tasks.task import Task


def find_format(task: Task, source: Source, path: Path) -> Format:
    """Return the format of a file: the declared one, or else by the task's kind and its name.

    Files of questions are `squad`, unless the ending is that of Parquet; of words with tags
    `conll`, unless it is that of JSON lines or Parquet. For other tasks the ending tells, in any
    case of letters and without one of compression; with any other ending a file is `tsv`. So is
    one named .csv whose first line has a tab, if neither format nor delimiter is declared: many
    tables are named so. The file is opened for that alone; a .csv that cannot be read is `csv`.
    """
    file_format = task.source_format(source, path.name)
    is_declared = source.format != "auto" or source.delimiter != COMMA
    if file_format == "csv" and not is_declared and is_tab_separated(path):
        return "tsv"
    return file_format


def open_rows(task: Task, source: Source, path: Path, train_header: Sequence[str]) -> TaskRows:
    """Return the rows of a table, by its format; at most its first line has been read then.

    Formats that are no table's are taken for `tsv`. When rows are taken, a file that cannot be
    read, is not of its format or has another header than expected raises InputError.

    Args:
        task: The task.
        source: The file's declaration.
        path: The file.
        train_header: Header of the training table; columns that are declared by number must be in
            the same order here. Empty if there is none. Read for `tsv` and `csv` only.
    """
    file_format = find_format(task, source, path)
    if file_format == "jsonl":
        return JsonRows(task, source, path)
    if file_format == "parquet":
        return ParquetRows(task, source, path)
    return CellRows(
        task,
        source,
        path,
        file_format="csv" if file_format == "csv" else "tsv",
        train_header=train_header,
    )


def read_table(
    task: Task,
    source: Source,
    path: Path,
    *,
    checks_texts: bool,
    invalid_rows: InvalidRows,
    numbers: Iterator[int],
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
        numbers: What the rows are numbered by where the source names no id; as many are taken as
            the file has rows, also for rows that are left out or skipped.
        train_header: The header of the training table; columns that are declared by number must
            stand in the same order here.

    Raises:
        InputError: The file is missing or unreadable, its header is not the one its columns are
            declared for, or a row cannot be used and `invalid_rows` refuses such.
    """
    rows = open_rows(task, source, path, train_header)
    seen: set[str] = set()
    for (number, row), index in zip(rows, numbers, strict=False):
        place = f"{path}, {rows.unit} {number}"
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
        except UnusableRowError as error:
            invalid_rows.add(error.cause, f"{place}: {error}")
            continue
        yield example


def _refuse_repeated(example: Example, seen: set[str]) -> None:
    """Refuse an example with an id that was seen; add its id to `seen`.

    Raises:
        UnusableRowError: The id was seen.
    """
    if example.id in seen:
        raise UnusableRowError("duplicate id", f"got id {example.id!r} again")
    seen.add(example.id)


def _refuse_empty(example: Example) -> None:
    if not all(text.strip() for text in example.texts):
        raise UnusableRowError("empty text", "got an empty text, expected words")


def _refuse_uneven(example: Example, invalid_rows: InvalidRows) -> None:
    """Refuse an example of multiple choice with other choices than the split's first in number.

    Raises:
        UnusableRowError: It has more or fewer. The first example that is given sets the number.
    """
    if uneven := invalid_rows.describe_uneven(len(example.texts) - 1):
        raise UnusableRowError(UNEVEN_CHOICES, uneven)
