"""Reads TensorBoard's event files without TensorFlow, which its own reader imports."""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def read_events(folder: Path) -> Iterator[Any]:
    """Yield the events of all files in a folder, file by file."""
    from tensorboard.compat.proto.event_pb2 import Event

    for path in sorted(folder.iterdir()):
        data, position = path.read_bytes(), 0
        while position < len(data):
            (length,) = struct.unpack_from("<Q", data, position)
            position += 12  # the length and its checksum
            yield Event.FromString(data[position : position + length])
            position += length + 4


def read_scalars(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """Return the curves in a folder, by name."""
    curves: dict[str, list[tuple[int, float]]] = {}
    for event in read_events(folder):
        for value in event.summary.value:
            if value.WhichOneof("value") == "simple_value":
                curves.setdefault(value.tag, []).append((event.step, value.simple_value))
    return curves
