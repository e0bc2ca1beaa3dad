"""Local places of outputs: where they really are, whether they can be written and renamed.

A folder that is a mount point, as a volume of a container at /out, or that is in a folder that this
user must not write, can be filled but not replaced by a rename. What is published there is written
into it file by file, and what is needed meanwhile is in `PRIVATE_NAME` in it.
"""

import os
import stat
from collections.abc import Collection
from pathlib import Path

from albert_core.checksums import DamageError, read_sealed, write_sealed
from albert_core.errors import InputError
from albert_core.files import link_or_copy, refuse_special_file

PRIVATE_NAME = ".albert-work"
_NOTE_NAME, _WORK = "publishing.json", "publishing"
_MOUNTS = Path("/proc/self/mountinfo")
# Every new ext4 volume has it.
FOLDERS_OF_VOLUMES = frozenset({"lost+found"})


def resolve_link(folder: Path, what: str = "output") -> Path:
    """Return the path that a link leads to, existing or not; any other path as it is.

    Raises:
        InputError: It is a link that leads in a circle.
    """
    if not os.path.islink(folder):
        return folder
    target = Path(os.path.realpath(folder))
    if target.is_symlink():
        raise InputError(f"{what} {folder}: is a link that leads in a circle; remove it")
    return target


def is_replaceable(folder: Path) -> bool:
    """Return whether a rename may put another folder in place of this one, or make it."""
    if not folder.is_dir():
        return True
    if _is_mount_point(folder) or not os.access(folder.absolute().parent, os.W_OK | os.X_OK):
        return False
    # In a folder such as /tmp only the owner of an entry may rename it.
    parent = folder.absolute().parent.stat()
    owners = (0, parent.st_uid, folder.stat().st_uid)
    return not parent.st_mode & stat.S_ISVTX or os.geteuid() in owners


def _is_mount_point(folder: Path) -> bool:
    """Return whether something is mounted at a folder, also one of the same file system."""
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

    Args:
        folder: The folder; links are not followed.
        what: Name of the setting, for the message.
        is_replaced: Whether a rename will put another folder in its place, where that is possible:
            then the folder above it must be writable.

    Raises:
        InputError: The folder, or the last one above it that exists, is no folder, or this user
            must not write there; names it.
    """
    folder = folder.absolute()
    place = next(path for path in (folder, *folder.parents) if path.exists())
    if not place.is_dir():
        raise InputError(f"{what} {folder}: {place} is a file, expected a folder")
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
    if path.is_dir():
        raise InputError(f"{what} {path}: got a folder, expected the name of a file")
    try:
        refuse_special_file(path)
    except InputError as error:
        raise InputError(f"{what} {error}") from None
    path = Path(os.path.realpath(path))
    refuse_unwritable(path.parent, what, is_replaced=False)
    if path.exists() and _is_mount_point(path):
        raise InputError(
            f"{what} {path}: got a mount point, which no other file can replace; mount the folder "
            "it is in"
        )


def find_foreign_file(folder: Path) -> str | None:
    """Return a path in an existing folder that no publishing of this program put there, or None.

    A publishing that was ended early has a note with its files.
    """
    known = earlier_files(folder)
    for entry in sorted(folder.iterdir()):
        if entry.name == PRIVATE_NAME or entry.name in FOLDERS_OF_VOLUMES:
            continue
        names = _files_at(entry, folder)
        foreign = sorted(set(names) - set(known))
        # An empty folder is somebody's, unless files were about to come.
        if foreign or not (names or known):
            return foreign[0] if foreign else entry.name
    return None


def _files_at(path: Path, root: Path) -> list[str]:
    """Return the files at a path, itself or below it, relative to a folder; links are files."""
    is_folder = path.is_dir() and not path.is_symlink()
    paths = path.rglob("*") if is_folder else [path]
    return [
        file.relative_to(root).as_posix()
        for file in paths
        if file.is_symlink() or not file.is_dir()
    ]


def fill_folder(source: Path, folder: Path, *, earlier: Collection[str] = (), last: str) -> None:
    """Put the files of a folder into one that exists and stays, and remove earlier ones.

    A note tells meanwhile which files are of this program. Call `end_filling` afterwards.

    Args:
        source: The finished files; they stay.
        folder: The folder; others than the earlier files are left alone.
        earlier: Paths below `folder` of the files that it holds from before.
        last: The file that makes the folder whole: removed first, and written last.
    """
    names = _files_at(source, source)
    note = _note_path(folder)
    note.parent.mkdir(exist_ok=True)
    write_sealed(note, {"files": sorted({*names, *earlier, last})}, work=_WORK)
    (folder / last).unlink(missing_ok=True)
    for name in earlier:
        _remove_file(folder / name, folder)
    for name in sorted(names, key=lambda name: name == last):
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
        link_or_copy(source / name, target)


def end_filling(folder: Path) -> None:
    """Remove the note of a publishing that is complete, and the private folder if it is empty."""
    for path in (_note_path(folder), *folder.glob(f"{PRIVATE_NAME}/.*.partial")):
        path.unlink(missing_ok=True)
    remove_empty(folder / PRIVATE_NAME)


def earlier_files(folder: Path) -> tuple[str, ...]:
    """Return the files that the note of a publishing lists; none without a note."""
    try:
        return tuple(read_sealed(_note_path(folder), work=_WORK)["files"])
    except DamageError:
        return ()


def remove_empty(folder: Path) -> None:
    """Remove a folder if it is empty; does nothing where there is none."""
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()


def _remove_file(path: Path, root: Path) -> None:
    """Remove a file that may be gone already, and the folders above it that become empty."""
    path.unlink(missing_ok=True)
    for parent in path.relative_to(root).parents:
        if parent.parts:
            remove_empty(root / parent)


def _note_path(folder: Path) -> Path:
    return folder / PRIVATE_NAME / _NOTE_NAME
