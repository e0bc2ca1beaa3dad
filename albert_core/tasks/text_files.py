"""Read a task's file as UTF-8, decompressed; for other encodings say how to convert them."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from albert_core.corpus.signatures import HEAD_BYTES, find_data, find_other
from albert_core.errors import InputError
from albert_core.files.atomic import read_regular_file
from albert_core.files.compression import (
    damage_errors,
    open_unpacked,
    unpacked,
    without_compression,
)
from albert_core.storage import open_file


def read_text(path: Path) -> str:
    """Return the text of a file in UTF-8, decompressed by its ending, without a byte order mark.

    Line ends stay as they are.

    Raises:
        InputError: The file is missing, not a regular file, cannot be read, is damaged or not
            UTF-8. The message says what the file is if its first bytes tell.
    """
    data = unpacked(str(path), read_regular_file(path))
    try:
        return data.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path}: not UTF-8 at byte {error.start}{_remedy(data[:HEAD_BYTES])}"
        ) from error


def read_lines(path: Path) -> list[str]:
    """Return the lines of a file, as `read_text` reads it, without line feeds.

    Raises:
        InputError: As `read_text`, or the lines end in carriage returns alone.
    """
    return split_lines(read_text(path), path)


def split_lines(text: str, path: Path) -> list[str]:
    """Return the lines of a file's text, without line feeds; the last may be empty.

    Args:
        text: The text.
        path: The file, for messages.

    Raises:
        InputError: Lines end in carriage returns alone: all would be one.
    """
    content = text.rstrip("\r\n")
    if "\r" in content and "\n" not in content:
        raise InputError(
            f"{path}: got lines that end in a carriage return alone, expected line feeds; "
            "convert the file, for example with `tr '\\r' '\\n'`"
        )
    return text.split("\n")


@contextlib.contextmanager
def open_unpacked_file(path: str) -> Iterator[BinaryIO]:
    """Open a task's file, local, gs:// or s3://, for a `with` block that reads it decompressed.

    The ending of its name tells whether it is compressed.

    Raises:
        InputError: The file is missing or cannot be read, or the block finds it damaged.
        ServiceError: The storage failed.
    """
    errors = contextlib.nullcontext() if without_compression(path) == path else damage_errors(path)
    with open_file(path) as stored, errors:
        yield open_unpacked(path, stored)


def _remedy(head: bytes) -> str:
    """Return the remedy for a file that is not UTF-8, by its first bytes.

    It follows a sentence: it begins with a semicolon and a space.
    """
    if head.startswith(b"PAR1"):
        return "; it is a Parquet file: give its name the ending .parquet, or declare its format"
    if kind := find_data(head) or find_other(head):
        what, _, remedy = kind.partition(", ")
        return f"; it is {what}: {remedy or 'save it as CSV in UTF-8'}"
    return (
        "; convert the file, for example with `iconv -f WINDOWS-1252 -t UTF-8`, by the encoding "
        "that it has: GB18030 is common for Chinese"
    )
