"""Rows of files, parsed as they are read: tables between tabs or commas, JSON lines, Parquet.

The one place that knows these formats. Files of tasks, files that are predicted for and corpora
are read through it.
"""

import contextlib
import csv
import dataclasses
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, BinaryIO

from albert_core.errors import InputError
from albert_core.files.compression import without_compression
from albert_core.settings.json_values import JsonObject, parse_json

NumberedCells = Iterator[tuple[int, list[str]]]
"""The number of the line in which each row begins, from 1, and its cells."""
NumberedObjects = Iterator[tuple[int, Mapping[str, Any]]]
"""The number of each line or row, from 1, and its values by name."""
ConllLines = list[tuple[int, list[str]]]
"""The number of each line of a sentence, from 1, and its cells."""

_OTHER_DELIMITERS = ";\t|"
_MAX_CELL = 1 << 30  # characters of a cell; Python's own limit is 128 Ki
_DOCUMENT_START = "-DOCSTART-"  # of CoNLL 2003, between documents
_SPACES = re.compile(" +")
# https://universaldependencies.org/format.html; `# id ... domain=` is MultiCoNER's.
_CONLL_U_COMMENT = re.compile(r"# ?(\S+ = |\S+ =$|(newdoc|newpar)( |$)|id \S+ domain=)")
_CONLL_U_ID = re.compile(r"\d+([-.]\d+)?")
_BATCH_ROWS = 1024  # of a Parquet file, in memory together
_HUGGING_FACE = b"huggingface"  # key of the metadata that its `datasets` write into Parquet files


def read_tsv_cells(lines: Iterable[str]) -> NumberedCells:
    """Yield number, from 1, and cells between tabs of each line; quotes are ordinary characters.

    An empty line has one empty cell.

    Args:
        lines: With or without their ends, which are removed.
    """
    for number, line in enumerate(lines, start=1):
        yield number, line.rstrip("\r\n").split("\t")


def read_csv_cells(path: str, lines: Iterable[str], *, delimiter: str = ",") -> NumberedCells:
    """Yield the number of its first line, from 1, and the cells of each row of CSV as in RFC 4180.

    Cells in double quotes may hold delimiters, doubled quotes and line ends. An empty line is a row
    without cells. Raises the limit that Python's csv has for a cell, in the whole process.

    Args:
        path: The file, for messages.
        lines: With their ends as they are in the file.
        delimiter: The character between cells.

    Raises:
        InputError: A quote is not closed, or characters follow one that is; names the line in which
            the row begins.
    """
    csv.field_size_limit(_MAX_CELL)
    reader = csv.reader(lines, strict=True, delimiter=delimiter)
    begin = 1
    try:
        for cells in reader:
            yield begin, cells
            begin = reader.line_num + 1
    except csv.Error as error:
        raise InputError(
            f"{path}, line {begin}: not CSV ({error}); put cells with quotes into quotes, and "
            "double those inside"
        ) from error


def find_other_delimiter(first_row: Sequence[str]) -> str | None:
    """Return the delimiter of a CSV that was read with another one.

    It is the first of `;`, tab and `|` that is in the only cell of the first row; None if that row
    has several cells, or none of these signs.
    """
    if len(first_row) != 1:
        return None
    return next((sign for sign in _OTHER_DELIMITERS if sign in first_row[0]), None)


def read_json_objects(path: str, lines: Iterable[str]) -> NumberedObjects:
    """Yield number, from 1, and JSON object of each line; blank lines only count.

    Raises:
        InputError: A line is no JSON object.
    """
    for number, line in enumerate(lines, start=1):
        if line.strip():
            place = f"{path}, line {number}"
            if line.lstrip().startswith("["):
                raise InputError(
                    f"{place}: got a list, expected an object a line; write it so, for example "
                    "with `jq -c '.[]'`, or to_json(orient='records', lines=True) of pandas"
                )
            values = parse_json(line, place, expected="an object a line")
            yield number, JsonObject.of(values, place).values


def read_conll_sentences(lines: Iterable[str]) -> Iterator[ConllLines]:
    """Yield the lines of each sentence in CoNLL's columns: their numbers, from 1, and their cells.

    Cells are between tabs in a line that has any, else between spaces. An empty line ends a
    sentence, and so does one that begins with `-DOCSTART-`, which is left out. Also left out are
    comments before the first word of a sentence that have CoNLL-U's forms (`# text = ...`, `#
    newdoc`); and, in a sentence in CoNLL-U's ten columns, all comments there, the lines of several
    words together (`1-2`) and the lines of empty nodes (`8.1`). White space of other kinds is part
    of words.
    """
    sentence: ConllLines = []
    for number, line in enumerate(lines, start=1):
        content = line.strip(" \t\r\n")
        if "\t" in content:
            cells = [cell.strip(" ") for cell in content.split("\t")]
        else:
            cells = _SPACES.split(content)
        if content and cells[0] != _DOCUMENT_START:
            sentence.append((number, cells))
            continue
        if words := _words_of(sentence):
            yield words
        sentence = []
    if words := _words_of(sentence):
        yield words


def _words_of(sentence: ConllLines) -> ConllLines:
    """Return the lines of a sentence that stand for its words; maybe none.

    Left out are CoNLL-U's forms of comments before the first word. If all other lines have
    CoNLL-U's ten columns, all comments there are, and so are the lines whose first cell is no whole
    number.
    """
    is_first = (not cells[0].startswith("#") for _, cells in sentence)
    num_comments = next((index for index, is_word in enumerate(is_first) if is_word), len(sentence))
    comments, lines = sentence[:num_comments], sentence[num_comments:]
    if lines and all(len(cells) == 10 and _CONLL_U_ID.fullmatch(cells[0]) for _, cells in lines):
        return [(number, cells) for number, cells in lines if cells[0].isdecimal()]
    # In other columns `#` may be a word.
    words = (line for line in comments if not _CONLL_U_COMMENT.match(" ".join(line[1])))
    return [*words, *lines]


