"""Local places of outputs: where they really are, whether they can be written and renamed.

A folder that is a mount point, as a volume of a container at /out, or that is in a folder that this
user must not write, can be filled but not replaced by a rename. What is published there is written
into it file by file, and what is needed meanwhile is in `PRIVATE_NAME` in it.
"""

import contextlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from albert_core.errors import InputError
from albert_core.files.atomic import refuse_special_file

PRIVATE_NAME = ".albert-work"
NOTE_NAME, COPY_NAME = "publishing.json", ".copy.partial"
# What `filled_folder.fill_folder` has in the private folder; anything else there is work.
NAMES_OF_FILLING = frozenset({NOTE_NAME, f".{NOTE_NAME}.partial", COPY_NAME})
_MOUNTS = Path("/proc/self/mountinfo")


@contextlib.contextmanager
def folder_errors(folder: str | Path, what: str = "output") -> Iterator[None]:
    """Turn errors of the file system while the body looks at a folder into input errors.

    Args:
        folder: The folder, for the message.
        what: Name of the setting, for the message.

    Raises:
        InputError: The body raised an OSError, such as that of a folder that nobody else may enter.
    """
    try:
        yield
    except OSError as error:
        raise InputError(
            f"{what} {folder}: {error.filename or folder}: {error.strerror or error}; choose "
            "another folder, or have this one made accessible"
        ) from error


def resolve_link(folder: Path, what: str = "output") -> Path:
    """Return the absolute path of a folder, existing or not, with all links in it followed.

    It has no `.` or `..`.

    Raises:
        InputError: It is a link that leads in a circle.
    """
    # Of `.` and `..` no name of a neighbour, such as that of the work folder, can be made.
    target = Path(os.path.realpath(folder))
    if os.path.islink(target):
        raise InputError(f"{what} {folder}: is a link that leads in a circle; remove it")
    return target


def is_replaceable(folder: Path) -> bool:
    """Return whether a rename may put another folder in place of this one, or make it.

    False for a mount point, for a folder in one that this user must not write, or of another user
    in one such as /tmp. False, too, where the folder is, or holds, the current folder of this
    process, and where work is in its private folder, `.albert-work`, as that of a container for
    which it was a mount point. True where there is no folder; whether one can be made is not
    checked.
    """
    if not os.path.isdir(folder):
        return True
    if _is_mount_point(folder) or not os.access(folder.absolute().parent, os.W_OK | os.X_OK):
        return False
    # A replaced folder is removed, and with it what is in it. The shell that gave `--output .`
    # would stand in a folder that is gone.
    if _holds_current_folder(folder) or _holds_work(folder / PRIVATE_NAME):
        return False
    # In a folder such as /tmp only the owner of an entry may rename it.
    parent = folder.absolute().parent.stat()
    owners = (0, parent.st_uid, folder.stat().st_uid)
    return not parent.st_mode & stat.S_ISVTX or os.geteuid() in owners


def _holds_current_folder(folder: Path) -> bool:
    try:
        current = Path.cwd()
    except OSError:  # it is gone
        return False
    return current.is_relative_to(os.path.realpath(folder))


def _holds_work(private: Path) -> bool:
    """Return whether a private folder has anything in it but the files of a publishing.

    False for a link or a file, and where there is nothing; True for what cannot be looked at.
    """
    try:
        return not private.is_symlink() and not NAMES_OF_FILLING.issuperset(os.listdir(private))
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:  # what cannot be seen must not be removed
        return True


def _is_mount_point(folder: Path) -> bool:
    """Return whether something is mounted at a folder, also of the same file system."""
    if os.path.ismount(folder):
        return True
    try:
        mounts = _MOUNTS.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:  # a system without it
        return False
    # The fifth field; blanks and the like are octal there, as \040.
    name = os.path.realpath(folder)
    return any(_unescape(line.split(" ")[4]) == name for line in mounts if line.count(" ") > 4)


def _unescape(field: str) -> str:
    for character in " \t\n\\":
        field = field.replace(f"\\{ord(character):03o}", character)
    return field


def refuse_unwritable(folder: Path, what: str = "output", *, is_replaced: bool = True) -> None:
    """Refuse a folder that cannot be made or written, before any work is done for it.

    The folder must be writable, or if it does not exist the last one above it that does. One that
    will be replaced need not be: then the folder above it must be. Nothing is written to find out.

    Args:
        folder: The folder; links in its path are followed only if they lead to a folder.
        what: Name of the setting, for the message.
        is_replaced: Whether a rename will put another folder in place of an existing one, if it
            `is_replaceable`.

    Raises:
        InputError: The folder, or the last one above it that exists, is no folder, or this user
            must not write where that is needed; names it.
    """
    folder = folder.absolute()
    # Also a link that leads nowhere is in the way; of a folder that nobody else may enter, nothing
    # in it is seen.
    place = next(path for path in (folder, *folder.parents) if os.path.lexists(path))
    if not os.path.isdir(place):
        kind = "a link that leads to no folder" if os.path.islink(place) else "a file"
        raise InputError(f"{what} {folder}: {place} is {kind}, expected a folder")
    # Of an existing folder that is replaced by a rename, the one above it counts.
    if place == folder and is_replaced and is_replaceable(folder):
        place = folder.parent
    if not os.access(place, os.W_OK | os.X_OK):
        is_read_only = os.statvfs(place).f_flag & os.ST_RDONLY
        reason = "is on a read-only file system" if is_read_only else "cannot be written"
        raise InputError(
            f"{what} {folder}: {place} {reason}; choose another folder, or have this one made "
            "writable"
        )


def refuse_unwritable_file(path: Path, what: str = "output") -> None:
    """Refuse a path at which no file can be written, before any work is done for it.

    Args:
        path: Path of a file, existing or not; a link stands for the file that it leads to.
        what: Name of the setting, for the message.

    Raises:
        InputError: It is a folder, a pipe, a device or a mount point, or the folder it is in, or
            the last one above it that exists, is no folder or must not be written by this user.
    """
    if os.path.isdir(path):
        raise InputError(f"{what} {path}: got a folder, expected the name of a file")
    try:
        refuse_special_file(path)
    except InputError as error:
        raise InputError(f"{what} {error}") from None
    path = Path(os.path.realpath(path))
    refuse_unwritable(path.parent, what, is_replaced=False)
    if os.path.exists(path) and _is_mount_point(path):
        raise InputError(
            f"{what} {path}: got a mount point, which no other file can replace; mount the folder "
            "it is in"
        )
