"""Write and read model files with a hash at their end.

The runtimes do not check files: they run damaged weights, or crash on a damaged graph.
"""

import hashlib
from pathlib import Path

from albert_core.errors import InputError
from albert_core.files.atomic import write_atomically

# The bytes of a metadata entry `sha256` in ONNX's protobuf, so that a model with its hash is still
# a valid one; after a flatbuffer any bytes may follow.
_MARK = b"\x72\x4a\x0a\x06sha256\x12\x40"
_LENGTH = len(_MARK) + 64


def write_sealed(path: Path, content: bytes) -> None:
    """Write bytes and then their sha256 to a file, in one rename; a file there is replaced."""
    write_atomically(path, content + _MARK + hashlib.sha256(content).hexdigest().encode())


def read_sealed(path: Path) -> bytes:
    """Return the bytes of a file that `write_sealed` wrote, hash included, after checking it.

    Raises:
        InputError: The file is missing, cut off or altered.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error})") from error
    content, seal = data[:-_LENGTH], data[-_LENGTH:]
    if not seal.startswith(_MARK):
        raise InputError(
            f"{path}: got a file of {len(data):,} bytes that does not end in its hash, expected a "
            "whole model as `albert export` writes it; copy or export it again"
        )
    got, expected = hashlib.sha256(content).hexdigest(), seal[len(_MARK) :].decode("latin-1")
    if got != expected:
        raise InputError(
            f"{path}: got content with the hash {got[:12]}, expected {expected[:12]} as noted at "
            "its end: the file was altered; copy or export it again"
        )
    return data
