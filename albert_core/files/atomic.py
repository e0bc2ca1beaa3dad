"""Hashes, and writes that leave a whole file or none."""

import hashlib
import json
import os
import shutil
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from albert_core.errors import InputError
from albert_core.files.partial_files import partial_file


def hash_json(value: Any) -> str:
    """Return the sha256, in hex, of a JSON value, independent of the order of its keys.

    A tuple counts as a list, and a key that is a number as its text. Raises TypeError or ValueError
    for a value that JSON does not have; NaN and infinity pass.
    """
    # These options decide the bytes: another separator would change every fingerprint, and with
    # it the names of all work folders that people have.
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def sha256_of_file(path: Path) -> str:
    """Return the sha256 of a file's bytes, in hex.

    Raises:
        OSError: It is missing, a folder, or must not be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_regular_file(path: str | Path) -> bytes:
    """Return the bytes of a file; links are followed.

    Raises:
        InputError: It is missing, a folder, a pipe, a socket or a device, or cannot be read.
    """
    refuse_special_file(path)
    try:
        return Path(path).read_bytes()
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file") from error
    except (OSError, ValueError) as error:  # ValueError: of a path with a null character
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{path}: {reason}; expected a file that can be read") from error


def refuse_special_file(path: str | Path) -> None:
    """Refuse a folder, a pipe, a socket or a device in place of a file; links are followed.

    Reading a pipe waits for whoever writes into it, and a device may have no end. A path with
    nothing at it, or that cannot be looked at, passes.

    Raises:
        InputError: The path leads to one of these.
    """
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError):
        return
    if not stat.S_ISREG(mode):
        kinds = ((stat.S_ISDIR, "folder"), (stat.S_ISFIFO, "pipe"), (stat.S_ISSOCK, "socket"))
        kind = next((name for is_kind, name in kinds if is_kind(mode)), "device")
        raise InputError(f"{path}: got a {kind}, expected a file")


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file, or replace it, so that it is never seen in part.

    Whenever the process or machine stops, the path has the new file, or what it had before. A file
    that is replaced keeps its mode; a link at the path is replaced itself. While another process
    writes the same file, this one waits, and then writes it whole.

    Raises:
        OSError: The folder does not exist, or must not be written.
    """
    with partial_file(path) as partial, partial.open("wb") as file:
        file.write(data)


def link_or_copy(source: str | Path, target: str | Path) -> None:
    """Make `target` a hard link of a file, or a copy where the system refuses to link.

    After a link, what is written into either file is in both. `target` should not exist (not
    checked): its content would be overwritten by the copy.

    Raises:
        FileNotFoundError: `source`, or the folder of `target`, does not exist.
        OSError: The copy fails, too.
    """
    try:
        os.link(source, target)
    except FileNotFoundError:
        raise
    # Another device, a file system without links, or too many links of this file.
    except OSError:
        shutil.copy2(source, target)


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write a JSON object by `write_atomically`, indented by 2, its keys in their order."""
    text = json.dumps(value, indent=2, ensure_ascii=False) + "\n"
    write_atomically(path, text.encode())
