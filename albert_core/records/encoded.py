"""Encoded documents on their way from the text to the shards: files with a section for each shard.

Every split of the corpus becomes one file (or several, where it is too large for memory). A
section holds the split's documents of one shard in the order of their keys. An index beside the
file, which is sealed (`albert_core.checksums`), has the place of each section and the checksums of
the sections and of the file. So a worker that builds a shard reads its own sections only, of all
files, and merges them in little memory into an order that does not depend on how the corpus was
split.
"""

import dataclasses
import heapq
import json
import operator
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import google_crc32c
import numpy as np

from albert_core.checksums import (
    DamageError,
    FileFacts,
    describe_file,
    in_base64,
    seal,
    unseal,
)
from albert_core.records.pairs import Documents
from albert_core.storage import open_file, read_bytes, write_bytes, write_file

_DOCUMENT = struct.Struct("<16sII")  # key, number of sentences, bytes of token ids
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

    def packed(self) -> tuple[bytes, bytes, bytes]:
        """Return its bytes in a file, in three parts: lengths, lengths of sentences, token ids."""
        num_sentences = len(self.sentence_lengths) // _LENGTH_DTYPE.itemsize
        header = _DOCUMENT.pack(self.key, num_sentences, len(self.token_ids))
        return header, self.sentence_lengths, self.token_ids


@dataclasses.dataclass(frozen=True)
class EncodedFile:
    """The index of a file of encoded documents.

    Attributes:
        path: Address of the file.
        file: Its size and checksum.
        sections: First byte, end and checksum of the section of each shard, by the shard's name.
        counts: What was read, kept and removed, as `encode_documents` returns it.
        is_last: Whether it is the last file of its split.
    """

    path: str
    file: FileFacts
    sections: Mapping[str, tuple[int, int, str]]
    counts: Mapping[str, Any]
    is_last: bool


def write_encoded(
    path: str,
    documents: Mapping[str, Sequence[EncodedDocument]],
    counts: Mapping[str, Any],
    *,
    scratch: Path,
    work: str = "",
    is_last: bool = True,
) -> None:
    """Write documents into a file with a section for each shard, and then its index.

    Args:
        path: Address of the file, local, gs:// or s3://. It appears whole or not at all.
        documents: The documents of each shard, in any order, by the shard's name; a section has
            them sorted by key, those of equal keys in the order given.
        counts: JSON values for the index.
        scratch: Path of a new local file, which is moved or uploaded to `path`.
        work: What the file is a part of, for `read_index`.
        is_last: Whether no further file of the same split follows.
    """
    sections = {}
    with scratch.open("wb") as file:
        for shard in sorted(documents):
            begin = file.tell()
            # Sorted by key here, so that sections can be merged without holding them in memory.
            crc = google_crc32c.Checksum()
            for document in sorted(documents[shard], key=operator.attrgetter("key")):
                for data in document.packed():
                    file.write(data)
                    crc.update(data)
            sections[shard] = (begin, file.tell(), in_base64(crc))
    index = {
        "file": describe_file(scratch),
        "sections": sections,
        "counts": counts,
        "is_last": is_last,
    }
    # Renamed into place, the index last: a killed worker leaves nothing that looks finished, and
    # two workers that do the same split write the same bytes over each other.
    write_file(path, scratch)
    write_bytes(index_path(path), json.dumps(seal(index, work=_part_of(work, path))).encode())


def index_path(path: str) -> str:
    """Return the address of the index of a file; where it exists, the file is complete."""
    return f"{path}.json"


def read_index(path: str, *, work: str | None = None) -> EncodedFile:
    """Read the index of a file, local, gs:// or s3://, that `write_encoded` wrote.

    Args:
        path: Address of the file, which is not looked at.
        work: What the file must be a part of; None: of anything.

    Raises:
        DamageError: The index is damaged, or is that of another file or of other work.
    """
    data = read_bytes(index_path(path))
    index = unseal(data, work=None if work is None else _part_of(work, path))
    return EncodedFile(path, **index)


def _part_of(work: str, path: str) -> str:
    return f"{work} {path.rpartition('/')[2]}"


def merge_documents(paths: Iterable[str], shard: str) -> Iterator[EncodedDocument]:
    """Yield the documents of one shard from all files, in the order of their keys.

    Documents of equal keys, which have the same text, come in the order of the paths. Files are
    read block by block as documents are taken; a file without this shard adds none.

    Args:
        paths: Files of `write_encoded`, local, gs:// or s3://.
        shard: Name of the shard.

    Raises:
        DamageError: A file is not what was written; found at the end of its section at the latest.
    """
    paths = list(paths)
    block_bytes = merged_block_bytes(len(paths))
    sections = [_read_section(path, shard, block_bytes) for path in paths]
    return heapq.merge(*sections, key=operator.attrgetter("key"))


def merged_block_bytes(num_files: int) -> int:
    """Return how much of each file is read at a time where so many are merged."""
    # Smaller blocks for more files, so that memory is bounded; not too small, since each block is
    # a request of its own where files lie in a bucket.
    return min(max(_MERGE_BYTES // max(1, num_files), _SMALLEST_BLOCK), _LARGEST_BLOCK)


def _read_section(path: str, shard: str, block_bytes: int) -> Iterator[EncodedDocument]:
    """Yield the documents of one shard's section in a file, in its order; none if it has no such.

    Opens the file anew for each block of about `block_bytes`.

    Raises:
        DamageError: The section is not what was written.
    """
    position, end, expected = read_index(path).sections.get(shard, (0, 0, ""))
    crc, is_empty = google_crc32c.Checksum(), position == end
    while position < end:
        # Opened anew for each block: there may be more files than a process may hold open.
        with open_file(path) as file:
            documents = _read_documents(file, position, min(end, position + block_bytes))
        for document in documents:
            for data in document.packed():
                crc.update(data)
        yield from documents
        position += sum(document.num_bytes for document in documents)
    if not is_empty and in_base64(crc) != expected:
        raise DamageError(f"{path}: the documents of {shard} are not those that were written")


def _read_documents(file: BinaryIO, begin: int, end: int) -> list[EncodedDocument]:
    """Read the documents that begin in a range of bytes; the last one may end behind it.

    `begin` must be the first byte of a document (not checked).

    Raises:
        DamageError: The file ends in the header of a document. Where it ends behind a header, the
            document is cut short without an error here.
    """
    file.seek(begin)
    documents = []
    while begin < end:
        header = file.read(_DOCUMENT.size)
        if len(header) < _DOCUMENT.size:
            raise DamageError("a file of encoded documents ends in a document")
        key, num_sentences, num_bytes = _DOCUMENT.unpack(header)
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
