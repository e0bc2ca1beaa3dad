"""Checksums of work in progress: sealed JSON, and the files that it vouches for.

Whatever a step reads back of its own earlier work is either sealed JSON or a file that sealed JSON
lists with size and CRC-32C. A seal also names the work it belongs to, so that a file of other work
in its place is noticed like a damaged one. CRC-32C, since it is what Google Cloud Storage keeps of
each object and takes a quarter of the time of a sha256: 2.5 GB/s on a core.
"""

import base64
import json
import math
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import google_crc32c

from albert_core.files.atomic import hash_json, write_json

_CHECKSUM, _WORK = "checksum", "work"
_BLOCK_BYTES = 1 << 20

FileFacts = Mapping[str, Any]
"""Size (`bytes`) and checksum (`crc32c`, in base64 as Google writes it, None if unknown)."""


class DamageError(ValueError):
    """A file that is read back is not what was written; the message says how, in a few words."""


def report_damage(what: str | Path, damage: object, remedy: str) -> None:
    """Print a line on standard error that names damaged work, and what becomes of it.

    Args:
        what: The file or folder.
        damage: How it differs, as the message of a `DamageError` says.
        remedy: What is done about it.
    """
    print(f"albert: {what}: damaged ({damage}); {remedy}", file=sys.stderr, flush=True)


def with_checksum(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return a JSON object with the key `checksum` added: the sha256 of all others."""
    # As they will be read: tuples become lists, and numbers that are keys become texts.
    plain = json.loads(json.dumps(values))
    return {**plain, _CHECKSUM: hash_json(plain)}


def without_checksum(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return a JSON object that `with_checksum` made without its checksum, which is compared.

    Raises:
        DamageError: There is no checksum, or it is another.
    """
    rest = {name: value for name, value in values.items() if name != _CHECKSUM}
    if _CHECKSUM not in values:
        raise DamageError("it has no checksum")
    if values[_CHECKSUM] != hash_json(rest):
        raise DamageError("it holds something else than was written: its checksum differs")
    return rest


def seal(values: Mapping[str, Any], *, work: str) -> dict[str, Any]:
    """Return a JSON object with `work` and `checksum` added; `unseal` compares both."""
    return with_checksum({_WORK: work, **values})


def unseal(data: bytes, *, work: str | None) -> dict[str, Any]:
    """Return the values of sealed JSON, without those that `seal` added.

    Args:
        data: Content of the file.
        work: The work that it must belong to; None: any.

    Raises:
        DamageError: It is no sealed JSON, holds something else than was written, or belongs to
            other work.
    """
    values = without_checksum(parse_object(data))
    if values.pop(_WORK, None) != work and work is not None:
        raise DamageError("it belongs to other work")
    return values


def parse_object(data: bytes) -> dict[str, Any]:
    """Return the JSON object in a file's bytes.

    Raises:
        DamageError: The bytes are not a JSON object.
    """
    try:
        values = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise DamageError(f"it is not JSON: {error}") from error
    if not isinstance(values, dict):
        raise DamageError(f"it holds a {type(values).__name__}, expected a JSON object")
    return values


def write_sealed(path: Path, values: Mapping[str, Any], *, work: str) -> None:
    """Write sealed JSON, which appears whole or not at all; the folder must exist.

    A file at the path is replaced.

    Args:
        path: The file.
        values: The values, of JSON's types; `seal` adds the work and a checksum.
        work: Name of the work that the file belongs to, which `read_sealed` compares.
    """
    write_json(path, seal(values, work=work))


def read_sealed(path: Path, *, work: str) -> dict[str, Any]:
    """Return the values of a file that `write_sealed` wrote, without those that `seal` added.

    Raises:
        DamageError: The file is missing, cannot be read or is no sealed JSON, its checksum differs,
            or it belongs to other work than `work`.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DamageError(f"{path.name}: {error.strerror}") from error
    try:
        return unseal(data, work=work)
    except DamageError as error:
        raise DamageError(f"{path.name}: {error}") from error


def describe_file(path: Path, *, max_bytes: int | None = None) -> dict[str, Any]:
    """Return size (`bytes`) and CRC-32C in base64 (`crc32c`) of a file, which is read once.

    Args:
        path: The file.
        max_bytes: Bytes at its beginning that are read and count, in the size, too; None: all.
    """
    crc, num_bytes = google_crc32c.Checksum(), 0
    limit = math.inf if max_bytes is None else max_bytes
    with path.open("rb") as file:
        while block := file.read(int(min(_BLOCK_BYTES, limit - num_bytes))):
            crc.update(block)
            num_bytes += len(block)
    return {"bytes": num_bytes, "crc32c": in_base64(crc)}


def in_base64(crc: google_crc32c.Checksum) -> str:
    """Return a checksum as Google writes it."""
    return base64.b64encode(crc.digest()).decode()


def find_file_damage(path: Path, facts: FileFacts) -> str | None:
    """Describe in a few words how a file differs from its size and checksum, or return None.

    It is read only if its size is right. An unknown checksum is not compared.
    """
    if not path.is_file():
        return f"{path.name} is missing"
    if (actual := path.stat().st_size) != facts["bytes"]:
        return f"{path.name} has {actual:,} bytes, expected {facts['bytes']:,}"
    if facts["crc32c"] not in (None, describe_file(path)["crc32c"]):
        return f"{path.name} holds something else than was written (its checksum differs)"
    return None
