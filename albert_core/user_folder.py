"""Folders of one user in the folder for temporary files, where others can plant files, too."""

import contextlib
import os
import stat
import tempfile
from pathlib import Path

from albert_core.errors import InputError


def user_folder(name: str) -> Path:
    """Return `name-UID` in the folder for temporary files, which only this user can open.

    It is made, with mode 0700, if it is missing.

    Raises:
        InputError: What is there is another user's, a link or no folder, or is open to others.
    """
    folder = Path(tempfile.gettempdir()) / f"{name}-{os.getuid()}"
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
