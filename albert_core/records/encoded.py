"""Encoded documents on their way from the text to the shards: files with a section for each shard.

Every split of the corpus becomes one file (or several, where it is too large for memory). A
section holds the split's documents of one shard in the order of their keys. An index beside the
file, which is sealed (`albert_core.files.checksums`), has the place of each section and the
checksums of the sections and of the file. So a worker that builds a shard reads its own sections
only, of all files, and merges them in little memory into an order that does not depend on how the
corpus was split.
"""

import dataclasses
import heapq
import json
import operator
import struct
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import google_crc32c
import numpy as np

from albert_core.files.checksums import (
    DamageError,
    FileFacts,
    describe_file,
    in_base64,
    seal,
    unseal,
)
from albert_core.records.pairs import Documents
from albert_core.storage import read_bytes, read_range, write_bytes, write_file

_DOCUMENT = struct.Struct("<16sII")  # key, number of sentences, bytes of token ids
_MERGE_BYTES = 256 << 20  # held in memory of all sections that are merged
_SMALLEST_BLOCK, _LARGEST_BLOCK = 64 << 10, 4 << 20
_LENGTH_DTYPE = np.dtype("<u4")

Section = tuple[int, int, str]
"""First byte of a section in its file, its end, and its CRC-32C in base64."""


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

    def packed(self) -> tuple[bytes, bytes, bytes]:
        """Return its bytes in a file, in three parts.

        They are the key with the numbers of sentences and of bytes of token ids, then the lengths
        of sentences, then the token ids.
        """
        num_sentences = len(self.sentence_lengths) // _LENGTH_DTYPE.itemsize
        header = _DOCUMENT.pack(self.key, num_sentences, len(self.token_ids))
        return header, self.sentence_lengths, self.token_ids


@dataclasses.dataclass(frozen=True)
class EncodedFile:
    """The index of a file of encoded documents.

    Attributes:
        path: Address of the file.
        file: Its size and checksum.
        sections: The section of each shard, by the shard's name.
        counts: What was read, kept and removed, as `encode_documents` returns it.
        is_last: Whether it is the last file of its split.
    """

    path: str
    file: FileFacts
    sections: Mapping[str, Section]
    counts: Mapping[str, Any]
    is_last: bool

    def section(self, shard: str) -> Section:
        """Return the section of a shard; an empty one if the file has no document of it."""
        begin, end, checksum = self.sections.get(shard, (0, 0, ""))
        return begin, end, checksum


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
        scratch: Path of a local file that is written over, then copied or uploaded to `path`; it
            stays.
        work: What the file is a part of, for `read_index`.
        is_last: Whether no further file of the same split follows.

    Raises:
        OSError: A local file cannot be written.
        InputError: The bucket cannot be written from here.
        ServiceError: The storage failed.
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
        ServiceError: The storage failed.
        InputError: The index is missing, or cannot be read.
    """
    data = read_bytes(index_path(path))
    index = unseal(data, work=None if work is None else _part_of(work, path))
    return EncodedFile(path, **index)


def _part_of(work: str, path: str) -> str:
    return f"{work} {path.rpartition('/')[2]}"


def merge_documents(sections: Mapping[str, Section], shard: str) -> Iterator[EncodedDocument]:
    """Yield the documents of one shard from all files, in the order of their keys.

    Documents of equal keys, which have the same text, come in the order of the files. Files are
    read block by block as documents are taken, and no index is.

    Args:
        sections: The shard's section of each file of `write_encoded`, by the file's address, local,
            gs:// or s3://.
        shard: Name of the shard, for messages.

    Raises:
        DamageError: A file is not what was written; found at the end of its section at the latest.
        InputError: A file is missing, or cannot be read.
        ServiceError: The storage failed.
    """
    block_bytes = merged_block_bytes(len(sections))
    readers = [
        _read_section(path, section, shard, block_bytes) for path, section in sections.items()
    ]
    return heapq.merge(*readers, key=operator.attrgetter("key"))


def merged_block_bytes(num_files: int) -> int:
    """Return the bytes of each file to read at a time when so many files are merged.

    They are 256 MiB for all files together, but 64 KiB at least and 4 MiB at most for each.
    """
    # Smaller blocks for more files, so that memory is bounded; not too small, since each block is
    # a request of its own where files lie in a bucket.
    return min(max(_MERGE_BYTES // max(1, num_files), _SMALLEST_BLOCK), _LARGEST_BLOCK)


def _read_section(
    path: str, section: Section, shard: str, block_bytes: int
) -> Iterator[EncodedDocument]:
    """Yield the documents of one shard's section in a file, in its order; none if it is empty.

    Reads about `block_bytes` at a time, and no byte of other sections.

    Raises:
        DamageError: The section is not what was written.
        InputError: The file is missing, or cannot be read.
        ServiceError: The storage failed.
    """
    position, end, expected = section
    if position == end:
        return
    crc, rest = google_crc32c.Checksum(), b""
    while position < end:
        # No file is kept open: there may be more of them than a process may hold.
        size = min(end - position, max(block_bytes, _num_missing_bytes(rest)))
        data = read_range(path, position, position + size)
        if len(data) < size:
            raise DamageError(f"{path}: it ends before byte {end:,}, where {shard} ends")
        crc.update(data)
        position += size
        documents, rest = _split_documents(rest + data)
        yield from documents
    if rest or in_base64(crc) != expected:
        raise DamageError(f"{path}: the documents of {shard} are not those that were written")


def _split_documents(data: bytes) -> tuple[list[EncodedDocument], bytes]:
    """Return the documents that bytes hold whole, and the bytes behind them.

    `data` must begin with the first byte of a document (not checked).
    """
    documents, begin = [], 0
    while not _num_missing_bytes(data, begin):
        key, num_sentences, num_bytes = _DOCUMENT.unpack_from(data, begin)
        lengths = begin + _DOCUMENT.size
        token_ids = lengths + num_sentences * _LENGTH_DTYPE.itemsize
        begin = token_ids + num_bytes
        documents.append(EncodedDocument(key, data[lengths:token_ids], data[token_ids:begin]))
    return documents, data[begin:]


def _num_missing_bytes(data: bytes, begin: int = 0) -> int:
    """Return how many bytes the document at a place lacks, as far as is known; 0 if it is whole."""
    num_held = len(data) - begin
    if num_held < _DOCUMENT.size:
        return _DOCUMENT.size - num_held
    _, num_sentences, num_bytes = _DOCUMENT.unpack_from(data, begin)
    size = _DOCUMENT.size + num_sentences * _LENGTH_DTYPE.itemsize + num_bytes
    return max(0, size - num_held)


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
    """Return the offsets of consecutive items of these lengths [N], and the end of the last.

    int64 [N + 1], beginning with 0.
    """
    return np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
