"""Encoded documents on their way from the text to the shards: one file for each split of a corpus.

A file has a section for each shard, its documents in the order of their keys, and ends with an
index, so that whoever builds a shard reads its sections alone and merges them.
"""

import dataclasses
import heapq
import json
import operator
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from albert_core.records.pairs import Documents
from albert_core.storage import open_file, write_file

_DOCUMENT = struct.Struct("<16sII")  # key, number of sentences, bytes of pieces
_INDEX_SIZE = struct.Struct("<Q")
_MERGE_BYTES = 256 << 20  # held in memory of all sections that are merged
_SMALLEST_BLOCK, _LARGEST_BLOCK = 64 << 10, 4 << 20
_LENGTH_DTYPE = np.dtype("<u4")


@dataclasses.dataclass(frozen=True)
class EncodedDocument:
    """A document's pieces.

    Attributes:
        key: 16 bytes, the hash of its text.
        sentence_lengths: Pieces of each sentence, as little-endian uint32.
        pieces: Its pieces, in the type of `piece_dtype`.
    """

    key: bytes
    sentence_lengths: bytes
    pieces: bytes

    @property
    def num_bytes(self) -> int:
        """Size in a file."""
        return _DOCUMENT.size + len(self.sentence_lengths) + len(self.pieces)


@dataclasses.dataclass(frozen=True)
class EncodedSplit:
    """The index of a file of encoded documents.

    Attributes:
        path: Where it is.
        sections: First and last byte of the section of each shard, by the shard's name.
        counts: What was read, kept and removed.
        is_last: Whether no further file of the split follows.
    """

    path: str
    sections: Mapping[str, tuple[int, int]]
    counts: Mapping[str, Any]
    is_last: bool


def write_encoded(
    path: str,
    documents: Mapping[str, Sequence[EncodedDocument]],
    counts: Mapping[str, Any],
    *,
    scratch: Path,
    is_last: bool = True,
) -> None:
    """Write a split's documents by shard, whole or not at all; `scratch` is a new local file."""
    sections = {}
    with scratch.open("wb") as file:
        for shard in sorted(documents):
            begin = file.tell()
            for document in sorted(documents[shard], key=operator.attrgetter("key")):
                num_sentences = len(document.sentence_lengths) // _LENGTH_DTYPE.itemsize
                file.write(_DOCUMENT.pack(document.key, num_sentences, len(document.pieces)))
                file.write(document.sentence_lengths)
                file.write(document.pieces)
            sections[shard] = (begin, file.tell())
        index = json.dumps({"sections": sections, "counts": counts, "is_last": is_last}).encode()
        file.write(index)
        file.write(_INDEX_SIZE.pack(len(index)))
    write_file(path, scratch)


def read_index(path: str) -> EncodedSplit:
    """Return the index of a file of encoded documents."""
    with open_file(path) as file:
        size = file.seek(0, 2)
        file.seek(size - _INDEX_SIZE.size)
        (index_size,) = _INDEX_SIZE.unpack(file.read())
        file.seek(size - _INDEX_SIZE.size - index_size)
        index = json.loads(file.read(index_size))
    return EncodedSplit(path, **index)


def merged_documents(paths: Iterable[str], shard: str) -> Iterator[EncodedDocument]:
    """Yield a shard's documents of all files in the order of their keys.

    No file stays open: there may be more of them than a process may have open.
    """
    paths = list(paths)
    block_bytes = min(max(_MERGE_BYTES // max(1, len(paths)), _SMALLEST_BLOCK), _LARGEST_BLOCK)
    sections = [_read_section(path, shard, block_bytes) for path in paths]
    return heapq.merge(*sections, key=operator.attrgetter("key"))


def _read_section(path: str, shard: str, block_bytes: int) -> Iterator[EncodedDocument]:
    position, end = read_index(path).sections.get(shard, (0, 0))
    while position < end:
        with open_file(path) as file:
            documents = _read_documents(file, position, min(end, position + block_bytes))
        yield from documents
        position += sum(document.num_bytes for document in documents)


def _read_documents(file: BinaryIO, begin: int, end: int) -> list[EncodedDocument]:
    """Return the documents that begin in a range of a file."""
    file.seek(begin)
    documents = []
    while begin < end:
        key, num_sentences, num_bytes = _DOCUMENT.unpack(file.read(_DOCUMENT.size))
        lengths = file.read(num_sentences * _LENGTH_DTYPE.itemsize)
        documents.append(EncodedDocument(key, lengths, file.read(num_bytes)))
        begin += documents[-1].num_bytes
    return documents


def encoded_document(
    key: bytes, pieces: np.ndarray, sentence_lengths: np.ndarray, dtype: np.dtype
) -> EncodedDocument:
    """Return a document of pieces [T] in sentences of lengths [N]; empty sentences vanish."""
    lengths = sentence_lengths[sentence_lengths > 0].astype(_LENGTH_DTYPE)
    return EncodedDocument(key, lengths.tobytes(), pieces.astype(dtype).tobytes())


def joined_documents(documents: Sequence[EncodedDocument], dtype: np.dtype) -> Documents:
    """Return documents as arrays, one after the other."""
    pieces = np.frombuffer(b"".join(document.pieces for document in documents), dtype)
    lengths = b"".join(document.sentence_lengths for document in documents)
    num_sentences = [len(d.sentence_lengths) // _LENGTH_DTYPE.itemsize for d in documents]
    return Documents(
        pieces=pieces.astype(np.int32),
        sentences=_starts(np.frombuffer(lengths, _LENGTH_DTYPE)),
        documents=_starts(np.array(num_sentences)),
    )


def _starts(lengths: np.ndarray) -> np.ndarray:
    return np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
