"""Read and change the file of a SentencePiece model without its generated protobuf code.

That code (`sentencepiece_model_pb2`) cannot be loaded beside TensorFlow's. The file is a protobuf
message, a sequence of length-delimited fields: the pieces in the order of their ids, then the
training settings, then the normaliser.
"""

import itertools
from collections.abc import Collection, Iterator

# Tags, of field number and wire type, all in one byte.
_PIECE, _NORMALIZER = 0x0A, 0x1A
_CHARACTER_MAP = 0x12  # of the normaliser
# Field 3 of the normaliser: whether text gets a space in front, which marks its first word; no.
_NO_SPACE_IN_FRONT = b"\x18\x00"
# Field 3, the piece's type: unused. Appended to a piece it wins over the type given before, since
# of a field that occurs twice the last one counts.
_MARKED_UNUSED = b"\x18\x05"


def is_whole(model: bytes) -> bool:
    """Return whether a model has a normaliser, which stands behind the pieces.

    The model must be one that SentencePiece loads (not checked: other bytes raise IndexError).
    A file that was cut between two pieces loads, too: as a smaller vocabulary that does not
    normalise text.
    """
    return any(tag == _NORMALIZER for tag, _ in _fields(model))


def character_map(model: bytes) -> bytes:
    """Return the compiled table by which a whole model normalises characters; empty if none.

    Raises:
        StopIteration: The model is not whole.
    """
    normalizer = next(content for tag, content in _fields(model) if tag == _NORMALIZER)
    # Behind the table stand flags, which have no length: wire type 2 is length-delimited.
    sized = itertools.takewhile(lambda field: field[0] & 7 == 2, _fields(normalizer))
    return next((content for tag, content in sized if tag == _CHARACTER_MAP), b"")


def without_pieces(model: bytes, ids: Collection[int]) -> bytes:
    """Return a copy of a model in which the pieces of `ids` keep their ids but are never used.

    SentencePiece, which honours the mark, then encodes text with other pieces.
    """
    # Pieces are the first fields, so that a field's number is the piece's id.
    return b"".join(
        _field(tag, content + _MARKED_UNUSED if tag == _PIECE and index in ids else content)
        for index, (tag, content) in enumerate(_fields(model))
    )


def without_space_in_front(model: bytes) -> bytes:
    """Return a copy of a model that encodes text as the continuation of a word.

    The first piece of a text then marks no word's start, unless the text begins with a space.
    """
    return b"".join(
        _field(tag, content + _NO_SPACE_IN_FRONT if tag == _NORMALIZER else content)
        for tag, content in _fields(model)
    )


def _fields(message: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield tag and content of each field of a message, in order.

    Tags must have one byte. A field that is not length-delimited is not told apart: its content
    and all that follows are wrong. Content that is cut short is given as far as it goes.
    """
    position = 0
    while position < len(message):
        tag, position = message[position], position + 1
        length = shift = 0
        while True:
            byte, position = message[position], position + 1
            length |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
        yield tag, message[position : position + length]
        position += length


def _field(tag: int, content: bytes) -> bytes:
    """Return a length-delimited field: its tag, one byte, the length as a varint, the content."""
    return bytes([tag]) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    """Return an integer of 0 or more as protobuf writes it: seven bits a byte, the lowest first."""
    low = value & 0x7F
    return bytes([low]) if value < 0x80 else bytes([low | 0x80]) + _varint(value >> 7)
