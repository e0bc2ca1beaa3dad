"""Files of examples to predict for, read row by row, whatever their size."""

import contextlib
import dataclasses
import functools
import io
import itertools
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, BinaryIO

from albert_core.errors import InputError
from albert_core.files.compression import damage_errors, open_unpacked, without_compression
from albert_core.inference.file_formats import STANDARD_INPUT, RowFormat
from albert_core.row_formats import (
    NumberedCells,
    find_other_delimiter,
    open_parquet,
    read_conll_sentences,
    read_csv_cells,
    read_json_objects,
    read_tsv_cells,
    refuse_repeated_names,
)
from albert_core.storage import find_files, open_file

_MOST_ZEROS = 0.2  # of text; UTF-16 of Latin letters has half
TEXT_COLUMN = "text"  # what a plain line is


@dataclasses.dataclass(frozen=True, kw_only=True)
class Row:
    """A row of a file.

    Attributes:
        place: File and line, for messages.
        values: Its cells by column: text, but a list of words in CoNLL, and any value in JSON lines
            and Parquet.
    """

    place: str
    values: Mapping[str, Any]


@dataclasses.dataclass(frozen=True, kw_only=True)
class RowFile:
    """An open file of rows; iterate over it once.

    Attributes:
        total: What `done` reaches at the end, in bytes or rows; 0 where that is not known.
        done: Returns how much has been read.
        rows: The rows.
    """

    total: int
    done: Callable[[], int]
    rows: Iterator[Row]


@contextlib.contextmanager
def open_rows(path: str, row_format: RowFormat, *, word_column: int = 0) -> Iterator[RowFile]:
    """Open a file of rows for the body; only a part of it is in memory at a time.

    `lines` has an example a line, in a column `text`. `tsv` and `csv` begin with a line of names;
    quotes are ordinary characters in `tsv`. `jsonl` has an object a line. `conll` has a word a line
    in one of its columns, and an empty line after each sentence, whose words are a list in a column
    `text`. Text is UTF-8, and a byte order mark is skipped.

    Args:
        path: A file, local, gs:// or s3://, or `-` for standard input.
        row_format: Its format; standard input cannot be Parquet.
        word_column: Number of the column of words of `conll`, below 0 from the end; not read in
            lines of one column.

    Raises:
        InputError: There is no such file, or, while it is read, a row is not of the format, names
            are there twice, text is not UTF-8, or the file is damaged; names the line.
        ServiceError: The storage of a file in the cloud failed.
    """
    if row_format == "parquet":
        with _open_parquet(path) as rows:
            yield rows
        return
    with _open_bytes(path) as file:
        text = io.TextIOWrapper(
            open_unpacked(path, file),
            encoding="utf-8-sig",
            newline="" if row_format == "csv" else "\n",
        )
        read: dict[str, Callable[[str, Iterable[str]], Iterator[Row]]] = {
            "lines": _read_lines,
            "tsv": _read_tsv,
            "csv": _read_csv,
            "jsonl": _read_jsonl,
            "conll": functools.partial(_read_conll, word_column=word_column),
        }
        is_stream = path == STANDARD_INPUT
        try:
            yield RowFile(
                total=0 if is_stream else find_files(path)[0].num_bytes,
                done=(lambda: 0) if is_stream else file.tell,
                rows=_refusing_other_encodings(
                    path, read[row_format](path, _checked_lines(path, text))
                ),
            )
        finally:
            text.detach()  # or it would close the file, which may be standard input


@contextlib.contextmanager
def _open_bytes(path: str) -> Iterator[BinaryIO]:
    """Open a file of bytes for the body; standard input stays open.

    Raises:
        InputError: There is no such file, or it must not be read.
        ServiceError: The storage of a file in the cloud failed.
    """
    if path == STANDARD_INPUT:
        yield sys.stdin.buffer
        return
    with open_file(path) as file:
        yield file


@contextlib.contextmanager
def _open_parquet(path: str) -> Iterator[RowFile]:
    """Open a Parquet file for the body; `done` and `total` are rows.

    Rows are read as they are taken, each value as its column's type.

    Raises:
        InputError: It is no such file.
    """
    with open_file(path) as file:
        table = open_parquet(path, file)
        num_read = 0

        def rows() -> Iterator[Row]:
            """Yield the file's rows one by one; count them for `done`."""
            nonlocal num_read
            for number, values in table.rows():
                num_read = number
                yield Row(place=f"{path}, row {number}", values=values)

        yield RowFile(total=table.num_rows, done=lambda: num_read, rows=rows())


