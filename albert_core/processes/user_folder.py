"""Temporary files: folders of one user, where others can plant files, and those of one step."""

import contextlib
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

from albert_core.errors import InputError
from albert_core.processes.stops import cleaned_by_force

# The folder for temporary files as it was before `temporary_files_in`, for child processes, too.
_SHARED_VARIABLE = "ALBERT_SHARED_TMPDIR"


@contextlib.contextmanager
def temporary_files_in(folder: Path) -> Iterator[None]:
    """Have this process and its children make their temporary files in a folder, during the body.

    Sets `tempfile.tempdir` and TMPDIR in the environment, and puts back what they were. A killed
    process leaves the files of its libraries behind. Therefore the folder is removed with
    everything in it after the body, or by the next process that uses it. `user_folder` stays where
    it was.

    Args:
        folder: Folder to make anew, for this process alone; what is in it is removed first. If
            something that an earlier process left cannot be removed, a new folder inside it is used
            instead.

    Raises:
        InputError: A file has its name.
    """
    shutil.rmtree(folder, ignore_errors=True)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        raise InputError(f"{folder}: is no folder, expected one; remove it") from error
    place = tempfile.mkdtemp(prefix="", dir=folder) if any(folder.iterdir()) else folder
    variables = shared_folder_variables() | {"TMPDIR": os.path.abspath(place)}
    before = {name: os.environ.get(name) for name in variables}
    before_here = tempfile.tempdir
    os.environ.update(variables)
    tempfile.tempdir = variables["TMPDIR"]
    try:
        with cleaned_by_force(lambda: shutil.rmtree(folder, ignore_errors=True)):
            yield
    finally:
        tempfile.tempdir = before_here
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
        shutil.rmtree(folder, ignore_errors=True)


def shared_folder_variables() -> dict[str, str]:
    """Return the environment variables to add for a process that gets another TMPDIR.

    With them `user_folder` returns the same folders there as here. The dict has one, name and
    value; it is empty on a machine without a writable folder for temporary files.
    """
    try:
        return {_SHARED_VARIABLE: str(_shared_folder())}
    except InputError:  # of a machine with a read-only disk
        return {}


def _shared_folder() -> Path:
    """Return the folder for temporary files that all users have, as it was before any step began.

    It is the first writable one of ALBERT_SHARED_TMPDIR, `tempfile.tempdir`, TMPDIR, TEMP, TMP,
    /tmp and /var/tmp. `tempfile` itself is not asked: it would write a file of a random name there,
    which stays if the process is killed.

    Raises:
        InputError: There is none that can be written.
    """
    names = [os.environ.get(_SHARED_VARIABLE), tempfile.tempdir]
    names += [os.environ.get(name) for name in ("TMPDIR", "TEMP", "TMP")]
    for name in filter(None, (*names, "/tmp", "/var/tmp")):
        if os.path.isdir(name) and os.access(name, os.W_OK | os.X_OK):
            return Path(name).absolute()
    raise InputError(
        "got no folder for temporary files that can be written (TMPDIR, /tmp, /var/tmp); set "
        "TMPDIR to one"
    )


def user_folder(name: str) -> Path:
    """Return `name-UID` in the folder for temporary files, which only this user can open.

    It is made, with mode 0700, if it is missing.

    Raises:
        InputError: What is there is another user's, a link or no folder, or is open to others; or
            there is no folder for temporary files.
    """
    folder = _shared_folder() / f"{name}-{os.getuid()}"
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    status = folder.lstat()  # of a link itself, which somebody may have put there
    if not stat.S_ISDIR(status.st_mode):
        problem = "a link" if stat.S_ISLNK(status.st_mode) else "no folder"
    elif status.st_uid != os.getuid():
        problem = f"a folder of user {status.st_uid}"
    elif status.st_mode & 0o077:
        problem = f"a folder of mode {stat.S_IMODE(status.st_mode):04o}"
    else:
        return folder
    raise InputError(
        f"{folder}: got {problem}, expected a folder of this user's own of mode 0700; remove it, "
        "or set TMPDIR to another folder"
    )
