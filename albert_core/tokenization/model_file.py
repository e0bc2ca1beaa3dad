"""The file of a SentencePiece model, read without its generated protobuf code.

That code (`sentencepiece_model_pb2`) clashes with TensorFlow's. The file is a protobuf message of
fields that each begin with a byte for their kind and their length: the pieces in the order of
their ids, then the training settings, then the normaliser.
"""

import itertools
from collections.abc import Collection, Iterator

_PIECE, _NORMALIZER = 0x0A, 0x1A
_CHARACTER_MAP = 0x12  # of the normaliser
_MARKED_UNUSED = b"\x18\x05"  # field 3, the piece's type; of a repeated field the last one counts


def is_whole(model: bytes) -> bool:
    """Return whether a loadable model goes on past its pieces.

    A file cut between two pieces loads, too, as a smaller vocabulary without normalisation.
    """
    return any(kind == _NORMALIZER for kind, _ in _fields(model))


def character_map(model: bytes) -> bytes:
    """Return the table with which a model normalises characters; empty if it has none."""
    normalizer = next(content for kind, content in _fields(model) if kind == _NORMALIZER)
    sized = itertools.takewhile(lambda field: field[0] & 7 == 2, _fields(normalizer))
    return next((content for kind, content in sized if kind == _CHARACTER_MAP), b"")


def without_pieces(model: bytes, ids: Collection[int]) -> bytes:
    """Return the model with some pieces marked as unused: they keep their ids and never occur."""
    changed = bytearray()
    for index, (kind, content) in enumerate(_fields(model)):
        if kind == _PIECE and index in ids:
            content += _MARKED_UNUSED
        changed.append(kind)
        changed += _varint(len(content)) + content
    return bytes(changed)


def _fields(message: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the kind and content of each field."""
    position = 0
    while position < len(message):
        kind, position = message[position], position + 1
        length = shift = 0
        while True:
            byte, position = message[position], position + 1
            length |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
        yield kind, message[position : position + length]
        position += length


def _varint(value: int) -> bytes:
    low = value & 0x7F
    return bytes([low]) if value < 0x80 else bytes([low | 0x80]) + _varint(value >> 7)
