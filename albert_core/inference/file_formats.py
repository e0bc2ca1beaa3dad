"""The formats of files that are predicted for, and of files of predictions and vectors."""

from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Literal, TypeVar

from albert_core.errors import InputError
from albert_core.files.compression import without_compression

RowFormat = Literal["lines", "tsv", "csv", "jsonl", "parquet", "conll"]
ResultFormat = Literal["jsonl", "tsv", "csv", "parquet"]
VectorFormat = Literal["npy", "parquet"]

STANDARD_INPUT = STANDARD_OUTPUT = "-"

_ROW_ENDINGS: Mapping[str, RowFormat] = {
    ".txt": "lines",
    ".tsv": "tsv",
    ".csv": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
    ".conll": "conll",
}
_RESULT_ENDINGS: Mapping[str, ResultFormat] = {
    ".jsonl": "jsonl",
    ".tsv": "tsv",
    ".csv": "csv",
    ".parquet": "parquet",
}
_VECTOR_ENDINGS: Mapping[str, VectorFormat] = {".npy": "npy", ".parquet": "parquet"}

_Format = TypeVar("_Format", bound=str)


def find_row_format(path: str, given: RowFormat | None) -> RowFormat:
    """Return the format of a file of rows: the given one, or else by its ending.

    Endings of compressed files are looked through. Standard input, the path `-`, has lines, if
    nothing is given. The file need not exist.

    Raises:
        InputError: The ending is unknown, or Parquet is to be read from standard input.
    """
    if path != STANDARD_INPUT:
        unpacked = without_compression(path)
        return given or _by_ending(unpacked, _ROW_ENDINGS, remedy="; or give --format")
    if given == "parquet":
        raise InputError("-: got Parquet on standard input, expected the name of such a file")
    return given or "lines"


def find_result_format(path: str, given: ResultFormat | None) -> ResultFormat:
    """Return the format of a file of predictions: the given one, or else by its ending.

    Standard output, the path `-`, gets JSON lines, if nothing is given.

    Raises:
        InputError: The ending is unknown or that of a compressed file, which is not written, or
            Parquet is to be written to standard output.
    """
    if without_compression(path) != path:
        raise InputError(
            f"output {path}: got the ending of a compressed file, expected a name without it; "
            "compress the file afterwards"
        )
    if path != STANDARD_OUTPUT:
        return given or _by_ending(path, _RESULT_ENDINGS, remedy="; or give --output_format")
    if given == "parquet":
        raise InputError("output: got Parquet on standard output, expected --output with a file")
    return given or "jsonl"


def find_vector_format(path: str) -> VectorFormat:
    """Return the format of a file of vectors, by its ending.

    Raises:
        InputError: The ending is unknown.
    """
    return _by_ending(path, _VECTOR_ENDINGS)


def _by_ending(path: str, endings: Mapping[str, _Format], *, remedy: str = "") -> _Format:
    """Return the format of a file by the ending of its name, in upper or lower case.

    Raises:
        InputError: The ending is none of them; `remedy` says what else can be done.
    """
    ending = PurePosixPath(path).suffix.lower()
    if ending not in endings:
        raise InputError(
            f"{path}: got the ending {ending!r}, expected one of {', '.join(endings)}{remedy}"
        )
    return endings[ending]
