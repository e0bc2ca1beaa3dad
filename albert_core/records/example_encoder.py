"""Batches of tf.train.Example messages, written as bytes without a message object for each.

Shape suffixes: B batch, K features.

A row of a batch becomes one message. Fields and wire types are those of TensorFlow's
example.proto and feature.proto; features are written in the order of their names, so that the
bytes are those of protobuf's deterministic serialisation.
"""

from collections.abc import Mapping
from typing import Any

import numba
import numpy as np

_BYTES_LIST, _FLOAT_LIST, _INT64_LIST = 1, 2, 3  # field numbers of Feature

Ragged = tuple[np.ndarray, np.ndarray]
"""uint8 payloads of all rows, one after the other, and int64 [B], where each row's ends."""


def encode_examples(features: Mapping[str, np.ndarray | Ragged]) -> list[bytes]:
    """Serialise a batch of examples.

    Args:
        features: By name: integers [B, N], not negative, as int64 lists; float32 [B, N] as float
            lists; ragged bytes as one byte string a row.
    """
    names = sorted(features)
    payloads = [_payload(features[name]) for name in names]
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
    """Return field number, packed values uint8 and int64 [B], where each row's end."""
    if isinstance(values, tuple):
        return _BYTES_LIST, *values
    if values.dtype == np.float32:
        data = np.ascontiguousarray(values.astype("<f4")).view(np.uint8).reshape(-1)
        return _FLOAT_LIST, data, np.arange(1, len(values) + 1) * values[0].nbytes
    return _INT64_LIST, *_pack_varints(values)


@numba.njit(cache=True)
def _write_varint(out: Any, end: int, value: int) -> int:
    while value > 127:
        out[end] = (value & 127) | 128
        value >>= 7
        end += 1
    out[end] = value
    return end + 1


@numba.njit(cache=True)
def _varint_size(value: int) -> int:
    size = 1
    while value > 127:
        value >>= 7
        size += 1
    return size


@numba.njit(cache=True)
def _pack_varints(values: Any) -> Any:
    """Pack the rows of [B, N]; an int32 takes five bytes at most."""
    out = np.empty(values.size * 5, np.uint8)
    ends = np.empty(len(values), np.int64)
    end = 0
    for row in range(values.shape[0]):
        for column in range(values.shape[1]):
            end = _write_varint(out, end, values[row, column])
        ends[row] = end
    return out[:end].copy(), ends


@numba.njit(cache=True)
def _message_size(size: int) -> int:
    """Return the size of a field of `size` bytes with its tag and length."""
    return 1 + _varint_size(size) + size


@numba.njit(cache=True)
def _open_message(out: Any, end: int, field: int, size: int) -> int:
    out[end] = field << 3 | 2
    return _write_varint(out, end + 1, size)


@numba.njit(cache=True, nogil=True)
def _assemble(data: Any, ends: Any, bases: Any, kinds: Any, keys: Any, key_ends: Any) -> Any:
    """Wrap the payloads of each row: Example > Features > entry (key, Feature > list > value)."""
    num_features, num_rows = ends.shape
    overhead = num_features * 40 + key_ends[-1] + 10
    out = np.empty(len(data) + num_rows * overhead, np.uint8)
    row_ends = np.empty(num_rows, np.int64)
    end = 0
    for row in range(num_rows):
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


@numba.njit(cache=True)
def _entry_size(feature: int, row: int, ends: Any, bases: Any, key_ends: Any) -> int:
    size = ends[feature, row] - (ends[feature, row - 1] if row else bases[feature])
    key_size = key_ends[feature] - (key_ends[feature - 1] if feature else 0)
    return _message_size(key_size) + _message_size(_message_size(_message_size(size)))
