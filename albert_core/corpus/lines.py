"""Read lines of clean text from files of bytes."""

import bz2
import contextlib
import dataclasses
import gzip
import io
import re
import zlib
from collections.abc import Callable, Iterator
from typing import BinaryIO, cast

from albert_core.corpus.config import CorpusConfig
from albert_core.corpus.files import FileRange
from albert_core.errors import InputError
from albert_core.storage import open_file

# Control characters, without those that are white space, and halves of surrogate pairs.
_CONTROL_BYTES = bytes({*range(0x09), *range(0x0E, 0x1C), 0x7F})
_CONTROLS = re.compile("[\x00-\x08\x0e-\x1b\x7f\x80-\x84\x86-\x9f\ud800-\udfff]")
_REPLACEMENT = "\ufffd"
_BUFFER_BYTES = 1 << 20
_BLOCK_BYTES = 1 << 16  # read and looked at together

Lines = Iterator[tuple[int, str]]
"""The offset of each line and its text, without line end and outer white space."""


@dataclasses.dataclass
class ReadCounts:
    """Counts of irregularities that readers met.

    Attributes:
        num_invalid_utf8: Byte sequences that were not UTF-8 and were replaced.
        num_control_characters: Control characters that were removed.
        num_cut_sentences: Sentences cut because they were too long for any model.
        num_empty_texts: Rows without a text.
    """

    num_invalid_utf8: int = 0
    num_control_characters: int = 0
    num_cut_sentences: int = 0
    num_empty_texts: int = 0


def read_lines(source: FileRange, config: CorpusConfig, counts: ReadCounts) -> Lines:
    """Yield the lines of a file that begin at or behind the start of a range, to the file's end.

    Raises:
        InputError: The file is not UTF-8, and that is refused; or it is damaged.
    """
    for offset, lines in _blocks(source):
        texts = _clean_texts(lines) if offset else None
        if texts is None:
            yield from _cleaned_one_by_one(offset, lines, source.path, config, counts)
            continue
        for raw, text in zip(lines, texts, strict=True):
            yield offset, text.strip()
            offset += len(raw)


def read_raw_lines(source: FileRange) -> Iterator[tuple[int, bytes]]:
    """Yield lines as bytes, with their offsets."""
    for offset, lines in _blocks(source):
        for raw in lines:
            yield offset, raw
            offset += len(raw)


def _blocks(source: FileRange) -> Iterator[tuple[int, list[bytes]]]:
    """Yield blocks of lines, each with the offset of its first line; from the range's start on.

    A line that begins before the range is left out, one that begins right at its start is not.
    """
    with open_text(source.path) as file:
        offset = 0
        if source.start:
            # One byte back: if that is a line end, `readline` takes it alone, and the line that
            # begins exactly at the start is kept.
            file.seek(source.start - 1)
            offset = source.start - 1 + len(file.readline())
        while lines := file.readlines(_BLOCK_BYTES):
            yield offset, lines
            offset += sum(map(len, lines))


def _clean_texts(lines: list[bytes]) -> list[str] | None:
    """Decode a block of lines if it is UTF-8 without control characters; else return None.

    A block at a time, which is faster than line by line: nearly all text is clean.
    """
    block = b"".join(lines)
    if len(block.translate(None, _CONTROL_BYTES)) != len(block):
        return None
    try:
        text = block.decode("utf-8")
    except UnicodeDecodeError:
        return None
    if not text.isascii() and _CONTROLS.search(text):
        return None
    return text.removesuffix("\n").split("\n")


def _cleaned_one_by_one(
    offset: int, lines: list[bytes], path: str, config: CorpusConfig, counts: ReadCounts
) -> Lines:
    """Yield the lines of a block, each decoded and cleaned by itself; count what was wrong."""
    for raw in lines:
        text = _decode(raw, offset, path, config, counts)
        yield offset, clean_text(text, raw, counts).strip()
        offset += len(raw)


@contextlib.contextmanager
def open_text(path: str) -> Iterator[BinaryIO]:
    """Open a file, decompressing it if its name ends in .gz, .bz2, .zst or .zstd.

    Raises:
        InputError: The file turns out to be damaged while it is read.
    """
    opener = _decompressor(path)
    with open_file(path) as stored:
        if opener is None:
            yield stored
            return
        try:
            with opener(stored) as file:
                yield file
        except (EOFError, OSError, zlib.error) as error:
            raise InputError(
                f"{path}: damaged or not compressed as its name says ({error}); copy it anew"
            ) from error


def _decompressor(path: str) -> Callable[[BinaryIO], BinaryIO] | None:
    """Return the function that opens a compressed file by its name; None for a plain file."""
    suffix = path.lower().rpartition(".")[2]
    openers = {"gz": gzip.open, "bz2": bz2.open, "zst": _open_zstd, "zstd": _open_zstd}
    return cast("Callable[[BinaryIO], BinaryIO] | None", openers.get(suffix))


def _open_zstd(stored: BinaryIO) -> BinaryIO:
    import pyarrow

    stream = pyarrow.CompressedInputStream(pyarrow.PythonFile(stored, mode="r"), "zstd")
    return io.BufferedReader(stream, _BUFFER_BYTES)


def _decode(raw: bytes, offset: int, path: str, config: CorpusConfig, counts: ReadCounts) -> str:
    """Decode a line; replace and count invalid bytes, or refuse them, as the settings say."""
    if offset == 0:
        raw = raw.removeprefix(b"\xef\xbb\xbf")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        if config.invalid_utf8 == "refuse":
            raise InputError(
                f"{path}: not UTF-8 at byte {offset + error.start}; convert the file, for "
                "example with iconv, or set corpus.invalid_utf8=replace"
            ) from error
    text = raw.decode("utf-8", errors="replace")
    counts.num_invalid_utf8 += text.count(_REPLACEMENT) - raw.count(_REPLACEMENT.encode())
    return text


def clean_text(text: str, raw: bytes, counts: ReadCounts) -> str:
    """Return a text without control characters, and count them.

    `raw` are the bytes of the text: looking for controls in them is faster.
    """
    if text.isascii() and len(raw.translate(None, _CONTROL_BYTES)) == len(raw):
        return text
    cleaned, num_removed = _CONTROLS.subn("", text)
    counts.num_control_characters += num_removed
    return cleaned
