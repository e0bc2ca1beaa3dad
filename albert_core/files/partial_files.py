"""Files and folders written beside their place, under names that the next writer takes over.

A killed process leaves such a file or folder behind. Its name has no process id, so that the same
command, started again, writes over it and renames it: nothing stays. A lock, which the kernel drops
with its process, keeps other writers of the same place out meanwhile. On a file system without
locks, each writer has a name that is its alone instead, and what a killed one left stays.
"""

import contextlib
import errno
import math
import os
import shutil
import stat
import uuid
from collections.abc import Iterator
from pathlib import Path

from albert_core.errors import InputError
from albert_core.files.folders import empty_folder, flush_folder, remove_locked_folder
from albert_core.files.locks import LOCK_NAME, LockedFile, hold_lock, is_at


def partial_path(path: Path) -> Path:
    """Return `.NAME.partial` beside a file or folder, where it is written before it is renamed."""
    # In the same folder, since a rename is atomic within a file system only; with a dot, so that
    # uploads of work in progress leave it out.
    return path.with_name(f".{path.name}.partial")


@contextlib.contextmanager
def partial_file(path: Path, *, waits: bool = True) -> Iterator[Path]:
    """Yield the path of an empty file for the body to write, which then becomes `path`.

    It is flushed to the disk before the rename, and has the mode of the file that it replaces; if
    the body fails, it is removed, and `path` stays as it was. A link at `path` is replaced itself.

    Args:
        path: The file to write or replace; its folder must exist.
        waits: Whether to wait while another process writes the same file, or to refuse.

    Raises:
        InputError: Another process writes it, and `waits` is False.
        FileNotFoundError: The folder of `path` does not exist.
    """
    mode = _mode_of(path)
    with _held_file(partial_path(path), waits=waits) as (partial, descriptor):
        if mode is not None:
            # Before anything secret is in it; this process must be able to write it.
            _set_mode(descriptor, mode | stat.S_IRUSR | stat.S_IWUSR)
        yield partial
        # Without it, a machine that loses power after the rename may come back with the new name
        # and an empty file.
        os.fsync(descriptor)
        os.replace(partial, path)
        if mode is not None:
            _set_mode(descriptor, mode)
        flush_folder(path.parent)


@contextlib.contextmanager
def scratch_file(path: Path, *, waits: bool = True) -> Iterator[Path]:
    """Yield the path of an empty file for the body to write and use; remove it in the end.

    Args:
        path: Beside it, in a folder that exists, is the file.
        waits: Whether to wait while another process uses the same file, or to refuse.

    Raises:
        InputError: Another process uses it, and `waits` is False.
    """
    with _held_file(partial_path(path), waits=waits) as (partial, _):
        yield partial


