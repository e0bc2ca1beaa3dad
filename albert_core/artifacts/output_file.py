"""A single file that a command writes where its user says, which may hold something else."""

from collections.abc import Callable
from pathlib import Path

from albert_core.artifacts.output_folder import refuse_unwritable_file
from albert_core.errors import InputError
from albert_core.storage import exists, is_remote, read_bytes


def refuse_foreign_file(path: str, is_own: Callable[[bytes], bool], *, what: str) -> None:
    """Refuse an output that cannot be written as a file, or is one of another program.

    A file that exists is read whole. Call this before the work, and `write_bytes` after it. For an
    address in a bucket, the right to write is not checked.

    Args:
        path: Address of the file to write, local, gs:// or s3://; nothing may be there.
        is_own: Function of a file's content; returns whether this program wrote it.
        what: What the command writes, for the message, such as `a compiled pipeline`.

    Raises:
        InputError: The path ends with a slash, cannot be written locally, or has a file for which
            `is_own` is false.
        ServiceError: The storage failed.
    """
    if path.endswith("/"):
        raise InputError(f"output {path}: got a folder, expected the name of a file")
    if not is_remote(path):
        refuse_unwritable_file(Path(path))
    if exists(path) and not is_own(read_bytes(path)):
        raise InputError(
            f"output {path}: exists and is not {what} as this program wrote it; choose another "
            "name, or move that file away"
        )
