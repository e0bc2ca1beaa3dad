"""The complete files that a folder held at one moment, while others write into it."""

import contextlib
import shutil
import time
from pathlib import Path

from albert_core.files.atomic import link_or_copy

# Steps write a few files a minute, so that one pause of 50 ms is nearly always enough.
_NUM_ATTEMPTS = 20
_PAUSE_S = 0.05

FileStamp = tuple[int, int, int]
"""Inode, size and time of change of a file: equal only if its content is."""


def take_snapshot(folder: Path, snapshot: Path) -> dict[str, tuple[Path, FileStamp]] | None:
    """Link the complete files of one moment into a new folder.

    Files whose name, or a folder's above them, begins with a dot count as still being written and
    are left out. Tries for about a second until no file is added, removed or replaced meanwhile; a
    file that only grows does not matter.

    Args:
        folder: The folder, in which other threads and processes write.
        snapshot: Folder for the links, emptied first, which are numbered from 0; on the same file
            system, if possible: else files are copied.

    Returns:
        Link and stamp of each file, by its relative path in `folder`; None if no attempt saw all
        files at once, with what the last one linked left in `snapshot`.
    """
    for _ in range(_NUM_ATTEMPTS):
        shutil.rmtree(snapshot, ignore_errors=True)
        snapshot.mkdir(parents=True)
        # A file may vanish between the listing and its link: then this attempt is void.
        with contextlib.suppress(FileNotFoundError):
            before = _complete_files(folder)
            links = {}
            for index, (name, inode) in enumerate(before.items()):
                # A hard link keeps these bytes for the upload even if the step removes or replaces
                # the file meanwhile, and costs no time or space.
                link = snapshot / str(index)
                link_or_copy(folder / name, link)
                links[name] = (link, _stamp(link, inode))
            # Equal listings before and after: all files were there together in between. A
            # checkpoint of several files is never listed with one of its files missing.
            if _complete_files(folder) == before:
                return links
        time.sleep(_PAUSE_S)
    return None


def file_stamps(folder: Path) -> dict[str, FileStamp]:
    """Return the stamp of each complete file of a folder, by relative path.

    Nobody may write into the folder meanwhile: a file that vanishes raises FileNotFoundError.
    """
    inodes = _complete_files(folder)
    return {name: _stamp(folder / name, inode) for name, inode in inodes.items()}


def _complete_files(folder: Path) -> dict[str, int]:
    """Return the inode of each file that is not still being written, by relative path, sorted.

    Writers use names that begin with a dot, of the file or of a folder above it, and rename.
    """
    return {
        path.relative_to(folder).as_posix(): path.stat().st_ino
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not any(p.startswith(".") for p in path.relative_to(folder).parts)
    }


def _stamp(path: Path, inode: int) -> FileStamp:
    """Return the given inode with size and time of change of the file at `path`."""
    # Size and time of the link, so that they belong to the bytes that will be uploaded: a log
    # grows in place. The inode of the file, since a copy (no hard links) has another one.
    status = path.stat()
    return inode, status.st_size, status.st_mtime_ns