@contextlib.contextmanager
def _held_file(partial: Path, *, waits: bool) -> Iterator[tuple[Path, int]]:
    """Yield path and descriptor of an empty, locked file; in the end remove it if still there.

    On a file system without locks it has another name, which no other process uses.

    Raises:
        InputError: Another process holds the lock, and `waits` is False; or `partial` is a link.
    """
    with _hold(partial, waits=waits) as lock:
        if lock.has_lock:
            os.ftruncate(lock.descriptor, 0)
            try:
                yield partial, lock.descriptor
            finally:
                # Once it is renamed, another process may have made a new one under this name.
                _remove_if_at(lock.descriptor, partial)
            return
        _remove_if_at(lock.descriptor, partial)
    unique = partial.with_name(f".{partial.name.split('.', 1)[1]}.{uuid.uuid4().hex}.partial")
    descriptor = os.open(unique, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        yield unique, descriptor
    finally:
        _remove_if_at(descriptor, unique)
        os.close(descriptor)


@contextlib.contextmanager
def staging_folder(path: Path, *, waits: bool = False) -> Iterator[Path]:
    """Make an empty folder for the body to fill and rename; in the end remove it if still there.

    The folder yielded is in `path`, beside its lock. What a killed process left in `path` is
    removed first, and `path` itself in the end. Folders above `path` are made. On a file system
    without locks the folder has a name that no other process uses, and what is left stays.

    Args:
        path: A folder for this purpose alone, such as the `partial_path` of the one to publish.
        waits: Whether to wait while another process fills it, or to refuse.

    Raises:
        InputError: Another process fills it, and `waits` is False; `path` is a link or a file; or
            what is left there cannot be removed.
    """
    if path.is_symlink():  # to empty it would empty somebody's folder
        raise InputError(f"{path}: got a link, expected a folder or nothing; remove it")
    with _hold(path / LOCK_NAME, waits=waits, makes_folder=True) as lock:
        if lock.has_lock:
            empty_folder(path, except_for=LOCK_NAME)
        folder = path / ("new" if lock.has_lock else uuid.uuid4().hex)
        try:
            folder.mkdir(parents=True)
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            remove_locked_folder(path)


def remove_staged(path: Path) -> None:
    """Remove what a killed process left of a `staging_folder` of a path.

    Does nothing where there is nothing, where another process fills it, and where `staging_folder`
    refuses the path; what cannot be removed stays.
    """
    if path.exists():
        with contextlib.suppress(InputError), staging_folder(path):
            pass


def remove_whole_folder(folder: Path, *, last: str = "") -> None:
    """Remove a folder so that nobody ever sees a part of it.

    It is renamed to a hidden name beside it first, under which what cannot be removed stays,
    without an error. A process killed meanwhile leaves that, for `remove_removed` or
    `remove_leftovers`. A folder of a lower layer of a container's image, which no rename moves, is
    emptied where it is.

    Args:
        folder: The folder.
        last: Name of the file in it that goes last then, by which what is left is recognised.

    Raises:
        InputError: Something in a folder that cannot be renamed cannot be removed.
        OSError: The folder is missing, or the system refuses to rename it for another reason.
    """
    remove_removed(folder)
    try:
        os.rename(folder, _removed_path(folder))
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        empty_folder(folder, except_for=last)
        shutil.rmtree(folder)
    remove_removed(folder)


def remove_removed(folder: Path) -> None:
    """Remove what a `remove_whole_folder` that was killed left of this folder."""
    shutil.rmtree(_removed_path(folder), ignore_errors=True)


def remove_leftovers(folder: Path) -> None:
    """Remove the half written and half removed folders that killed processes left below a folder.

    These are folders named `.*.partial`, `.*.removed` or `.*.replaced`, at any depth; files of such
    names stay, and what cannot be removed does so silently. Nobody may write there meanwhile. A
    folder that does not exist has none.
    """
    for ending in ("partial", "removed", "replaced"):
        for path in list(folder.rglob(f".*.{ending}")):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)


def replace_folder(partial: Path, folder: Path) -> None:
    """Rename a folder to a place; what is there, a folder, link or file, is removed afterwards.

    At every moment the place has what it had, nothing, or the new folder. Meanwhile what it had is
    at `replaced_path`; a process killed here leaves it there, and the next call for the place
    removes it. What cannot be removed of it stays there, too. The rename is flushed to disk.

    Args:
        partial: The folder, on the same file system; the caller holds its `staging_folder`.
        folder: The place; the folder above it must exist.

    Raises:
        InputError: What an earlier call left at `replaced_path` cannot be removed, and is in the
            way of what the place has.
        OSError: The system refuses to rename one of them; the place has what it had.
    """
    replaced = replaced_path(folder)
    _remove(replaced)
    try:
        os.rename(partial, folder)
        flush_folder(folder.parent)
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
    flush_folder(folder.parent)
    _remove(replaced)


def replaced_path(folder: Path) -> Path:
    """Return `.NAME.replaced`, where `replace_folder` keeps a folder until the new one is there."""
    return folder.with_name(f".{folder.name}.replaced")


def _removed_path(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.removed")


def _hold(
    path: Path, *, waits: bool, makes_folder: bool = False
) -> contextlib.AbstractContextManager[LockedFile]:
    """Return a context in which a file is open and locked; made if it is missing.

    Entering it raises InputError if another process holds the lock and `waits` is False. Then there
    may also be the other errors of `hold_lock`.
    """
    place = path.parent if path.name == LOCK_NAME else path
    return hold_lock(
        path,
        timeout_s=math.inf if waits else 0.0,
        refusal=f"{place}: another process is writing there; wait for it or stop it",
        makes_folder=makes_folder,
    )


def _mode_of(path: Path) -> int | None:
    """Return the permissions of a file, or None where there is no file."""
    try:
        return path.stat().st_mode & 0o777
    except FileNotFoundError:
        return None


def _set_mode(descriptor: int, mode: int) -> None:
    """Set the mode of an open file; passes where the file system has none, as FAT."""
    with contextlib.suppress(OSError):
        os.fchmod(descriptor, mode)


def _remove_if_at(descriptor: int, path: Path) -> None:
    """Remove the file at a path if it is the open one."""
    if is_at(descriptor, path):
        path.unlink(missing_ok=True)


def _remove(path: Path) -> None:
    """Remove what is at a path: a folder as far as that is possible, a link or a file.

    Passes if nothing is there.
    """
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
