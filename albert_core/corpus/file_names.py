"""What names of files tell: that a system wrote them for itself, or that they are compressed."""

import dataclasses
from pathlib import PurePosixPath

TAR_SUFFIXES = (".tar", ".tgz", ".tbz", ".tbz2", ".txz", ".tzst")
COMPRESSED_SUFFIXES = (".gz", ".bz2", ".xz", ".lzma", ".zst", ".zstd", ".zip", *TAR_SUFFIXES)
# What systems put into folders for themselves, beside names that begin with a dot.
_SYSTEM_NAMES = frozenset({"__MACOSX", "Thumbs.db", "desktop.ini", "Icon\r"})


@dataclasses.dataclass(frozen=True)
class FileRange:
    """A range of the bytes of a file; it stands for the documents that begin in it.

    Attributes:
        path: The file's address.
        start: First byte.
        end: One past the last byte.
    """

    path: str
    start: int
    end: int


def is_hidden(name: str) -> bool:
    """Return whether a file was put into a folder or archive by a program for itself.

    That is: a part of its path begins with a dot or is one of a few systems' names, as `__MACOSX`.
    """
    parts = PurePosixPath(name).parts
    is_dotted = any(part.startswith(".") and part not in (".", "..") for part in parts)
    return is_dotted or not _SYSTEM_NAMES.isdisjoint(parts)


def is_stored_as_text(path: str) -> bool:
    """Return whether a file is neither compressed nor an archive, by its name."""
    return not path.lower().endswith(COMPRESSED_SUFFIXES)
