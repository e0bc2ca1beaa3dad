"""Serialise batches of tf.train.Example messages without a message object for each.

Shape suffixes: B batch, N values, K features, P bytes of all payloads.

A row of a batch becomes one message. Fields and wire types are those of TensorFlow's
example.proto and feature.proto. Protobuf leaves the order of map entries open; here features are
written in the order of their names, so that the bytes are the same everywhere and equal to those
of protobuf's deterministic serialisation.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from albert_core.processes.kernels import kernel

_BYTES_LIST, _FLOAT_LIST, _INT64_LIST = 1, 2, 3  # field numbers of Feature
_LENGTH_DELIMITED = 2  # wire type of messages and bytes

Ragged = tuple[np.ndarray, np.ndarray]
"""Bytes of all rows, uint8, one row after the other; and int64 [B], the end of each row's."""


def encode_examples(features: Mapping[str, np.ndarray | Ragged]) -> list[bytes]:
    """Serialise a batch of examples, one message a row, in the order of the rows.

    Args:
        features: By name, at least one, all of the same B of 1 or more (none of this is checked):
            integers [B, N], not negative, below 2**31, are written as int64 lists; float32 [B, N]
            as float lists; ragged bytes as one byte string a row.
    """
    names = sorted(features)
    payloads = [_payload(features[name]) for name in names]
    # All payloads in one array of bytes, whatever their types: compiled code sees one type.
    ends_KB = np.stack([ends for _, _, ends in payloads])
    bases = np.cumsum([0, *(len(data) for _, data, _ in payloads[:-1])])
    keys = [name.encode() for name in names]
    encoded, ends_B = _assemble(
        np.concatenate([data for _, data, _ in payloads]),
        ends_KB + bases[:, None],
        bases,
        np.array([kind for kind, _, _ in payloads]),
        np.frombuffer(b"".join(keys), np.uint8),
        np.cumsum([len(key) for key in keys]),
    )
    whole = encoded.tobytes()
    return [whole[begin:end] for begin, end in zip([0, *ends_B[:-1]], ends_B, strict=True)]


def _payload(values: np.ndarray | Ragged) -> tuple[int, np.ndarray, np.ndarray]:
    """Pack the values of a feature, row by row, as the content of their list messages.

    float32 becomes a float list, other numbers an int64 list; ragged bytes are packed already.

    Returns:
        Field number in Feature, bytes of all rows uint8, int64 [B] with the end of each row's.
    """
    if isinstance(values, tuple):
        return _BYTES_LIST, *values
    if values.dtype == np.float32:
        data = np.ascontiguousarray(values.astype("<f4")).view(np.uint8).reshape(-1)
        return _FLOAT_LIST, data, np.arange(1, len(values) + 1) * values[0].nbytes
    return _INT64_LIST, *_pack_varints(values)


@kernel()
def _write_varint(out: Any, end: int, value: int) -> int:
    """Write a varint, seven bits a byte, at `out[end]`; return the position behind it."""
    while value > 127:
        out[end] = (value & 127) | 128
        value >>= 7
        end += 1
    out[end] = value
    return end + 1


@kernel()
def _varint_size(value: int) -> int:
    """Return the number of bytes of a varint."""
    size = 1
    while value > 127:
        value >>= 7
        size += 1
    return size


@kernel()
def _pack_varints(values: Any) -> tuple[np.ndarray, np.ndarray]:
    """Write integers [B, N], not negative, below 2**31, as varints.

    Returns:
        The bytes of all rows, uint8; int64 [B] with the end of each row's.
    """
    # Five bytes hold 35 bits. Cut to size in the end: sizes are known when it is written.
    out = np.empty(values.size * 5, np.uint8)
    ends = np.empty(len(values), np.int64)
    end = 0
    for row in range(values.shape[0]):
        for column in range(values.shape[1]):
            end = _write_varint(out, end, values[row, column])
        ends[row] = end
    return out[:end].copy(), ends


@kernel()
def _message_size(size: int) -> int:
    """Return the size of a length-delimited field of `size` bytes, with its tag and length."""
    # All field numbers here are below 16, so that a tag takes one byte.
    return 1 + _varint_size(size) + size


@kernel()
def _open_message(out: Any, end: int, field: int, size: int) -> int:
    """Write tag and length of a field at `out[end]`; return where its `size` bytes go."""
    out[end] = field << 3 | _LENGTH_DELIMITED
    return _write_varint(out, end + 1, size)


# nogil: local Beam workers may be threads of one process.
@kernel(nogil=True)
def _assemble(
    data: Any, ends: Any, bases: Any, kinds: Any, keys: Any, key_ends: Any
) -> tuple[np.ndarray, np.ndarray]:
    """Wrap the payloads of each row: Example > Features > entry (key, Feature > list > value).

    Args:
        data: uint8 [P], the payloads of all features, each with all its rows.
        ends: int64 [K, B], the end of each row's payload in `data`.
        bases: int64 [K], where each feature's first payload begins.
        kinds: int64 [K], the field number in Feature of each feature's list.
        keys: uint8, the names of all features, one after the other.
        key_ends: int64 [K], the end of each name.

    Returns:
        The messages of all rows, uint8; int64 [B] with the end of each.
    """
    num_features, num_rows = ends.shape
    # Five tags with lengths a feature, each of six bytes at most, and one around the row; and up.
    overhead = num_features * 40 + key_ends[-1] + 10
    out = np.empty(len(data) + num_rows * overhead, np.uint8)
    row_ends = np.empty(num_rows, np.int64)
    end = 0
    for row in range(num_rows):
        # A message's length stands before its content, so all sizes are added up first.
        total = 0
        for feature in range(num_features):
            total += _message_size(_entry_size(feature, row, ends, bases, key_ends))
        end = _open_message(out, end, 1, total)
        for feature in range(num_features):
            begin = ends[feature, row - 1] if row else bases[feature]
            size = ends[feature, row] - begin
            first_key = key_ends[feature - 1] if feature else 0
            key = keys[first_key : key_ends[feature]]
            end = _open_message(out, end, 1, _entry_size(feature, row, ends, bases, key_ends))
            end = _open_message(out, end, 1, len(key))
            out[end : end + len(key)] = key
            end = _open_message(out, end + len(key), 2, _message_size(_message_size(size)))
            end = _open_message(out, end, kinds[feature], _message_size(size))
            end = _open_message(out, end, 1, size)
            out[end : end + size] = data[begin : begin + size]
            end += size
        row_ends[row] = end
    return out[:end], row_ends


@kernel()
def _entry_size(feature: int, row: int, ends: Any, bases: Any, key_ends: Any) -> int:
    """Return the size of a map entry's content; arguments as in `_assemble`."""
    size = ends[feature, row] - (ends[feature, row - 1] if row else bases[feature])
    key_size = key_ends[feature] - (key_ends[feature - 1] if feature else 0)
    return _message_size(key_size) + _message_size(_message_size(_message_size(size)))
