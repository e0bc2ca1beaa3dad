"""Near-duplicates: sorted rows on the disk, and which documents of a bucket are left out."""

import dataclasses
import hashlib
import random
from pathlib import Path

import numpy as np
import pytest

from albert_core.corpus.minhash import MinHasher
from albert_core.files.checksums import DamageError
from albert_core.records import encoded
from albert_core.records.near_duplicates import (
    NUM_REPRESENTATIVES,
    PAIR_DTYPE,
    find_near_duplicates,
    first_examples,
    join_examples,
    merge_left_out,
    pair_keys,
)
from albert_core.records.rng import document_key
from albert_core.records.signature_table import SignatureTable, entry_dtype
from albert_core.records.sorted_rows import merge_rows, write_rows

DTYPE = np.dtype([("first", "<u8"), ("second", "<u8")])
ORDER = ("first", "second")
MINHASHER = MinHasher(threshold=0.8, ngram=5, num_permutations=128, seed=12345)


@pytest.fixture
def small_blocks(monkeypatch):
    for name in ("_MERGE_BYTES", "_SMALLEST_BLOCK", "_LARGEST_BLOCK"):
        monkeypatch.setattr(encoded, name, 700)


def written(folder: Path, rows: np.ndarray, name: str, dtype=DTYPE) -> tuple[str, tuple]:
    """Write sorted rows as the second section of a file; return its address and the section."""
    path = str(folder / name)
    before = np.zeros(3, dtype)
    facts = write_rows(
        path, [("before", [before]), ("rows", [rows[:5], rows[5:]])], scratch=folder / "scratch"
    )
    return path, facts["sections"]["rows"]


def random_rows(rng: np.random.Generator, num_rows: int) -> np.ndarray:
    rows = np.zeros(num_rows, DTYPE)
    rows["first"], rows["second"] = rng.integers(0, 4, num_rows), rng.integers(0, 99, num_rows)
    return np.sort(rows, order=ORDER)


@pytest.mark.usefixtures("small_blocks")
def test_rows_of_several_files_are_merged_in_their_order(tmp_path):
    rng = np.random.default_rng(1)
    parts = [random_rows(rng, num_rows) for num_rows in (500, 0, 3, 1000, 500)]
    sections = dict(written(tmp_path, rows, str(n)) for n, rows in enumerate(parts))
    blocks = list(merge_rows(sections, DTYPE, order=ORDER))
    assert len(blocks) > 10
    assert (np.concatenate(blocks) == np.sort(np.concatenate(parts), order=ORDER)).all()
    assert list(merge_rows({}, DTYPE, order=ORDER)) == []


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("harm", ["changed", "shorter"])
def test_damaged_rows_are_noticed(tmp_path, harm):
    path, section = written(tmp_path, random_rows(np.random.default_rng(1), 500), "rows")
    data = bytearray(Path(path).read_bytes())
    data[-100] ^= 1
    Path(path).write_bytes(data if harm == "changed" else data[:-1])
    with pytest.raises(DamageError, match="its rows are not those that were written"):
        list(merge_rows({path: section}, DTYPE, order=ORDER))


def plain_pairs(rows: list[tuple], least_matches: int) -> dict:
    """Return what is left out, by the rule as it is told, and the number of comparisons."""
    buckets: dict = {}
    for bucket, key, signature in rows:
        buckets.setdefault(bucket, {})[key] = signature
    left_out: dict = {}
    num_comparisons = 0
    for documents in buckets.values():
        representatives: list = []
        for key in sorted(documents):
            for other in representatives:
                num_comparisons += 1
                equal = zip(documents[key], documents[other], strict=True)
                num_matches = sum(a == b for a, b in equal)
                if num_matches >= least_matches:
                    if key not in left_out or other < left_out[key][0]:
                        left_out[key] = (other, num_matches)
                    break
            else:
                if len(representatives) < NUM_REPRESENTATIVES:
                    representatives.append(key)
    return {"left_out": left_out, "num_comparisons": num_comparisons}


