"""The text of a task's file, in UTF-8 or refused with the way to convert it."""

from pathlib import Path

from albert_core.corpus.signatures import HEAD_BYTES, find_data, find_other
from albert_core.errors import InputError
from albert_core.files import read_regular_file


def read_text(path: Path) -> str:
    """Read a file of UTF-8 as text, line ends as they are, without its byte order mark.

    Raises:
        InputError: The file is missing, cannot be read, or is not UTF-8; says what it is where its
            first bytes tell.
    """
    data = read_regular_file(path)
    try:
        return data.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path}: not UTF-8 at byte {error.start}{_remedy(data[:HEAD_BYTES])}"
        ) from error


def _remedy(head: bytes) -> str:
    """Return what to do with a file that is not UTF-8, by its first bytes."""
    if head.startswith(b"PAR1"):
        return "; it is a Parquet file: give its name the ending .parquet, or declare its format"
    if kind := find_data(head) or find_other(head):
        what, _, remedy = kind.partition(", ")
        return f"; it is {what}: {remedy or 'save it as CSV in UTF-8'}"
    return "; convert the file, for example with `iconv -f WINDOWS-1252 -t UTF-8`"
