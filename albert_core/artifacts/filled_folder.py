"""Fill a folder that stays, file by file, so that a killed process never locks it.

The files that are about to come are listed in a note in the private folder, which also has the copy
of the file that comes next, and a folder whose lock keeps other publishers out.
"""

import contextlib
import errno
import os
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path, PurePosixPath

from albert_core.artifacts.output_folder import (
    COPY_NAME,
    NAMES_OF_FILLING,
    NOTE_NAME,
    PRIVATE_NAME,
)
from albert_core.errors import InputError
from albert_core.files.atomic import link_or_copy
from albert_core.files.checksums import DamageError, read_sealed, write_sealed
from albert_core.files.folders import FOLDERS_OF_VOLUMES, flush_folder
from albert_core.files.locks import LOCK_NAME
from albert_core.files.partial_files import replace_folder, staging_folder

_WORK = "publishing"
# Folders of a lower layer of an image, mount points, folders of others.
_NO_RENAME = frozenset({errno.EXDEV, errno.EBUSY, errno.EPERM, errno.EACCES})


def filling_path(folder: Path) -> Path:
    """Return the staging folder of a folder that cannot be renamed: in it, on its file system."""
    return folder / PRIVATE_NAME / "partial"


@contextlib.contextmanager
def filling_lock(folder: Path) -> Iterator[None]:
    """Keep other publishers out of a folder that is filled in place while the body runs.

    The lock is in its private folder, `.albert-work`, which is made, and in the end removed if it
    is empty. What a killed publishing left of its `staging_folder` there is removed first; its note
    stays. A file system without locks keeps nobody out.

    Raises:
        InputError: Another process fills the folder; what was left there cannot be removed; or a
            link is where the staging folder has to be.
    """
    try:
        with staging_folder(filling_path(folder)):
            yield
    finally:
        remove_empty(folder / PRIVATE_NAME)


def find_foreign_file(folder: Path, *, is_replaced: bool) -> str | None:
    """Return the first path in an existing folder that is of no publishing there.

    The path is relative to the folder; None if there is no such file. Files of a publishing count
    as this program's only if it was ended early, and so left a note that lists them: not those of a
    manifest. An empty folder is foreign, too, unless there is a note.

    Args:
        folder: The folder.
        is_replaced: Whether another folder takes its place, so that all that is in it is lost; else
            the private folder, `.albert-work`, and `lost+found`, which every new volume has, are
            left out.
    """
    known = earlier_files(folder)
    for entry in sorted(folder.iterdir()):
        names = _files_at(entry, folder)
        foreign = {n for n in names if not is_private(n, is_replaced=is_replaced)} - set(known)
        if foreign:
            return min(foreign)
        # An empty folder is somebody's, unless files were about to come.
        if not (names or known or is_private(f"{entry.name}/", is_replaced=is_replaced)):
            return entry.name
    return None


def is_private(name: str, *, is_replaced: bool) -> bool:
    """Return whether a path below an output is none of its files, and nothing that may be lost.

    Args:
        name: The path, relative to the output; that of an empty folder ends with a slash.
        is_replaced: Whether another folder takes the output's place: then only the files of a
            publishing in `.albert-work` are private; else all in `.albert-work` and `lost+found`.
    """
    first, slash, rest = name.partition("/")
    if is_replaced:
        names = ("", f"partial/{LOCK_NAME}", *NAMES_OF_FILLING)
        return first == PRIVATE_NAME and bool(slash) and rest in names
    return bool(slash) and first in {PRIVATE_NAME, *FOLDERS_OF_VOLUMES}


def files_in(folder: Path, *, is_replaced: bool) -> list[str]:
    """Return all files below a folder except private ones, relative to it, unsorted; links count.

    Args:
        folder: An existing folder.
        is_replaced: Whether another folder takes its place, which makes fewer files private; see
            `is_private`.
    """
    names = _files_at(folder, folder)
    return [name for name in names if not is_private(name, is_replaced=is_replaced)]


def _files_at(path: Path, root: Path) -> list[str]:
    """Return the path of a file, or of those below a folder, relative to `root`, unsorted.

    Links are files, and are not followed. A path at which there is nothing is returned.
    """
    is_folder = path.is_dir() and not path.is_symlink()
    paths = path.rglob("*") if is_folder else [path]
    return [
        file.relative_to(root).as_posix()
        for file in paths
        if file.is_symlink() or not file.is_dir()
    ]