def _refusing_other_encodings(path: str, rows: Iterable[Row]) -> Iterator[Row]:
    """Yield rows as they are; turn errors of reading them into ones that name the file.

    If text is not UTF-8, the message names the line after the last row that was yielded, or the
    first line. The text may be some lines further on, since files are decoded in blocks.

    Args:
        path: The file that the rows are from.
        rows: Its rows, read as they are taken.

    Raises:
        InputError: Text is not UTF-8; or the file is compressed, by the ending of its name, and is
            damaged or cannot be read.
    """
    last = "the first line"
    is_plain = without_compression(path) == path
    try:
        with contextlib.nullcontext() if is_plain else damage_errors(path):
            for row in rows:
                last = f"the line after {row.place}"
                yield row
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path}: not UTF-8 near {last} ({error.reason}); convert the file, for example with "
            "iconv"
        ) from error


def _checked_lines(path: str, lines: Iterable[str]) -> Iterator[str]:
    """Yield lines of text; refuse by the first of them what is no text, or has other line ends.

    Raises:
        InputError: Over 20 % of the first line are zeros, as in UTF-16; or it is the whole file and
            has carriage returns in it, which end its lines.
    """
    for number, line in enumerate(lines):
        content = line.rstrip("\r\n")
        if number == 0 and content.count("\0") > _MOST_ZEROS * len(content):
            raise InputError(
                f"{path}: got binary data or UTF-16 without a byte order mark, expected text in "
                "UTF-8; convert the file, for example with `iconv -f UTF-16LE -t UTF-8`"
            )
        if number == 0 and "\r" in content and not line.endswith("\n"):
            raise InputError(
                f"{path}: got lines that end in a carriage return alone, expected line feeds; "
                "convert the file, for example with `tr '\\r' '\\n'`"
            )
        yield line


def _read_lines(path: str, lines: Iterable[str]) -> Iterator[Row]:
    for number, line in enumerate(lines, start=1):
        yield Row(place=f"{path}, line {number}", values={TEXT_COLUMN: line.rstrip("\r\n")})


def _read_conll(path: str, lines: Iterable[str], *, word_column: int) -> Iterator[Row]:
    """Yield the words of each sentence, with the sentence's first line as the place.

    A line of one column is a word, whatever `word_column` says; further columns are left out.

    Raises:
        InputError: A line has several columns, but not that of words.
    """
    for sentence in read_conll_sentences(lines):
        words = []
        for number, cells in sentence:
            column = word_column if len(cells) > 1 else 0
            if not -len(cells) <= column < len(cells):
                raise InputError(
                    f"{path}, line {number}: got {len(cells)} columns ({' '.join(cells)[:80]}), "
                    f"expected the word in column {column}, from 0, as in the task's files, or "
                    "nothing but the word"
                )
            words.append(cells[column])
        yield Row(place=f"{path}, line {sentence[0][0]}", values={TEXT_COLUMN: words})


def _read_tsv(path: str, lines: Iterable[str]) -> Iterator[Row]:
    yield from _with_header(path, read_tsv_cells(lines))


def _read_csv(path: str, lines: Iterable[str]) -> Iterator[Row]:
    """Yield the rows of CSV by the names in its first row.

    Raises:
        InputError: It is no CSV, other signs than commas are between its cells, a name is there
            twice, or a row has another number of cells than the first.
    """
    rows = read_csv_cells(path, lines)
    for first in rows:
        if other := find_other_delimiter(first[1]):
            remedy = "give --format tsv" if other == "\t" else "save it with commas"
            raise InputError(
                f"{path}, line 1: got one column, {first[1][0][:100]!r}, expected commas between "
                f"columns; {remedy}"
            )
        yield from _with_header(path, itertools.chain([first], rows))


def _with_header(path: str, rows: NumberedCells) -> Iterator[Row]:
    """Yield rows by the names in the first of them, which is not yielded itself.

    Empty lines are left out if there is more than one column. Without any row nothing is yielded.

    Raises:
        InputError: A name is there twice, or a row has another number of cells.
    """
    _, names = next(rows, (0, []))
    refuse_repeated_names(names, f"{path}, line 1")
    for number, cells in rows:
        if cells in ([], [""]) and len(names) > 1:
            continue
        if len(cells) != len(names):
            raise InputError(
                f"{path}, line {number}: got {len(cells)} cells, expected {len(names)} as in the "
                "first line"
            )
        yield Row(place=f"{path}, line {number}", values=dict(zip(names, cells, strict=True)))


def _read_jsonl(path: str, lines: Iterable[str]) -> Iterator[Row]:
    for number, values in read_json_objects(path, lines):
        yield Row(place=f"{path}, line {number}", values=values)