@dataclasses.dataclass(frozen=True, kw_only=True)
class ParquetTable:
    """An open Parquet file.

    Attributes:
        path: The file, for messages.
        file: The file as pyarrow reads it, a `pyarrow.parquet.ParquetFile`.
        names: Its columns, each name once.
        class_names: Names of the classes that the whole numbers of a column stand for, by column,
            where Hugging Face's metadata in the file say so (`ClassLabel`).
    """

    path: str
    file: Any
    names: Sequence[str]
    class_names: Mapping[str, Sequence[str]]

    @property
    def num_rows(self) -> int:
        """Number of rows."""
        return self.file.metadata.num_rows

    def rows(self, columns: Sequence[str] | None = None) -> NumberedObjects:
        """Yield number, from 1, and values by column of each row; 1,024 rows are read at a time.

        The file stays open, so that its rows can be read again.

        Args:
            columns: Names of the columns to read; those that the file does not have are passed
                over. None: all.

        Raises:
            InputError: The file is damaged, or a value is none that Python has: text that is not
                UTF-8, a date after the year 9999; names row and column.
        """
        num_read = 0
        with _parquet_errors(self.path):
            for batch in self.file.iter_batches(batch_size=_BATCH_ROWS, columns=columns):
                try:
                    rows = batch.to_pylist()
                except (ValueError, OverflowError) as error:
                    raise _unreadable_value(self.path, batch, num_read) from error
                yield from enumerate(rows, start=num_read + 1)
                num_read += len(rows)


def open_parquet(path: str, file: BinaryIO) -> ParquetTable:
    """Open a Parquet file; imports pyarrow.

    Args:
        path: Its address, for messages.
        file: Its bytes, open as long as rows are read.

    Raises:
        InputError: It is no Parquet file, has several columns of one name, or pyarrow is not
            installed.
    """
    with _parquet_errors(path):
        import pyarrow.parquet

        table = pyarrow.parquet.ParquetFile(file)
        schema = table.schema_arrow
    refuse_repeated_names(schema.names, path)
    return ParquetTable(
        path=path,
        file=table,
        names=tuple(schema.names),
        class_names=_class_names((schema.metadata or {}).get(_HUGGING_FACE, b"{}")),
    )


def _unreadable_value(path: str, batch: Any, num_before: int) -> InputError:
    """Return the error of the first value in a batch of a Parquet file that Python cannot have.

    If no single value shows such an error, it only names the row before the batch.

    Args:
        path: The file.
        batch: Its rows, a `pyarrow.RecordBatch`, with such a value.
        num_before: Number of rows before these.
    """
    for row in range(batch.num_rows):
        for name, column in zip(batch.schema.names, batch.columns, strict=True):
            try:
                column[row].as_py()
            except UnicodeDecodeError as error:
                return InputError(
                    f"{path}, row {num_before + row + 1}: {name} is not UTF-8 ({error.reason} at "
                    f"byte {error.start}); write the file anew, its texts decoded"
                )
            except (ValueError, OverflowError) as error:
                return InputError(
                    f"{path}, row {num_before + row + 1}: {name} cannot be read ({error}); write "
                    "the file anew without it"
                )
    return InputError(f"{path}: got rows after row {num_before:,} that cannot be read")


def refuse_repeated_names(names: Sequence[str], place: str) -> None:
    """Refuse several columns with the same name.

    Raises:
        InputError: There are such; the message begins with `place` and lists all.
    """
    if len(set(names)) < len(names):
        raise InputError(f"{place}: got columns {', '.join(names)}, expected each name once")


@contextlib.contextmanager
def _parquet_errors(path: str) -> Iterator[None]:
    """Turn errors of pyarrow inside, any OSError and its absence into one that names the file.

    Raises:
        InputError: There was such an error; says what to do.
    """
    try:
        import pyarrow
    except ImportError as error:
        raise InputError(
            f"{path}: got Parquet, which needs the package pyarrow; it comes with pip install "
            "'albert-pipeline[data]', from a checkout `make setup`"
        ) from error
    try:
        yield
    except (pyarrow.ArrowException, OSError) as error:
        reason = " ".join(str(error).split())
        remedy = "copy it anew" if without_compression(path) == path else "unpack it"
        raise InputError(f"{path}: not a Parquet file ({reason}); {remedy}") from error


def _class_names(metadata: bytes) -> dict[str, Sequence[str]]:
    """Return the names of classes by column from Hugging Face's metadata; empty if they tell none.

    A column of classes, or of lists of them, counts.
    """
    try:
        features = json.loads(metadata)["info"]["features"]
        return {name: names for name, feature in features.items() if (names := _names_in(feature))}
    except (ValueError, LookupError, TypeError, AttributeError):
        return {}


def _names_in(feature: Any) -> Sequence[str]:
    """Return the class names of a feature, or of the items of a list; empty if it has none.

    Args:
        feature: One value of `features` in Hugging Face's metadata, from JSON: an object, or a list
            that holds the object of its items.

    Raises:
        LookupError: A list is empty, or a feature of classes has no names.
        AttributeError: It is neither an object nor a list that holds one.
        TypeError: The names of a feature of classes cannot be iterated, such as null.
    """
    if isinstance(feature, list):
        feature = feature[0]
    if feature.get("_type") == "ClassLabel":
        return tuple(map(str, feature["names"]))
    return _names_in(feature["feature"]) if isinstance(feature.get("feature"), dict) else ()
