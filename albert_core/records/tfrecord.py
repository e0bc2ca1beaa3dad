"""TFRecord files and tf.train.Example messages without TensorFlow, which data workers lack."""

import functools
import struct
from collections.abc import Iterable, Iterator, Mapping
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


def encode_example(features: Mapping[str, bytes | int]) -> bytes:
    """Serialise a tf.train.Example of single bytes and integers; equal features, equal bytes."""
    example = _example_class()()
    for name, value in features.items():
        if isinstance(value, bytes):
            example.features.feature[name].bytes_list.value.append(value)
        else:
            example.features.feature[name].int64_list.value.append(value)
    return example.SerializeToString(deterministic=True)


def decode_bytes_feature(record: bytes, name: str) -> bytes:
    """Return a feature that holds one byte string from a serialised tf.train.Example."""
    return _example_class().FromString(record).features.feature[name].bytes_list.value[0]


def write_tfrecords(path: Path, records: Iterable[bytes]) -> None:
    """Write records in TFRecord framing: length, its checksum, data, its checksum."""
    with path.open("wb") as file:
        for record in records:
            header = struct.pack("<Q", len(record))
            file.write(header + _masked_crc(header) + record + _masked_crc(record))


def read_tfrecords(path: Path) -> Iterator[bytes]:
    """Yield the records of a TFRecord file, checking every checksum.

    Raises:
        InputError: The file ends inside a record or a checksum is wrong; names the offset.
    """
    with path.open("rb") as file:
        while header := file.read(12):
            offset = file.tell() - len(header)
            record = b""
            if len(header) == 12 and header[8:] == _masked_crc(header[:8]):
                (length,) = struct.unpack("<Q", header[:8])
                record = file.read(length)
            if not record or file.read(4) != _masked_crc(record):
                raise InputError(
                    f"{path}: truncated or corrupt record at byte {offset}; make the records anew"
                )
            yield record


def _masked_crc(data: bytes) -> bytes:
    crc = google_crc32c.value(data)
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)