def replace_or_fill(
    partial: Path, folder: Path, *, earlier: Collection[str] = (), last: str
) -> None:
    """Replace a folder by a finished one, or fill it with the files of the finished one.

    `replace_folder` is tried first; if it succeeds, `partial` has been renamed to `folder`. If the
    system refuses the rename, as it may for a mount point or a folder of a container's image,
    `fill_folder` puts the files of `partial` into the folder that is there, `end_filling` removes
    the note that lists them, and `partial` stays.

    Args:
        partial: The finished folder, from a `staging_folder` that the caller has not left.
        folder: The place, where another folder may be.
        earlier: Paths below `folder` of its files from an earlier call. Filling removes these;
            replacing removes all that is there.
        last: Path below `folder` of the file that makes the folder whole: filling removes it first
            and writes it last.

    Raises:
        OSError: The rename is refused for another reason, no folder is there to be filled, or a
            file cannot be written.
        InputError: A path leads out of the folder, or what an earlier call left cannot be removed
            and is in the way.
    """
    try:
        replace_folder(partial, folder)
    except OSError as error:
        if error.errno not in _NO_RENAME or not folder.is_dir():
            raise
        fill_folder(partial, folder, earlier=earlier, last=last)
        end_filling(folder)


def fill_folder(source: Path, folder: Path, *, earlier: Collection[str] = (), last: str) -> None:
    """Put the files of a folder into one that exists and stays, and remove earlier ones.

    A note in the private folder tells meanwhile which files are of this program; it is flushed
    before the first file is removed. Each file appears whole. Call `end_filling` afterwards.

    Args:
        source: The finished files; they stay.
        folder: The folder; others than the earlier files are left alone.
        earlier: Paths below `folder` of the files that it holds from before, which are removed.
        last: Path below `folder` of the file that makes it whole: removed first, and written last.

    Raises:
        InputError: A path leads out of the folder, by its name or by a link; nothing is changed.
        OSError: A file cannot be removed or written; a note that was written stays.
    """
    names = _files_at(source, source)
    note = _note_path(folder)
    listed = sorted({*names, *earlier, last})
    _refuse_ways_out([*listed, f"{PRIVATE_NAME}/{NOTE_NAME}"], folder)
    note.parent.mkdir(exist_ok=True)
    write_sealed(note, {"files": listed}, work=_WORK)
    (folder / last).unlink(missing_ok=True)
    for name in earlier:
        _remove_file(folder / name, folder)
    for name in sorted(names, key=lambda name: name == last):
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
        _put_file(source / name, target, note.with_name(COPY_NAME))
    for parent in {(folder / name).parent for name in names}:
        flush_folder(parent)


def _refuse_ways_out(names: Iterable[str], folder: Path) -> None:
    """Refuse paths below a folder that lead out of it.

    Raises:
        InputError: One is absolute, has `..` in it, or a folder on its way is a link.
    """
    # Notes and manifests are files that others can write, and links are theirs, too.
    for name in names:
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts:
            raise InputError(
                f"{folder}: {name}, listed there as a file of this program, leads out of the "
                "folder; choose another folder"
            )
        for parent in path.parents:
            if parent.parts and (folder / parent).is_symlink():
                raise InputError(
                    f"{folder}: {parent} is a link, expected a folder; remove the link, or choose "
                    "another folder"
                )


def _put_file(source: Path, target: Path, copy: Path) -> None:
    """Link or copy a file to a new path, where it appears whole.

    The link or copy is made at `copy`, flushed to disk, and renamed to `target`.

    Args:
        source: The file; it stays. After a link, what is written into either file is in both.
        target: The new path; a file that is there would be replaced.
        copy: A path on the file system of `target`; a file that is there is removed.
    """
    copy.unlink(missing_ok=True)
    try:
        link_or_copy(source, copy)
        with copy.open("rb") as file:
            os.fsync(file.fileno())
        os.replace(copy, target)
    finally:
        copy.unlink(missing_ok=True)


def end_filling(folder: Path) -> None:
    """Remove the note of a complete publishing, and the private folder if it is empty then.

    Does nothing where the private folder, `.albert-work`, is a link; it need not exist.
    """
    private = folder / PRIVATE_NAME
    if not private.is_symlink():
        for name in NAMES_OF_FILLING:
            (private / name).unlink(missing_ok=True)
        remove_empty(private)


def earlier_files(folder: Path) -> tuple[str, ...]:
    """Return the files that the note of a publishing lists, relative to the folder.

    Empty without a note, or with a damaged one.
    """
    try:
        return tuple(read_sealed(_note_path(folder), work=_WORK)["files"])
    except DamageError:
        return ()


def remove_empty(folder: Path) -> None:
    """Remove a folder if it is empty; else, and where it cannot be removed, do nothing."""
    with contextlib.suppress(OSError):
        folder.rmdir()


def _remove_file(path: Path, root: Path) -> None:
    """Remove a file that may be gone already, and the folders above it that become empty."""
    path.unlink(missing_ok=True)
    for parent in path.relative_to(root).parents:
        if parent.parts:
            remove_empty(root / parent)


def _note_path(folder: Path) -> Path:
    return folder / PRIVATE_NAME / NOTE_NAME
