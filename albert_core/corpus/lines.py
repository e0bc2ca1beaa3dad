"""Read lines of clean text from streams of bytes."""

import re
import string
from collections.abc import Iterator

from albert_core.corpus.config import CorpusConfig
from albert_core.corpus.containers import TextStream
from albert_core.corpus.counts import ReadCounts
from albert_core.errors import InputError

# Control characters, without those that are white space, and halves of surrogate pairs.
_CONTROL_BYTES = bytes({*range(0x09), *range(0x0E, 0x1C), 0x7F})
_CONTROLS = re.compile("[\x00-\x08\x0e-\x1b\x7f\x80-\x84\x86-\x9f\ud800-\udfff]")
# White space, and separators that no reader sees: zero-width space, word joiner, byte order mark.
_WITHOUT_WIDTH = string.whitespace + "\u00a0\u200b\u2060\ufeff"
_REPLACEMENT = "\ufffd"
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_BLOCK_BYTES = 1 << 16  # read and looked at together

Lines = Iterator[tuple[int, str]]
"""The offset of each line and its text, without line end and outer white space."""


def read_lines(source: TextStream, config: CorpusConfig, counts: ReadCounts) -> Lines:
    """Yield offset and text of the lines of a stream that begin at or behind its range's start.

    They go on to the end of the file, past the range's: whoever reads them stops. Blank lines are
    yielded as empty texts; offsets are in bytes. Texts are decoded, without outer white space and
    control characters; a byte order mark at the beginning of the file is dropped. What was replaced
    or removed is added to `counts`.

    Raises:
        InputError: A line is not UTF-8, and `config.invalid_utf8` is `refuse`.
    """
    for offset, lines in _blocks(source):
        texts = _clean_texts(lines) if offset else None
        if texts is None:
            yield from _cleaned_one_by_one(offset, lines, source.path, config, counts)
            continue
        for raw, text in zip(lines, texts, strict=True):
            yield offset, strip_line(text)
            offset += len(raw)


def strip_line(text: str) -> str:
    """Return a line without outer white space; empty if only characters without width are left."""
    text = text.strip()
    return "" if text and not text.strip(_WITHOUT_WIDTH) else text


def read_raw_lines(source: TextStream) -> Iterator[tuple[int, bytes]]:
    """Yield each line that begins in or behind the range: its byte offset, and its bytes.

    A line that begins before the range is left out. Lines go on to the end of the file, past the
    range's: whoever reads them stops. Offsets count from the beginning of the file; the bytes have
    the line's end.
    """
    for offset, lines in _blocks(source):
        for raw in lines:
            yield offset, raw
            offset += len(raw)


def _blocks(source: TextStream) -> Iterator[tuple[int, list[bytes]]]:
    """Yield blocks of lines, each with the offset of its first line; to the end of the file.

    A line that begins before the range is left out, one that begins right at its start is not; the
    end of the range is ignored.
    """
    file, offset = source.file, 0
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

    Returns one text a line, without its line feed. A block at a time, which is faster than line by
    line: nearly all text is clean.
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
    """Yield offset and text of each line of a block, decoded and cleaned by itself.

    What was replaced or removed is counted.

    Raises:
        InputError: A line is not UTF-8, and that is refused.
    """
    for raw in lines:
        text = _decode(raw, offset, path, config, counts)
        yield offset, strip_line(clean_text(text, raw, counts))
        offset += len(raw)


def _decode(raw: bytes, offset: int, path: str, config: CorpusConfig, counts: ReadCounts) -> str:
    """Decode a line; replace and count invalid bytes, or refuse them, as the settings say.

    A byte order mark is dropped where `offset` is 0.

    Raises:
        InputError: There are such bytes and `config.invalid_utf8` is `refuse`; names the byte.
    """
    if offset == 0 and raw.startswith(_BYTE_ORDER_MARK):
        offset = len(_BYTE_ORDER_MARK)  # of the first byte that is decoded, for the message
        raw = raw[offset:]
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
    """Return a text without control characters; add their number to `num_control_characters`.

    `raw` are the bytes of the text: looking for controls in them is faster. Tabs, line ends and
    other white space stay; halves of surrogate pairs go, too.
    """
    if text.isascii() and len(raw.translate(None, _CONTROL_BYTES)) == len(raw):
        return text
    cleaned, num_removed = _CONTROLS.subn("", text)
    counts.num_control_characters += num_removed
    return cleaned
