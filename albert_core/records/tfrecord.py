"""TFRecord files and tf.train.Example messages without TensorFlow, which data workers lack."""

import functools
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import google_crc32c

from albert_core.errors import InputError


@functools.cache
def _example_class() -> Any:
    """Return the message class of tf.train.Example, in a pool of its own.

    TensorFlow registers the same messages in the default pool of its process; a private pool
    never clashes with it.
    """
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    file = descriptor_pb2.FileDescriptorProto(
        name="albert/example.proto", package="albert", syntax="proto3"
    )
    field = descriptor_pb2.FieldDescriptorProto

    def add(message: Any, name: str, number: int, kind: int, **more: Any) -> None:
        label = more.pop("label", field.LABEL_OPTIONAL)
        message.field.add(name=name, number=number, type=kind, label=label, **more)

    lists = {
        "BytesList": field.TYPE_BYTES,
        "FloatList": field.TYPE_FLOAT,
        "Int64List": field.TYPE_INT64,
    }
    feature = file.message_type.add(name="Feature")
    feature.oneof_decl.add(name="kind")
    for number, (name, kind) in enumerate(lists.items(), start=1):
        add(file.message_type.add(name=name), "value", 1, kind, label=field.LABEL_REPEATED)
        own = name.removesuffix("List").lower() + "_list"
        type_name = f".albert.{name}"
        add(feature, own, number, field.TYPE_MESSAGE, type_name=type_name, oneof_index=0)
    features = file.message_type.add(name="Features")
    entry = features.nested_type.add(name="FeatureEntry")
    entry.options.map_entry = True
    add(entry, "key", 1, field.TYPE_STRING)
    add(entry, "value", 2, field.TYPE_MESSAGE, type_name=".albert.Feature")
    of_map = {"type_name": ".albert.Features.FeatureEntry", "label": field.LABEL_REPEATED}
    add(features, "feature", 1, field.TYPE_MESSAGE, **of_map)
    example = file.message_type.add(name="Example")
    add(example, "features", 1, field.TYPE_MESSAGE, type_name=".albert.Features")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("albert.Example"))


def parse_example(record: bytes) -> dict[str, Any]:
    """Return the features of a serialised tf.train.Example: lists of bytes, floats or integers.

    Raises:
        InputError: It is not one.
    """
    from google.protobuf.message import DecodeError

    try:
        features = _example_class().FromString(record).features.feature
    except DecodeError as error:
        raise InputError(
            f"record: got {len(record)} bytes that are no tf.train.Example; make the records anew"
        ) from error
    return {
        name: list(getattr(feature, feature.WhichOneof("kind")).value)
        for name, feature in features.items()
        if feature.WhichOneof("kind")
    }


def write_tfrecords(path: Path, records: Iterable[bytes]) -> int:
    """Write records in TFRecord framing: length, its checksum, data, its checksum.

    Returns:
        The number of records.
    """
    count = 0
    with path.open("wb") as file:
        for record in records:
            header = struct.pack("<Q", len(record))
            file.write(header + _masked_crc(header) + record + _masked_crc(record))
            count += 1
    return count


def read_tfrecords(path: Path) -> Iterator[bytes]:
    """Yield the records of a TFRecord file, checking every checksum.

    Raises:
        InputError: The file ends inside a record or a checksum is wrong; names the offset.
    """
    offset = 0
    with path.open("rb") as file:
        while header := file.read(12):
            record = file.read(_record_size(path, offset, header))
            if not record or file.read(4) != _masked_crc(record):
                raise _damaged(path, offset)
            offset += len(record) + 16
            yield record


def count_tfrecords(path: Path) -> int:
    """Return the number of records of a TFRecord file, checking the checksums of their sizes.

    Raises:
        InputError: The file ends inside a record, or the checksum of a size is wrong.
    """
    count, offset, end = 0, 0, path.stat().st_size
    with path.open("rb") as file:
        while header := file.read(12):
            after = offset + _record_size(path, offset, header) + 16
            if after > end:
                raise _damaged(path, offset)
            offset = file.seek(after)
            count += 1
    return count


def _record_size(path: Path, offset: int, header: bytes) -> int:
    if len(header) < 12 or header[8:] != _masked_crc(header[:8]):
        raise _damaged(path, offset)
    return struct.unpack("<Q", header[:8])[0]


def _damaged(path: Path, offset: int) -> InputError:
    return InputError(
        f"{path}: truncated or corrupt record at byte {offset}; make the records anew"
    )


def _masked_crc(data: bytes) -> bytes:
    crc = google_crc32c.value(data)
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)
