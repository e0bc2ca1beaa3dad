"""Locks of files: they keep other processes out, also those of other hosts, and end with theirs.

They are taken by `flock` on a regular file that is open for writing. NFS makes a lock of the file's
bytes of it, which it refuses for folders and for files that are open for reading only.
"""

import contextlib
import errno
import fcntl
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from albert_core.errors import InputError

LOCK_NAME = "lock"
"""Name of the file that is locked in a folder for one process at a time."""

# The folder of a lock may be removed between the call that makes it and the one that opens the
# file: whoever held the lock before does so at its end.
_OPENING_TRIES = 100
_LONGEST_WAIT_S = 0.2


class LockedFile(NamedTuple):
    """A file that this process has opened and, unless the file system has no locks, locked.

    Attributes:
        descriptor: Open for reading and writing.
        has_lock: Whether it is locked: False on file systems without locks.
        has_waited: Whether another process held the lock before.
    """

    descriptor: int
    has_lock: bool
    has_waited: bool


@contextlib.contextmanager
def hold_lock(
    path: Path, *, timeout_s: float, refusal: str, makes_folder: bool = False
) -> Iterator[LockedFile]:
    """Open and lock a file for the body, which gets it; the file is made if it is missing.

    The file stays afterwards unless the body removes or renames it. The lock itself ends with the
    body, or with the process and its forked children. On a file system without locks the body runs
    without one (`has_lock` is False).

    Args:
        path: The file; a link is refused.
        timeout_s: How long to wait for another process to release it; may be infinite.
        refusal: Message of the error if it does not.
        makes_folder: Whether to make the folders above the file, too.

    Raises:
        InputError: Another process holds the lock for longer than that; the file is a link; or what
            is no folder is where one has to be made.
        FileNotFoundError: The folder of the file does not exist, and `makes_folder` is False.
    """
    deadline, wait_s, has_waited = time.monotonic() + timeout_s, 0.001, False
    while True:
        descriptor = _open(path, makes_folder=makes_folder)
        try:
            has_lock = _try_lock(descriptor, fcntl.LOCK_EX)
            # Whoever held it before may have removed the file, and a third one made it again.
            if has_lock is not False and is_at(descriptor, path):
                yield LockedFile(descriptor, bool(has_lock), has_waited)
                return
        finally:
            os.close(descriptor)
        if has_lock is False:
            has_waited = True
            if time.monotonic() > deadline:
                raise InputError(refusal)
            time.sleep(wait_s)
            wait_s = min(2 * wait_s, _LONGEST_WAIT_S)


def is_locked(path: Path) -> bool | None:
    """Return whether a process, also this one, holds the lock of a file.

    False where there is no file; None on a file system without locks. A shared lock is taken for a
    moment to find out, for which the file need not be writable.

    Raises:
        OSError: The file must not be read.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        has_lock = _try_lock(descriptor, fcntl.LOCK_SH)
    finally:
        os.close(descriptor)
    return None if has_lock is None else not has_lock


def tell_if_without_lock(lock: LockedFile, folder: Path) -> None:
    """Say on standard error that nothing keeps other processes out of a folder, if that is so.

    Does nothing where the lock is held.
    """
    if not lock.has_lock:
        print(
            f"{folder}: this file system has no locks, so that nothing refuses a second process "
            "that does the same work; start it once only",
            file=sys.stderr,
        )


def is_at(descriptor: int, path: Path) -> bool:
    """Return whether an open file is what is at a path; links are not followed.

    False where nothing is at the path.
    """
    try:
        return os.path.samestat(os.fstat(descriptor), path.lstat())
    except FileNotFoundError:
        return False


def _open(path: Path, *, makes_folder: bool) -> int:
    """Open a file for reading and writing; make it, and the folders above it if told to.

    Raises:
        FileNotFoundError: Its folder does not exist, and `makes_folder` is False.
        InputError: The file is a link; or a file, or a link that leads nowhere, is where a folder
            has to be.
    """
    if not makes_folder:
        return _open_regular(path)
    for _ in range(_OPENING_TRIES):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            return _open_regular(path)
        except (FileNotFoundError, FileExistsError) as error:
            problem = error
            time.sleep(0.001)
    raise InputError(f"{problem.filename}: is no folder, expected one; remove it") from problem


def _open_regular(path: Path) -> int:
    """Open a file for reading and writing; make it if it is missing.

    Raises:
        InputError: It is a link.
        OSError: Its folder does not exist, or it is a folder or must not be written.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        return os.open(path, flags, 0o666)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise InputError(
                f"{path}: got a link, expected a file or nothing; remove it"
            ) from error
        raise


def _try_lock(descriptor: int, kind: int) -> bool | None:
    """Take the lock of an open file, without waiting.

    Args:
        descriptor: The file; open for writing where the lock is exclusive.
        kind: LOCK_EX or LOCK_SH.

    Returns:
        True once it is taken; False if another process holds it; None if there are no locks.
    """
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True
