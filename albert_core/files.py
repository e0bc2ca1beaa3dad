"""Hashes, and writes that leave a whole file or none."""

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def hash_json(value: Any) -> str:
    """Return the sha256, in hex, of a JSON value, independent of the order of its keys.

    A tuple counts as a list, and a key that is a number as its text.
    """
    # These options decide the bytes: another separator would change every fingerprint, and with
    # it the names of all work folders that people have.
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def sha256_of_file(path: Path) -> str:
    """Return the sha256 of a file's bytes, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file, or replace it, so that it is never seen in part.

    Whenever the process or machine stops, the path has the new file, or what it had before. The
    folder must exist.
    """
    # In the same folder, since a rename is atomic within a file system only; with the process id,
    # since two processes may write the same file at once; with a dot, so that uploads of work in
    # progress leave it out.
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            # Without it, a machine that loses power after the rename may come back with the new
            # name and an empty file.
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def link_or_copy(source: str | Path, target: str | Path) -> None:
    """Make `target` a hard link of a file, or a copy where the system refuses to link.

    `target` should not exist (not checked): its content would be overwritten by the copy.

    Raises:
        FileNotFoundError: `source`, or the folder of `target`, does not exist.
    """
    try:
        os.link(source, target)
    except FileNotFoundError:
        raise
    # Another device, a file system without links, or too many links of this file.
    except OSError:
        shutil.copy2(source, target)


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write a JSON object by `write_atomically`, indented, with its keys in their order."""
    text = json.dumps(value, indent=2, ensure_ascii=False) + "\n"
    write_atomically(path, text.encode())
