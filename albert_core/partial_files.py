"""Files and folders written beside their place, under names that the next writer takes over.

A killed process leaves such a file or folder behind. Its name has no process id, so that the same
command, started again, writes over it and renames it: nothing stays. A lock, which the kernel drops
with its process, keeps other writers of the same place out meanwhile.
"""

import contextlib
import errno
import fcntl
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from albert_core.errors import InputError


def partial_path(path: Path) -> Path:
    """Return the hidden path beside a file or folder where it is written before it is renamed."""
    # In the same folder, since a rename is atomic within a file system only; with a dot, so that
    # uploads of work in progress leave it out.
    return path.with_name(f".{path.name}.partial")


@contextlib.contextmanager
def partial_file(path: Path, *, waits: bool = True) -> Iterator[Path]:
    """Yield the path of an empty file for the body to write, which then becomes `path`.

    It is flushed to the disk before the rename; if the body fails, it is removed, and `path` stays
    as it was.

    Args:
        path: The file to write or replace; its folder must exist.
        waits: Whether to wait while another process writes the same file, or to refuse.

    Raises:
        InputError: Another process writes it, and `waits` is False.
    """
    partial = partial_path(path)
    descriptor = _hold(partial, os.O_RDWR | os.O_CREAT, waits=waits)
    try:
        os.ftruncate(descriptor, 0)
        yield partial
        # Without it, a machine that loses power after the rename may come back with the new name
        # and an empty file.
        os.fsync(descriptor)
        os.replace(partial, path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def staging_folder(path: Path, *, waits: bool = False) -> Iterator[Path]:
    """Make an empty folder for the body to fill and rename; in the end remove it if still there.

    What a killed process left in it is removed first. Folders above it are made.

    Args:
        path: The folder, such as the `partial_path` of the one to publish.
        waits: Whether to wait while another process fills it, or to refuse.

    Raises:
        InputError: Another process fills it, and `waits` is False.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = _hold(path, os.O_RDONLY | os.O_DIRECTORY, waits=waits)
    try:
        _empty(path)
        yield path
    finally:
        # Once it is renamed, another process may have made a new one under this name.
        if _is_at(descriptor, path):
            shutil.rmtree(path, ignore_errors=True)
        os.close(descriptor)


def remove_whole_folder(folder: Path) -> None:
    """Remove a folder so that nobody ever sees a part of it.

    It is renamed to a hidden name beside it first. A process killed meanwhile leaves that, for
    `remove_removed` or `remove_leftovers`.
    """
    remove_removed(folder)
    os.rename(folder, _removed_path(folder))
    remove_removed(folder)


def remove_removed(folder: Path) -> None:
    """Remove what a `remove_whole_folder` that was killed left of this folder."""
    shutil.rmtree(_removed_path(folder), ignore_errors=True)


def remove_leftovers(folder: Path) -> None:
    """Remove what killed processes left below a folder: half written and half removed folders.

    Nobody may write there meanwhile. A folder that does not exist has none.
    """
    for ending in ("partial", "removed", "replaced"):
        for path in list(folder.rglob(f".*.{ending}")):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)


def replace_folder(partial: Path, folder: Path) -> None:
    """Rename a folder to a place where another may be, which is removed afterwards.

    At every moment the place has the old folder, nothing, or the new one. What a process killed
    here left is removed; the caller holds the `staging_folder` that `partial` is.

    Raises:
        InputError: What an earlier call left cannot be removed, and is in the way.
        OSError: The system refuses to rename one of them; the place has what it had.
    """
    replaced = replaced_path(folder)
    _remove(replaced)
    try:
        os.rename(partial, folder)
        return
    except OSError as error:
        # A rename replaces an empty folder, but no other, and no link.
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
            raise
    if os.path.lexists(replaced):
        raise InputError(
            f"{replaced}: left from an earlier command, and cannot be removed; remove it, as with "
            "the rights of its owner, and run again"
        )
    os.rename(folder, replaced)
    try:
        os.rename(partial, folder)
    except OSError:
        os.rename(replaced, folder)
        raise
    _remove(replaced)


def replaced_path(folder: Path) -> Path:
    """Return where `replace_folder` keeps the earlier folder until the new one is there."""
    return folder.with_name(f".{folder.name}.replaced")


def _removed_path(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.removed")


def _hold(path: Path, flags: int, *, waits: bool) -> int:
    """Open and lock a file or folder, made if it is missing; return its descriptor.

    The lock ends when the descriptor is closed. File systems without locks go without.

    Raises:
        InputError: Another process holds the lock, and `waits` is False.
    """
    while True:
        if flags & os.O_DIRECTORY:
            path.mkdir(exist_ok=True)
        descriptor = os.open(path, flags | os.O_NOFOLLOW, 0o666)
        try:
            _lock(descriptor, waits=waits)
        except BlockingIOError:
            os.close(descriptor)
            raise InputError(
                f"{path}: another process is writing there; wait for it or stop it"
            ) from None
        # Whoever held it before may have renamed or removed it: then it is no longer at its path.
        if _is_at(descriptor, path):
            return descriptor
        os.close(descriptor)


def _lock(descriptor: int, *, waits: bool) -> None:
    """Take the lock of an open file; passes without one where the file system has none.

    Raises:
        BlockingIOError: Another process holds it, and `waits` is False.
    """
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if waits else fcntl.LOCK_NB))
    except BlockingIOError:
        raise
    except OSError:
        return


def _is_at(descriptor: int, path: Path) -> bool:
    """Return whether an open file or folder is what is at a path."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.lstat())
    except FileNotFoundError:
        return False


def _remove(path: Path) -> None:
    """Remove a folder, as far as that is possible, or a link or file; nothing may be there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _empty(folder: Path) -> None:
    """Remove everything in a folder."""
    for entry in list(folder.iterdir()):
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()
