"""Files that appear whole or not at all, written part by part."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from albert_core.files.atomic import hash_json
from albert_core.files.partial_files import partial_file, scratch_file
from albert_core.processes.user_folder import user_folder
from albert_core.storage import is_remote, write_file


@contextlib.contextmanager
def whole_file(path: str) -> Iterator[Path]:
    """Give the body a local path to write, which becomes `path` when the body has ended.

    Until then it is a hidden file beside `path`, or for a bucket in a folder of this user's among
    the temporary files, from where it is uploaded. If the body fails nothing is left of it; what a
    killed process left is written over. A file at `path` is replaced; if that is a link, the file
    it leads to.

    Args:
        path: Local, in a folder that exists, or in a bucket.

    Raises:
        InputError: Another process writes the same file, or on this machine the same address; or
            the bucket must not be written.
        ServiceError: The file cannot be uploaded.
    """
    if not is_remote(path):
        with partial_file(Path(os.path.realpath(path)), waits=False) as partial:
            yield partial
        return
    # By a hash of the address: a name alone may be another command's, too.
    local = user_folder("albert-uploads") / hash_json(path)[:16]
    # Within its lock: a second command for the same address is refused until this one is uploaded.
    with scratch_file(local, waits=False) as partial:
        yield partial
        write_file(path, partial)
