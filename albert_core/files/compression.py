"""Compressed files, known by the endings of their names."""

import bz2
import contextlib
import gzip
import io
import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from typing import BinaryIO, cast

from albert_core.errors import InputError

COMPRESSION_ENDINGS = (".gz", ".bz2", ".xz", ".lzma", ".zst", ".zstd")
_BUFFER_BYTES = 1 << 20
_DAMAGES = (
    EOFError,
    OSError,
    zlib.error,
    lzma.LZMAError,
    tarfile.TarError,
    zipfile.BadZipFile,
)


def without_compression(name: str) -> str:
    """Return a file's name without its ending of `COMPRESSION_ENDINGS`, in any case of letters.

    A name without such an ending, also one like `.tgz` or `.zip`, is returned as it is.
    """
    ending = next((ending for ending in COMPRESSION_ENDINGS if name.lower().endswith(ending)), "")
    return name[: len(name) - len(ending)]


def open_unpacked(path: str, stored: BinaryIO) -> BinaryIO:
    """Return the content of an open file, decompressed as it is read if its ending asks for it.

    The endings are `COMPRESSION_ENDINGS`; with any other ending `stored` itself is returned. Damage
    shows only when the result is read, as errors that `damage_errors` turns into an InputError.
    Zstandard needs pyarrow.
    """
    opener = None if without_compression(path) == path else decompressor(path)
    return opener(stored) if opener else stored


def unpacked(path: str, data: bytes) -> bytes:
    """Return the content of a file from its bytes, decompressed whole if its ending asks for it.

    Raises:
        InputError: It is damaged, or not compressed as its ending says.
    """
    if without_compression(path) == path:
        return data
    with damage_errors(path):
        return open_unpacked(path, io.BytesIO(data)).read()


@contextlib.contextmanager
def damage_errors(path: str) -> Iterator[None]:
    """Turn errors of decompression and archives raised inside into one that names the file.

    Any other OSError inside, such as that of a disk, is turned into the same.

    Raises:
        InputError: There was such an error.
    """
    try:
        yield
    except _DAMAGES as error:
        raise InputError(
            f"{path}: damaged or not compressed as its name says ({error}); copy it anew"
        ) from error


def decompressor(path: str) -> Callable[[BinaryIO], BinaryIO] | None:
    """Return the function that opens a compressed file, by its ending; None for any other.

    The ending counts in any case of letters. The function takes the open file and returns its
    content, decompressed as it is read. For compressed tar archives (`.tgz`, `.tar.gz` and so on)
    it undoes only the compression; for ZIP there is no function.
    """
    suffix = path.lower().rpartition(".")[2]
    openers = {
        "gz": gzip.open,
        "tgz": gzip.open,
        "bz2": _open_bz2,
        "tbz": _open_bz2,
        "tbz2": _open_bz2,
        "xz": _open_xz,
        "txz": _open_xz,
        "lzma": _open_xz,
        "zst": _open_zstd,
        "zstd": _open_zstd,
        "tzst": _open_zstd,
    }
    return cast("Callable[[BinaryIO], BinaryIO] | None", openers.get(suffix))


_Decompressor = bz2.BZ2Decompressor | lzma.LZMADecompressor


class _StreamReader(io.RawIOBase):
    """The content of a file of compressed streams, one after the other, as parallel programs write.

    Zeros between and behind them are padding. Python's own readers take damage in a stream behind
    the first one for the end of the file, and the rest of the text would be missing.

    Args:
        stored: The compressed file, open at its beginning.
        new_decompressor: Makes a decompressor of one stream.
    """

    def __init__(self, stored: BinaryIO, new_decompressor: Callable[[], _Decompressor]) -> None:
        """Begin with the first stream; nothing is read yet."""
        self._stored, self._new_decompressor = stored, new_decompressor
        self._decompressor: _Decompressor | None = new_decompressor()
        self._unused = b""  # what was read, and is not yet given to the decompressor

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: memoryview, /) -> int:  # type: ignore[override]
        """Fill a buffer, or the beginning of it; return how many bytes, 0 at the end of the file.

        Raises:
            EOFError: The file ends within a stream.
            OSError: A stream is damaged; an LZMAError in a file of xz.
        """
        while self._decompressor is not None:
            if not self._unused and self._decompressor.needs_input:
                self._unused = self._stored.read(_BUFFER_BYTES)
                if not self._unused:
                    raise EOFError("it ends before the end of its compressed stream")
            content = self._decompressor.decompress(self._unused, len(buffer))
            self._unused = b""
            if self._decompressor.eof:
                self._begin_next(self._decompressor.unused_data)
            if content:
                buffer[: len(content)] = content
                return len(content)
        return 0

    def _begin_next(self, data: bytes) -> None:
        """Make a decompressor of the next stream; None if nothing but padding follows.

        Args:
            data: What was read behind the stream before.
        """
        data = data.lstrip(b"\0")
        while not data and (block := self._stored.read(_BUFFER_BYTES)):
            data = block.lstrip(b"\0")
        self._unused = data
        self._decompressor = self._new_decompressor() if data else None


def _open_bz2(stored: BinaryIO) -> BinaryIO:
    """Return the decompressed content of a bzip2 file, read as it is asked for."""
    return io.BufferedReader(_StreamReader(stored, bz2.BZ2Decompressor), _BUFFER_BYTES)


def _open_xz(stored: BinaryIO) -> BinaryIO:
    """Return the decompressed content of a file of xz or LZMA, read as it is asked for."""
    return io.BufferedReader(_StreamReader(stored, lzma.LZMADecompressor), _BUFFER_BYTES)


def _open_zstd(stored: BinaryIO) -> BinaryIO:
    """Return the decompressed content of a Zstandard file, buffered; read as it is asked for."""
    import pyarrow

    stream = pyarrow.CompressedInputStream(pyarrow.PythonFile(stored, mode="r"), "zstd")
    return io.BufferedReader(stream, _BUFFER_BYTES)
