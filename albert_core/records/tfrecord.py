"""Read and write TFRecord files and tf.train.Example messages without TensorFlow.

Workers that make records have no TensorFlow, and training with JAX does without it.
"""

import functools
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import google_crc32c

from albert_core.errors import InputError


@functools.cache
def _example_class() -> Any:
    """Return a message class with the wire format of tf.train.Example, built once per process."""
    # In a pool of its own: TensorFlow registers messages of these names in the default pool of
    # the process, and a second registration there is an error.
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    file = descriptor_pb2.FileDescriptorProto(
        name="albert/example.proto", package="albert", syntax="proto3"
    )
    field = descriptor_pb2.FieldDescriptorProto

    def add(message: Any, name: str, number: int, kind: int, **options: Any) -> None:
        label = options.pop("label", field.LABEL_OPTIONAL)
        message.field.add(name=name, number=number, type=kind, label=label, **options)

    lists = {
        "BytesList": field.TYPE_BYTES,
        "FloatList": field.TYPE_FLOAT,
        "Int64List": field.TYPE_INT64,
    }
    feature = file.message_type.add(name="Feature")
    feature.oneof_decl.add(name="kind")
    for number, (name, kind) in enumerate(lists.items(), start=1):
        add(file.message_type.add(name=name), "value", 1, kind, label=field.LABEL_REPEATED)
        field_name = name.removesuffix("List").lower() + "_list"
        type_name = f".albert.{name}"
        add(feature, field_name, number, field.TYPE_MESSAGE, type_name=type_name, oneof_index=0)
    features = file.message_type.add(name="Features")
    entry = features.nested_type.add(name="FeatureEntry")
    entry.options.map_entry = True
    add(entry, "key", 1, field.TYPE_STRING)
    add(entry, "value", 2, field.TYPE_MESSAGE, type_name=".albert.Feature")
    map_options = {"type_name": ".albert.Features.FeatureEntry", "label": field.LABEL_REPEATED}
    add(features, "feature", 1, field.TYPE_MESSAGE, **map_options)
    example = file.message_type.add(name="Example")
    add(example, "features", 1, field.TYPE_MESSAGE, type_name=".albert.Features")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("albert.Example"))


def parse_example(record: bytes) -> dict[str, Any]:
    """Parse a serialised tf.train.Example; return lists of bytes, floats or integers by name.

    Features without a value are left out. Checksums are `read_tfrecords`' to check.

    Raises:
        InputError: The bytes are no such message.
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
    """Write records into a TFRecord file: length, its checksum, data, its checksum, each.

    Replaces an existing file. A process that stops meanwhile leaves a part of the file.

    Returns:
        The number of records.

    Raises:
        OSError: The folder is missing, or must not be written.
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
        InputError: On reaching it: the file ends inside a record, a checksum is wrong, or a record
            is empty; names the offset.
        FileNotFoundError: On the first record: there is no such file.
    """
    offset = 0
    with path.open("rb") as file:
        while header := file.read(12):
            record = file.read(_record_size(path, offset, header))
            if not record or file.read(4) != _masked_crc(record):
                raise _damage_error(path, offset)
            offset += len(record) + 16
            yield record


def count_tfrecords(path: Path) -> int:
    """Count the records of a TFRecord file without reading them; check the sizes' checksums.

    Damage inside the records goes unnoticed.

    Raises:
        InputError: The file ends inside a record, or the checksum of a size is wrong.
        FileNotFoundError: There is no such file.
    """
    count, offset, end = 0, 0, path.stat().st_size
    with path.open("rb") as file:
        while header := file.read(12):
            after = offset + _record_size(path, offset, header) + 16
            if after > end:
                raise _damage_error(path, offset)
            offset = file.seek(after)
            count += 1
    return count


def _record_size(path: Path, offset: int, header: bytes) -> int:
    """Return the size that a record's header, its first 12 bytes, holds.

    Raises:
        InputError: The header is cut short or its checksum is wrong; names file and offset.
    """
    # Checked before it is believed: a wrong size would be read as gigabytes of data.
    if len(header) < 12 or header[8:] != _masked_crc(header[:8]):
        raise _damage_error(path, offset)
    return struct.unpack("<Q", header[:8])[0]


def _damage_error(path: Path, offset: int) -> InputError:
    return InputError(
        f"{path}: truncated or corrupt record at byte {offset}; make the records anew"
    )


def _masked_crc(data: bytes) -> bytes:
    """Return the CRC-32C of data in TFRecord's masked form, four bytes."""
    # Rotated and shifted by a constant: the format's guard against checksums of data that itself
    # holds checksums.
    crc = google_crc32c.value(data)
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)
