"""The places of a run's folder: links into its artifacts, or copies where links are refused."""

import contextlib
import os
import shutil
from pathlib import Path

from albert_core.errors import InputError
from albert_core.files.atomic import link_or_copy
from albert_core.files.partial_files import partial_path, remove_whole_folder
from albert_core.places.outputs import ARTIFACTS_NAME, PLACES, RunOutputs, find_outputs
from albert_core.places.scores import task_scores, write_scores

# Tells a copy from a folder of somebody's, and from which artifact it is.
_COPY_NOTE = "copied_from.txt"


def update_places(run: Path, *, report: Path | None = None) -> RunOutputs:
    """Bring the places of a run's folder, scores.json and scores.csv up to date.

    Places are the paths of `RunOutputs.places`, such as `models/cola`: links to the outputs among
    the run's artifacts, or copies where the file system has no links. None is ever half a folder.
    Links and copies of earlier updates that are no place any more are removed, and folders that
    this program did not make are left alone. The caller must hold the lock of the folder, which is
    not taken here. Places before one that cannot be made are replaced already when it raises; the
    scores are written last.

    Args:
        run: The run's folder.
        report: Output of the report of a run that has just finished; None: the newest report counts
            if the last run in the folder has written one.

    Returns:
        The outputs that the places lead to.

    Raises:
        InputError: A file or folder that is not the run's stands where a place has to be.
    """
    outputs = find_outputs(run, report=report)
    _remove_leftovers(run)
    places = {run / name: folder for name, folder in outputs.places().items()}
    for path in existing_places(run):
        if path not in places:
            _remove(path)
    for path, folder in places.items():
        _make_place(path, folder)
    write_scores(task_scores(outputs), run)
    return outputs


def existing_places(run: Path) -> list[Path]:
    """Return the links and copies in a run's folder that an earlier update of the places made.

    They are looked for under the fixed names of `PLACES` and within folders of these names. Links
    that lead nowhere count; somebody's own files and links to elsewhere do not.
    """
    candidates = [run / name for name in PLACES]
    candidates += [
        entry
        for folder in candidates
        if folder.is_dir() and not folder.is_symlink() and not _is_copy(folder)
        for entry in folder.iterdir()
    ]
    return [path for path in candidates if _leads_to_artifact(path, run) or _is_copy(path)]


def _remove_leftovers(run: Path) -> None:
    """Remove what a killed update left under hidden names beside the places; others' files stay."""
    hidden = [run / f".{name}{ending}" for name in PLACES for ending in (".partial", ".removed")]
    for folder in (run / name for name in PLACES):
        if folder.is_dir() and not folder.is_symlink() and not _is_copy(folder):
            hidden += [*folder.glob(".*.partial"), *folder.glob(".*.removed")]
    for path in hidden:
        if path.is_dir() or _leads_to_artifact(path, run):
            _remove(path)


def _leads_to_artifact(path: Path, run: Path) -> bool:
    """Return whether a path is a link to a path among the run's artifacts, existing or not."""
    if not path.is_symlink():
        return False
    target = os.path.abspath(path.parent / os.readlink(path))
    return Path(target).is_relative_to((run / ARTIFACTS_NAME).absolute())


def _is_copy(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink() and (path / _COPY_NOTE).is_file()


def _make_place(path: Path, folder: str) -> None:
    """Make a path lead to a folder, by a relative link or else a copy; does nothing if it does.

    What is new is made beside it and renamed, so that the place is never half a folder; an older
    copy is removed just before that.

    Raises:
        InputError: Something else is there.
    """
    target = os.path.relpath(folder, path.parent)
    if path.is_symlink() and os.readlink(path) == target:
        return
    is_copy = _is_copy(path)
    if is_copy and (path / _COPY_NOTE).read_text(encoding="utf-8") == target:
        return
    if path.exists() and not path.is_symlink() and not is_copy:
        raise InputError(
            f"{path}: exists and is not the run's, expected a place for the link to {folder}; move "
            "it out of the run's folder"
        )
    partial = partial_path(path)
    _remove(partial)  # of a run that was killed
    _make_parent(path)
    try:
        partial.symlink_to(target, target_is_directory=True)
    except OSError:  # such as FAT, or a bucket that is mounted
        shutil.copytree(folder, partial, copy_function=link_or_copy)
        (partial / _COPY_NOTE).write_text(target, encoding="utf-8")
    if is_copy or (path.is_symlink() and not partial.is_symlink()):
        _remove(path)  # a rename replaces links by links only
    os.replace(partial, path)


def _make_parent(path: Path) -> None:
    """Make the folder of a place.

    Raises:
        InputError: There is a file of its name.
    """
    try:
        path.parent.mkdir(exist_ok=True)
    except FileExistsError as error:
        raise InputError(
            f"{path.parent}: is a file, expected a folder of the run's; move it out of the run's "
            "folder"
        ) from error


def _remove(path: Path) -> None:
    """Remove a link or a folder with its content; does nothing for a file or where nothing is.

    If it was in the folder of a group of places, that is removed, too, once it is empty.
    """
    if path.is_symlink():
        path.unlink()
    elif path.is_dir():
        # Half a copy has no note, and would be taken for somebody's.
        remove_whole_folder(path, last=_COPY_NOTE)
    else:
        return
    if path.parent.name in PLACES:
        with contextlib.suppress(OSError):  # not empty
            path.parent.rmdir()
