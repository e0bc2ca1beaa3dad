"""Files that appear whole or not at all, written part by part."""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from albert_core.storage import is_remote, write_file


@contextlib.contextmanager
def whole_file(path: str) -> Iterator[Path]:
    """Give the body a local path to write, which becomes `path` when the body has ended.

    Until then it is a hidden file beside `path`, or for gs:// among the temporary files, from where
    it is uploaded. If the body fails nothing is left of it. A file at `path` is replaced.

    Args:
        path: Local, in a folder that exists, or gs://.
    """
    folder = Path(tempfile.gettempdir()) if is_remote(path) else Path(path).parent
    partial = folder / f".{PurePosixPath(path).name}.{os.getpid()}.partial"
    try:
        yield partial
        if is_remote(path):
            write_file(path, partial)
        else:
            os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
