"""Encoded documents on their way from the text to the shards: files with a section for each shard.

Every split of the corpus becomes one file (or several, where it is too large for memory). A
section holds the split's documents of one shard in the order of their keys, and the file ends with
an index. So a worker that builds a shard reads its own sections only, of all files, and merges
them in little memory into an order that does not depend on how the corpus was split.
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

_DOCUMENT = struct.Struct("<16sII")  # key, number of sentences, bytes of token ids
_INDEX_SIZE = struct.Struct("<Q")
_MERGE_BYTES = 256 << 20  # held in memory of all sections that are merged
_SMALLEST_BLOCK, _LARGEST_BLOCK = 64 << 10, 4 << 20
_LENGTH_DTYPE = np.dtype("<u4")


@dataclasses.dataclass(frozen=True)
class EncodedDocument:
    """The tokens of a document, as bytes.

    Attributes:
        key: 16 bytes, the hash of its text (`document_key`).
        sentence_lengths: Number of tokens of each sentence, as little-endian uint32.
        token_ids: Its token ids, in the type of `token_dtype`.
    """

    key: bytes
    sentence_lengths: bytes
    token_ids: bytes

    @property
    def num_bytes(self) -> int:
        """Size in a file."""
        return _DOCUMENT.size + len(self.sentence_lengths) + len(self.token_ids)


@dataclasses.dataclass(frozen=True)
class EncodedFile:
    """The index of a file of encoded documents.

    Attributes:
        path: Address of the file.
        sections: First byte and end of the section of each shard, by the shard's name.
        counts: What was read, kept and removed, as `encode_documents` returns it.
        is_last: Whether it is the last file of its split.
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
    """Write documents into a file with a section for each shard.

    Args:
        path: Address of the file, local or gs://. It appears whole or not at all.
        documents: The documents of each shard, in any order, by the shard's name; a section has
            them sorted by key, those of equal keys in the order given.
        counts: JSON values for the index.
        scratch: Path of a new local file, which is moved or uploaded to `path`.
        is_last: Whether no further file of the same split follows.
    """
    sections = {}
    with scratch.open("wb") as file:
        for shard in sorted(documents):
            begin = file.tell()
            # Sorted by key here, so that sections can be merged without holding them in memory.
            for document in sorted(documents[shard], key=operator.attrgetter("key")):
                num_sentences = len(document.sentence_lengths) // _LENGTH_DTYPE.itemsize
                file.write(_DOCUMENT.pack(document.key, num_sentences, len(document.token_ids)))
                file.write(document.sentence_lengths)
                file.write(document.token_ids)
            sections[shard] = (begin, file.tell())
        # The index stands last, since sizes are known only then, with its own size behind it.
        index = json.dumps({"sections": sections, "counts": counts, "is_last": is_last}).encode()
        file.write(index)
        file.write(_INDEX_SIZE.pack(len(index)))
    # Renamed into place: a killed worker leaves nothing that looks finished, and two workers that
    # do the same split write the same bytes over each other.
    write_file(path, scratch)


def read_index(path: str) -> EncodedFile:
    """Read the index at the end of a file, local or gs://, that `write_encoded` wrote.

    Whether it is such a file is not checked.
    """
    with open_file(path) as file:
        size = file.seek(0, 2)
        file.seek(size - _INDEX_SIZE.size)
        (index_size,) = _INDEX_SIZE.unpack(file.read())
        file.seek(size - _INDEX_SIZE.size - index_size)
        index = json.loads(file.read(index_size))
    return EncodedFile(path, **index)


def merge_documents(paths: Iterable[str], shard: str) -> Iterator[EncodedDocument]:
    """Yield the documents of one shard from all files, in the order of their keys.

    Documents of equal keys, which have the same text, come in the order of the paths. Files are
    read block by block as documents are taken; a file without this shard adds none.

    Args:
        paths: Files of `write_encoded`, local or gs://.
        shard: Name of the shard.
    """
    paths = list(paths)
    # Smaller blocks for more files, so that memory is bounded; not too small, since each block is
    # a request of its own where files lie in a bucket.
    block_bytes = min(max(_MERGE_BYTES // max(1, len(paths)), _SMALLEST_BLOCK), _LARGEST_BLOCK)
    sections = [_read_section(path, shard, block_bytes) for path in paths]
    return heapq.merge(*sections, key=operator.attrgetter("key"))


def _read_section(path: str, shard: str, block_bytes: int) -> Iterator[EncodedDocument]:
    """Yield the documents of one shard's section in a file, in its order; none if it has no such.

    Opens the file anew for each block of about `block_bytes`.
    """
    position, end = read_index(path).sections.get(shard, (0, 0))
    while position < end:
        # Opened anew for each block: there may be more files than a process may hold open.
        with open_file(path) as file:
            documents = _read_documents(file, position, min(end, position + block_bytes))
        yield from documents
        position += sum(document.num_bytes for document in documents)


def _read_documents(file: BinaryIO, begin: int, end: int) -> list[EncodedDocument]:
    """Read the documents that begin in a range of bytes; the last one may end behind it.

    `begin` must be the first byte of a document (not checked).
    """
    file.seek(begin)
    documents = []
    while begin < end:
        key, num_sentences, num_bytes = _DOCUMENT.unpack(file.read(_DOCUMENT.size))
        lengths = file.read(num_sentences * _LENGTH_DTYPE.itemsize)
        documents.append(EncodedDocument(key, lengths, file.read(num_bytes)))
        begin += documents[-1].num_bytes
    return documents


def encode_document(
    key: bytes, token_ids: np.ndarray, sentence_lengths: np.ndarray, dtype: np.dtype
) -> EncodedDocument:
    """Pack a document's arrays into bytes; empty sentences are dropped.

    Args:
        key: The `document_key`.
        token_ids: int [T], the tokens of all sentences.
        sentence_lengths: int [N], which add up to T (not checked).
        dtype: Type to store token ids in, the `token_dtype` of the vocabulary.
    """
    lengths = sentence_lengths[sentence_lengths > 0].astype(_LENGTH_DTYPE)
    return EncodedDocument(key, lengths.tobytes(), token_ids.astype(dtype).tobytes())


def concatenate_documents(documents: Sequence[EncodedDocument], dtype: np.dtype) -> Documents:
    """Unpack documents into arrays, one after the other, in the order given.

    `dtype` is the type that `encode_document` stored their token ids in.
    """
    token_ids = np.frombuffer(b"".join(document.token_ids for document in documents), dtype)
    lengths = b"".join(document.sentence_lengths for document in documents)
    num_sentences = [len(d.sentence_lengths) // _LENGTH_DTYPE.itemsize for d in documents]
    return Documents(
        token_ids=token_ids.astype(np.int32),
        sentences=_starts(np.frombuffer(lengths, _LENGTH_DTYPE)),
        documents=_starts(np.array(num_sentences)),
    )


def _starts(lengths: np.ndarray) -> np.ndarray:
    """Return where consecutive items of these lengths [N] begin, and the end of the last.

    int64 [N + 1], beginning with 0.
    """
    return np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
