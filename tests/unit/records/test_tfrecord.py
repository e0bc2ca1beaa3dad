"""Record files: TensorFlow reads what we write without it, and no damaged byte goes unnoticed."""

import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from albert_core.errors import InputError
from albert_core.records.tfrecord import (
    count_tfrecords,
    parse_example,
    read_tfrecords,
    write_tfrecords,
)

FRAMING_BYTES = 16  # length, its checksum, the data's checksum
RECORDS = [random.Random(size).randbytes(size) for size in (1, 200, 7, 1000, 33)]
OFFSETS = np.cumsum([0, *(len(record) + FRAMING_BYTES for record in RECORDS)]).tolist()

records_of_any_bytes = st.lists(st.binary(min_size=1, max_size=300), max_size=8)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("records")


@pytest.fixture(scope="module")
def whole(folder: Path) -> bytes:
    write_tfrecords(folder / "whole.tfrecord", RECORDS)
    return (folder / "whole.tfrecord").read_bytes()


def refused_offset(path: Path) -> int:
    """Read a damaged file; return the byte that the refusal names."""
    with pytest.raises(InputError) as refusal:
        list(read_tfrecords(path))
    message = str(refusal.value)
    assert message.startswith(f"{path}: truncated or corrupt record at byte ")
    return int(message.partition("at byte ")[2].partition(";")[0])


def record_holding(byte: int) -> int:
    """Return where the record that holds a byte of the whole file begins."""
    return max(offset for offset in OFFSETS[:-1] if offset <= byte)


@given(records_of_any_bytes)
def test_records_come_back(folder: Path, records: list[bytes]) -> None:
    path = folder / "any.tfrecord"
    write_tfrecords(path, records)
    assert list(read_tfrecords(path)) == records


@given(st.integers(0, OFFSETS[-1] - 1), st.integers(1, 255))
def test_changed_byte_is_found_and_its_record_named(
    folder: Path, whole: bytes, byte: int, change: int
) -> None:
    damaged = bytearray(whole)
    damaged[byte] ^= change
    path = folder / "damaged.tfrecord"
    path.write_bytes(damaged)
    assert refused_offset(path) == record_holding(byte)


@given(st.integers(1, OFFSETS[-1] - 1).filter(lambda size: size not in OFFSETS))
def test_truncation_inside_a_record_is_found(folder: Path, whole: bytes, size: int) -> None:
    path = folder / "short.tfrecord"
    path.write_bytes(whole[:size])
    assert refused_offset(path) == record_holding(size)


def test_records_before_the_damage_are_still_read(folder: Path, whole: bytes) -> None:
    path = folder / "tail.tfrecord"
    path.write_bytes(whole[:-1])
    records = read_tfrecords(path)
    assert [next(records) for _ in RECORDS[:-1]] == RECORDS[:-1]
    with pytest.raises(InputError):
        next(records)


def test_tensorflow_reads_the_files(folder: Path, whole: bytes) -> None:
    import tensorflow as tf

    dataset = tf.data.TFRecordDataset(str(folder / "whole.tfrecord"))
    assert [record.numpy() for record in dataset] == RECORDS


def test_records_are_counted_without_reading_them(folder: Path, whole: bytes) -> None:
    path = folder / "counted.tfrecord"
    path.write_bytes(whole)
    assert count_tfrecords(path) == len(RECORDS)
    path.write_bytes(whole[:-1])
    with pytest.raises(InputError, match=f"corrupt record at byte {OFFSETS[-2]};"):
        count_tfrecords(path)


def test_what_is_no_example_is_refused() -> None:
    with pytest.raises(InputError, match=r"got 4 bytes that are no tf\.train\.Example"):
        parse_example(b"\xff\xff\xff\xff")