@pytest.mark.usefixtures("small_blocks")
def test_the_kernel_agrees_with_the_plain_rule(tmp_path):
    """Few buckets, keys and values: crowded buckets, equal keys in several files, all in blocks."""
    rng = np.random.default_rng(3)
    minhasher = MinHasher(threshold=0.5, ngram=5, num_permutations=16, seed=1)
    signatures = rng.integers(0, 3, (400, 16), np.uint8)
    keys = [
        hashlib.blake2b(bytes([n % 256, n // 256]), digest_size=16).digest() for n in range(400)
    ]
    rows, sections = [], {}
    for number in range(5):
        part = sorted(
            (int(rng.integers(5)), keys[document], document)
            for document in rng.integers(0, 400, 300).tolist()
        )
        rows += [(bucket, key, signatures[document].tolist()) for bucket, key, document in part]
        array = np.zeros(len(part), entry_dtype(16))
        array["bucket"] = [bucket for bucket, _, _ in part]
        array["key_high"] = [int.from_bytes(key[:8], "big") for _, key, _ in part]
        array["key_low"] = [int.from_bytes(key[8:], "big") for _, key, _ in part]
        array["signature"] = [signatures[document] for _, _, document in part]
        path, section = written(tmp_path, array, str(number), entry_dtype(16))
        sections[path] = section
    pairs, counts = find_near_duplicates(sections, minhasher)
    expected = plain_pairs(rows, minhasher.least_matches)
    examples = {
        key: (bytes.fromhex(other), num_matches)
        for key, pair in zip(pair_keys(pairs), pairs, strict=True)
        for _, other, num_matches in first_examples(pair[None])
    }
    assert len(examples) > 50
    assert examples == expected["left_out"]
    assert counts.num_comparisons == expected["num_comparisons"]
    assert counts.num_entries == 1500
    assert counts.largest_bucket == max(
        len({key for of_row, key, _ in rows if of_row == bucket}) for bucket in range(5)
    )


def edited(words: list[str], similarity: float, rng: random.Random) -> list[str]:
    """Return words, some of them replaced, so that the n-grams have about that similarity.

    A word that is replaced takes 5 of the N n-grams from either document.
    """
    num_edits = round(len(words) * (1 - similarity) / (1 + similarity) / 5)
    places = rng.sample(range(1, len(words) // 5), num_edits)
    changed = list(words)
    for place in places:
        changed[5 * place] = f"e{rng.getrandbits(40):x}"
    return changed


def left_out(
    folder: Path,
    documents: list[list[str]],
    num_parts: int = 1,
    num_partitions: int = 1,
    minhasher: MinHasher = MINHASHER,
):
    """Return the keys that are left out, and the number of comparisons, of documents in files."""
    tables = []
    for part in range(num_parts):
        table = SignatureTable(minhasher)
        for document in documents[part::num_parts]:
            table.add(document_key(document), document)
        path = str(folder / f"signatures-{num_partitions}-{part}")
        tables.append((path, table.write(path, num_partitions, scratch=folder / "scratch")))
    keys, num_comparisons, num_entries = set[bytes](), 0, 0
    for partition in map(str, range(num_partitions)):
        sections = {path: facts["sections"][partition] for path, facts in tables}
        pairs, counts = find_near_duplicates(sections, minhasher)
        keys |= set(pair_keys(pairs))
        num_comparisons += counts.num_comparisons
        num_entries += counts.num_entries
    assert num_entries == sum(facts["num_entries"] for _, facts in tables)
    return keys, num_comparisons


def test_edited_copies_are_left_out_and_documents_that_share_less_are_not(tmp_path):
    rng, documents, copies = random.Random(4), [], {0.9: [], 0.3: []}
    for number in range(200):
        words = [f"w{rng.getrandbits(40):x}" for _ in range(400)]
        similarity = 0.9 if number % 2 else 0.3
        copy = edited(words, similarity, rng)
        documents += [[" ".join(words)], [" ".join(copy)]]
        copies[similarity].append({document_key(documents[-2]), document_key(documents[-1])})
        first, second = ({tuple(w[i : i + 5]) for i in range(396)} for w in (words, copy))
        assert len(first & second) / len(first | second) == pytest.approx(similarity, abs=0.02)
    keys, _ = left_out(tmp_path, documents)
    assert [len(pair & keys) for pair in copies[0.9]] == [1] * 100
    assert all(max(pair) in keys for pair in copies[0.9])
    assert not any(pair & keys for pair in copies[0.3])


def test_files_and_partitions_change_nothing(tmp_path):
    rng, documents = random.Random(5), []
    for _ in range(60):
        words = [f"w{rng.getrandbits(40):x}" for _ in range(200)]
        documents += [[" ".join(edited(words, 0.95, rng))] for _ in range(4)]
    once = left_out(tmp_path, documents)
    assert len(once[0]) == 180
    rng.shuffle(documents)
    assert left_out(tmp_path, documents + documents[::7], 5, 7) == once


def test_documents_of_the_same_boilerplate_are_compared_in_linear_time(tmp_path):
    """Alike but for a date: all meet in all buckets, and each is compared with the first alone."""
    terms = " ".join(f"word{number}" for number in range(500))
    numbers = {}
    for size in (500, 1000):
        documents = [[f"{terms} {day}"] for day in range(size)]
        keys, numbers[size] = left_out(tmp_path, documents)
        assert len(keys) == size - 1
        assert numbers[size] <= size * MINHASHER.num_bands
    assert numbers[1000] < 2.1 * numbers[500]


def test_a_chain_keeps_the_documents_that_are_like_none_of_a_smaller_key(tmp_path):
    """Each is like the next and unlike the others: no document goes but for one it is like."""
    rng = random.Random(6)
    words = [f"w{rng.getrandbits(40):x}" for _ in range(300)]
    documents = [[" ".join(words[16 * n : 16 * n + 200])] for n in range(5)]
    keys = [document_key(document) for document in documents]
    smaller_neighbour = {
        key
        for place, key in enumerate(keys)
        if any(other < key for other in keys[max(0, place - 1) : place + 2])
    }
    minhasher = dataclasses.replace(MINHASHER, num_permutations=1024)
    assert left_out(tmp_path, documents, minhasher=minhasher)[0] == smaller_neighbour
    assert min(keys) not in smaller_neighbour


def test_an_empty_part_of_a_corpus(tmp_path):
    assert left_out(tmp_path, [["?"], ["..."]], 2, 3) == (set(), 0)


def test_examples_of_all_partitions_are_those_of_the_smallest_keys():
    parts = [[("03", "01", 9), ("04", "02", 8)], [["03", "02", 7], ["01", "00", 8]], []]
    assert join_examples(parts) == [("01", "00", 8), ("03", "01", 9), ("04", "02", 8)]
    assert len(join_examples([[(f"{n:02}", "00", 1) for n in range(5)]] * 3 + parts)) == 5


def test_keys_that_are_left_out_are_merged(tmp_path):
    pairs = np.zeros(4, PAIR_DTYPE)
    pairs["key_high"], pairs["key_low"] = [1, 1, 2**63, 2**64 - 1], [5, 6, 0, 255]
    sections = dict(
        written(tmp_path, rows, str(n), PAIR_DTYPE) for n, rows in enumerate([pairs] * 2)
    )
    keys = list(merge_left_out(sections))
    assert keys == sorted(keys)
    assert keys[::2] == keys[1::2] == pair_keys(pairs)
    assert keys[0] == bytes(7) + b"\1" + bytes(7) + b"\5"
