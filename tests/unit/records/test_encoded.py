"""Encoded documents: sections are read back exactly, block by block, and damage is noticed."""

import hashlib
import itertools
from pathlib import Path

import pytest

from albert_core.files.checksums import DamageError
from albert_core.records import encoded
from albert_core.records.encoded import EncodedDocument, merge_documents, read_index, write_encoded


def document(number: int, num_tokens: int) -> EncodedDocument:
    key = hashlib.blake2b(bytes([number]), digest_size=16).digest()
    lengths = num_tokens.to_bytes(4, "little") * (num_tokens % 3)
    return EncodedDocument(key, lengths, bytes([number]) * (2 * num_tokens))


DOCUMENTS = [document(number, num_tokens) for number, num_tokens in enumerate([0, 5, 900, 1, 40])]


@pytest.fixture
def path(tmp_path) -> str:
    """A file with the documents in its middle section."""
    sections = {"a": [document(9, 70)], "b": DOCUMENTS, "c": [document(8, 70)]}
    write_encoded(str(tmp_path / "encoded"), sections, {}, scratch=tmp_path / "scratch")
    return str(tmp_path / "encoded")


def merge(path: str, shard: str) -> list[EncodedDocument]:
    return list(merge_documents({path: read_index(path).section(shard)}, shard))


@pytest.mark.parametrize("block_bytes", [1, 7, 24, 100, 5000])
def test_a_section_is_read_in_blocks_and_no_byte_beside_it(path, block_bytes, monkeypatch):
    ranges = []

    def read_range(path: str, begin: int, end: int) -> bytes:
        ranges.append((begin, end))
        return Path(path).read_bytes()[begin:end]

    monkeypatch.setattr(encoded, "merged_block_bytes", lambda _: block_bytes)
    monkeypatch.setattr(encoded, "read_range", read_range)
    expected = sorted(DOCUMENTS, key=lambda each: each.key)
    assert merge(path, "b") == expected
    begin, end, _ = read_index(path).sections["b"]
    assert (ranges[0][0], ranges[-1][1]) == (begin, end)
    assert all(a[1] == b[0] for a, b in itertools.pairwise(ranges))
    # One for the header and one for what is behind it, also where a document has many blocks.
    assert len(ranges) <= 2 * len(DOCUMENTS)
    assert merge(path, "d") == []


def test_sections_are_merged_without_the_indexes_of_all_shards(path):
    section = read_index(path).section("b")
    Path(encoded.index_path(path)).unlink()
    expected = sorted(DOCUMENTS, key=lambda each: each.key)
    assert list(merge_documents({path: section}, "b")) == expected


@pytest.mark.parametrize("place", [0, 17, 21, 30, -1])
def test_a_changed_byte_is_noticed(path, place):
    begin, end, _ = read_index(path).sections["b"]
    data = bytearray(Path(path).read_bytes())
    data[(begin if place >= 0 else end) + place] ^= 0x55
    Path(path).write_bytes(data)
    with pytest.raises(DamageError, match="the documents of b are not those that were written"):
        merge(path, "b")


def test_a_file_that_ends_in_a_section_is_noticed(path):
    _, end, _ = read_index(path).sections["b"]
    Path(path).write_bytes(Path(path).read_bytes()[: end - 1])
    with pytest.raises(DamageError, match=f"ends before byte {end:,}, where b ends"):
        merge(path, "b")
