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
        "bz2": bz2.open,
        "tbz": bz2.open,
        "tbz2": bz2.open,
        "xz": lzma.open,
        "txz": lzma.open,
        "lzma": lzma.open,
        "zst": _open_zstd,
        "zstd": _open_zstd,
        "tzst": _open_zstd,
    }
    return cast("Callable[[BinaryIO], BinaryIO] | None", openers.get(suffix))


def _open_zstd(stored: BinaryIO) -> BinaryIO:
    """Return the decompressed content of a Zstandard file, buffered; read as it is asked for."""
    import pyarrow

    stream = pyarrow.CompressedInputStream(pyarrow.PythonFile(stored, mode="r"), "zstd")
    return io.BufferedReader(stream, _BUFFER_BYTES)
