"""Record files: TensorFlow reads what we write without it, and no damaged byte goes unnoticed."""

import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from albert_core.errors import InputError
from albert_core.records.compact import encode_pair, piece_counts, piece_dtype
from albert_core.records.pairs import SegmentPair
from albert_core.records.tfrecord import (
    decode_bytes_feature,
    encode_example,
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


def test_tensorflow_reads_the_examples() -> None:
    import tensorflow as tf

    record = encode_example({"pieces": b"\x00\xff\n", "first_length": 2**40})
    features = tf.train.Example.FromString(record).features.feature
    assert features["pieces"].bytes_list.value == [b"\x00\xff\n"]
    assert features["first_length"].int64_list.value == [2**40]
    schema = {
        "pieces": tf.io.FixedLenFeature([], tf.string),
        "first_length": tf.io.FixedLenFeature([], tf.int64),
    }
    parsed = tf.io.parse_single_example(record, schema)
    assert parsed["pieces"].numpy() == b"\x00\xff\n"
    assert parsed["first_length"].numpy() == 2**40


@given(st.dictionaries(st.text(min_size=1, max_size=9), st.binary(max_size=50), min_size=1))
def test_bytes_features_come_back(features: dict[str, bytes]) -> None:
    record = encode_example(features)
    assert {name: decode_bytes_feature(record, name) for name in features} == features


def test_examples_do_not_depend_on_the_order_of_features() -> None:
    features = {"pieces": b"abc", "first_length": 1}
    backwards = dict(reversed(features.items()))
    assert encode_example(features) == encode_example(backwards)


@pytest.mark.parametrize(("vocab_size", "itemsize"), [(2**16, 2), (2**16 + 1, 4)])
def test_pairs_are_stored_as_small_as_the_vocabulary_allows(vocab_size: int, itemsize: int) -> None:
    largest = vocab_size - 1
    record = encode_pair(SegmentPair([5, 6], [largest]), piece_dtype(vocab_size))
    stored = decode_bytes_feature(record, "pieces")
    assert len(stored) == 3 * itemsize
    assert np.frombuffer(stored, piece_dtype(vocab_size)).tolist() == [5, 6, largest]


def test_pieces_of_a_shard_are_counted(tmp_path: Path) -> None:
    pairs = [SegmentPair([5, 6], [7]), SegmentPair([5], [9, 5])]
    path = tmp_path / "held_out.tfrecord"
    write_tfrecords(path, (encode_pair(pair, piece_dtype(10)) for pair in pairs))
    assert piece_counts(path, 10).tolist() == [0, 0, 0, 0, 0, 3, 1, 1, 0, 1]
