"""Folders that are made, emptied and removed, and whose content is flushed to the disk."""

import contextlib
import os
import shutil
from pathlib import Path

from albert_core.errors import InputError
from albert_core.files.locks import LOCK_NAME

FOLDERS_OF_VOLUMES = frozenset({"lost+found"})
"""Names of folders that a new volume has, as of ext4, and that are no part of what people keep."""


def make_empty(folder: Path) -> None:
    """Make a folder and those above it, or remove everything in one that exists.

    Raises:
        InputError: A file has its name, or something in it cannot be removed; names that.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        raise InputError(f"{folder}: is no folder, expected one; remove it") from error
    empty_folder(folder)


def empty_folder(folder: Path, *, except_for: str = "") -> None:
    """Remove everything in a folder but the file of a name; links are removed, not followed.

    Args:
        folder: An existing folder.
        except_for: Name of the file in it that stays; empty: none.

    Raises:
        InputError: Something cannot be removed, after all else is; names what is deepest of it.
    """
    for entry in list(folder.iterdir()):
        if entry.name == except_for:
            continue
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry, ignore_errors=True)
        else:
            with contextlib.suppress(OSError):
                entry.unlink()
    remaining = (path for path in folder.rglob("*") if path != folder / except_for)
    if left := max(remaining, key=lambda path: len(path.parts), default=None):
        raise InputError(
            f"{left}: is of an earlier attempt and cannot be removed; remove it, or have "
            f"{left.parent} made writable"
        )


def remove_locked_folder(folder: Path) -> None:
    """Remove a folder that holds nothing but its file `LOCK_NAME`, which the caller has locked.

    Does nothing where it holds anything else, has no lock, is gone, or cannot be removed.
    """
    with contextlib.suppress(OSError):
        if [entry.name for entry in folder.iterdir()] == [LOCK_NAME]:
            (folder / LOCK_NAME).unlink()
            # From here on another process may hold a new lock there; then the folder stays.
            folder.rmdir()


def flush_to_disk(folder: Path) -> None:
    """Flush a folder and all files and folders below it to the disk; links are passed over.

    Without it, a machine that loses power within some seconds may come back with a manifest and
    empty files, when what they were made from is gone.

    Raises:
        OSError: A file cannot be opened or flushed.
    """
    for path in folder.rglob("*"):
        if path.is_symlink():
            continue
        if path.is_dir():
            flush_folder(path)
            continue
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    flush_folder(folder)


def flush_folder(folder: Path) -> None:
    """Flush the entries of a folder to the disk, as after a rename there.

    Every OSError is ignored, as from file systems that cannot do this, such as some network disks,
    or for a missing folder.
    """
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
