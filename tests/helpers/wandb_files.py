"""Reads what Weights & Biases writes into a folder: records in blocks, as of LevelDB's logs."""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_HEADER_BYTES, _BLOCK_BYTES = 7, 32768
_WHOLE, _FIRST, _LAST = 1, 2, 4


def read_records(path: Path) -> Iterator[Any]:
    """Yield the records of a .wandb file, whose own header is as long as those of its parts."""
    from wandb.proto.wandb_internal_pb2 import Record

    data, position, content = path.read_bytes(), _HEADER_BYTES, b""
    while position + _HEADER_BYTES <= len(data):
        left = _BLOCK_BYTES - position % _BLOCK_BYTES
        if left < _HEADER_BYTES:
            position += left
            continue
        _, length, kind = struct.unpack_from("<IHB", data, position)
        position += _HEADER_BYTES
        part = data[position : position + length]
        position += length
        content = part if kind in (_WHOLE, _FIRST) else content + part
        if kind in (_WHOLE, _LAST):
            record = Record()
            record.ParseFromString(content)
            yield record


def key_of(item: Any) -> str:
    """Return the name of a value in a record."""
    return "/".join(item.nested_key) or item.key
