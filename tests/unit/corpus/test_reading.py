"""Readers: every format, compressed or damaged, in one go or in parts; no good document is lost."""

import bz2
import gzip
import itertools
import json
import random
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st

from albert_core.corpus import (
    CorpusConfig,
    FileRange,
    ReadCounts,
    check_corpus,
    corpus_documents,
    corpus_splits,
    read_documents,
    read_split,
)
from albert_core.corpus.lines import clean_text
from albert_core.corpus.sentences import MAX_SENTENCE_CHARACTERS, bounded
from albert_core.errors import InputError

NUM_FUZZED = 2000
GOOD = ["A sailor mends nets.", "The tide is late."]


def zstd(data: bytes) -> bytes:
    return pyarrow.compress(data, codec="zstd", asbytes=True)


def documents_in(path: Path, **settings: object) -> list[list[str]]:
    return list(read_documents(path, CorpusConfig(files=(str(path),), **settings)))


def write(folder: Path, name: str, data: bytes) -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


COMPRESSED = {"gz": gzip.compress, "bz2": bz2.compress, "zst": zstd}
# A zstd frame need not have a checksum, and pyarrow's has none: a changed byte may go unnoticed.
DAMAGES = [
    (s, d) for s in COMPRESSED for d in ("cut", "changed", "other") if (s, d) != ("zst", "changed")
]


@pytest.mark.parametrize("suffix", ["gz", "bz2", "zst"])
@pytest.mark.parametrize("kind", ["sentences", "running_text", "jsonl"])
def test_compressed_files_are_read(tmp_path, suffix, kind):
    text = "\n".join(GOOD) if kind != "jsonl" else json.dumps({"text": " ".join(GOOD)})
    path = write(tmp_path, f"text.{suffix}", COMPRESSED[suffix](text.encode()))
    assert documents_in(path, format=kind) == [GOOD]


@pytest.mark.parametrize(("suffix", "damage"), DAMAGES)
def test_damaged_compressed_files_are_refused(tmp_path, suffix, damage):
    data = COMPRESSED[suffix](random.Random(1).randbytes(50_000).hex().encode())
    damaged = {
        "cut": data[: len(data) // 2],
        "changed": data[:5_000] + bytes([data[5_000] ^ 255]) + data[5_001:],
        "other": b"plain text\n" * 9,
    }
    path = write(tmp_path, f"text.{suffix}", damaged[damage])
    with pytest.raises(InputError, match=r"damaged or not compressed as its name says"):
        documents_in(path)


def test_jsonl_takes_running_text_and_lists_of_sentences(tmp_path):
    rows = [
        {"body": "One is here. Two\nis there."},
        {"body": ["Three.", " Four. "]},
        {"body": ""},
        {"body": None},
    ]
    lines = "\n\n".join(map(json.dumps, rows))
    path = write(tmp_path, "rows.jsonl", b"\xef\xbb\xbf" + lines.encode())
    counts = ReadCounts()
    config = CorpusConfig(format="jsonl", text_field="body")
    assert list(read_documents(path, config, counts)) == [
        ["One is here.", "Two is there."],
        ["Three.", "Four."],
    ]
    assert counts.num_empty_texts == 2


@pytest.mark.parametrize(
    "line",
    [
        "{",
        "[1]",
        '{"other": 1}',
        '{"text": 5}',
        '{"text": [1]}',
        '{"text": NaN}',
        '{"text": true}',
        '{"text": {"en": "Good."}}',
        '{"text": ["Good.", null]}',
        '"text"',
        "null",
        "plain",
        "\x00",
    ],
)
def test_lines_that_hold_no_text_are_refused_by_their_place(tmp_path, line):
    good = json.dumps({"text": "Good."})
    path = write(tmp_path, "rows.jsonl", f"{good}\n{line}\n".encode())
    if line == "\x00":
        assert documents_in(path, format="jsonl") == [["Good."]]
        return
    with pytest.raises(InputError, match=rf"rows\.jsonl, line at byte {len(good) + 1}: got"):
        documents_in(path, format="jsonl")


def test_parquet_takes_running_text_and_lists_of_sentences(tmp_path):
    table = pyarrow.table({"id": [1, 2, 3], "text": ["One is here. Two.", None, "Three."]})
    lists = pyarrow.table({"text": [["One.", "Two."], [], ["Three."]]})
    for name, own in (("strings", table), ("lists", lists)):
        path = tmp_path / f"{name}.parquet"
        pyarrow.parquet.write_table(own, path, row_group_size=1)
        expected = [["One is here.", "Two."] if name == "strings" else ["One.", "Two."], ["Three."]]
        assert documents_in(path, format="parquet") == expected


def test_parquet_that_is_none_or_lacks_the_column_is_refused(tmp_path):
    path = tmp_path / "table.parquet"
    pyarrow.parquet.write_table(pyarrow.table({"body": ["One."], "number": [1]}), path)
    with pytest.raises(InputError, match=r"got the columns body, number, expected 'text'"):
        documents_in(path, format="parquet")
    with pytest.raises(InputError, match="row 1: got the number 1 as 'number', expected text"):
        documents_in(path, format="parquet", text_field="number")
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(InputError, match="not a Parquet file"):
        documents_in(path, format="parquet")


def test_control_characters_are_removed_and_counted(tmp_path):
    path = write(tmp_path, "text", b"On\x00e \x1b[1mtwo\x7f.\r\nThr\xc2\x85ee\tfour.\x0c\n")
    counts = ReadCounts()
    (document,) = read_documents(path, CorpusConfig(), counts)
    assert document == ["One [1mtwo.", "Thr\x85ee\tfour."]
    assert counts.num_control_characters == 3
    assert clean_text("a\ud800b", b"", ReadCounts()) == "ab"


def test_invalid_bytes_are_refused_or_replaced_and_counted(tmp_path):
    path = write(tmp_path, "text", "Gut.\nÜber €.\n".encode() + b"a\xffb \xe2\x82 c\n")
    with pytest.raises(InputError, match=r"not UTF-8 at byte 17; .*corpus\.invalid_utf8=replace"):
        documents_in(path)
    counts = ReadCounts()
    config = CorpusConfig(invalid_utf8="replace")
    assert list(read_documents(path, config, counts)) == [["Gut.", "Über €.", "a\ufffdb \ufffd c"]]
    assert counts.num_invalid_utf8 == 2


def test_overlong_sentences_are_cut_and_lose_nothing():
    counts = ReadCounts()
    texts = ["word " * 5_000, "x" * 25_000, "short"]
    parts = list(bounded(texts, counts=counts))
    assert counts.num_cut_sentences == 2
    assert max(map(len, parts)) <= MAX_SENTENCE_CHARACTERS
    assert "".join("".join(parts).split()) == "".join("".join(texts).split())


def test_a_large_document_is_split_in_good_time(tmp_path):
    path = write(tmp_path, "text", b"The sea rose again. " * 500_000)
    (document,) = documents_in(path, format="running_text", documents="file")
    assert len(document) >= 499_000
    assert max(map(len, document)) <= MAX_SENTENCE_CHARACTERS


line = st.sampled_from(["", " ", "a.", "bb. B c.", "</doc>", "<doc id=1>", '<doc title="a.">', "é"])
ends = st.sampled_from(["\n", "\r\n"])


@given(
    st.lists(line, max_size=25),
    ends,
    st.lists(st.integers(0, 150), max_size=6),
    st.sampled_from(["sentences", "running_text", "wikiextractor"]),
    st.booleans(),
)
def test_ranges_of_a_file_hold_each_document_once(
    tmp_path_factory, lines, end, cuts, kind, is_ended
):
    data = (end.join(lines) + (end if is_ended else "")).encode()
    path = write(tmp_path_factory.getbasetemp(), "ranges", data)
    config = CorpusConfig(format=kind)
    bounds = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    of_parts, of_whole = ReadCounts(), ReadCounts()
    parts = [
        document
        for start, stop in itertools.pairwise(bounds)
        for document in read_documents(FileRange(str(path), start, stop), config, of_parts)
    ]
    assert parts == list(read_documents(path, config, of_whole))
    assert of_parts.num_lines_outside_articles == of_whole.num_lines_outside_articles


STRAY = '<mediawiki>\n<doc id="1" title="Sea">\nSea\n\nIt is wide.\n</doc>\nLost.\n\nToo.\n'


def test_text_outside_of_articles_is_left_out_and_counted(tmp_path):
    path = write(tmp_path, "wiki", STRAY.encode())
    config = CorpusConfig(files=(str(path),), format="wikiextractor")
    counts = ReadCounts()
    assert list(read_documents(path, config, counts)) == [["It is wide."]]
    assert counts.num_lines_outside_articles == 3
    said: list[str] = []
    check_corpus(config, say=said.append)
    assert said == ["corpus: left out 3 lines outside of <doc ...> and </doc>"]


def test_text_without_any_article_is_not_taken_for_articles(tmp_path):
    path = write(tmp_path, "wiki", b"It is wide.\n\nIt is deep.\n")
    config = CorpusConfig(files=(str(path),), format="wikiextractor")
    with pytest.raises(InputError, match=r"got wikiextractor, and 2 lines outside .* no article"):
        check_corpus(config)


@given(st.lists(st.text(min_size=1, max_size=9), max_size=9), st.integers(1, 60))
def test_splits_of_a_corpus_hold_each_row_once(tmp_path_factory, texts, target):
    rows = "".join(json.dumps({"text": [text]}) + "\n" for text in texts)
    path = write(tmp_path_factory.getbasetemp(), "splits.jsonl", rows.encode())
    config = CorpusConfig(files=(str(path),), format="jsonl")
    if not rows:
        return
    splits = corpus_splits(config, target_bytes=target)
    parts = [document for split in splits for document in read_split(split, config)]
    assert parts == list(corpus_documents(config))


def test_thousands_of_files_of_random_bytes_lose_no_good_document(tmp_path):
    """Whatever lies around a good document, it is read, and no reader crashes."""
    rng = random.Random(7)
    good = {
        "sentences": "\n".join(GOOD),
        "running_text": " ".join(GOOD),
        "wikiextractor": '<doc id="1" title="Sea">\nSea\n\n' + " ".join(GOOD) + "\n</doc>",
    }
    for number in range(NUM_FUZZED):
        kind = rng.choice(list(good))
        before, after = (rng.randbytes(rng.randint(0, 200)) for _ in range(2))
        gap = rng.choice([b"\n\n", b"\r\n\r\n", b"\n \t\n"])
        path = write(tmp_path, "fuzz", before + gap + good[kind].encode() + gap + after)
        config = CorpusConfig(format=kind, invalid_utf8="replace")
        documents = list(read_documents(path, config))
        assert GOOD in documents, f"file {number}"
        assert all(text.strip() for document in documents for text in document)
        documents_or_refusal(path, format=kind)


def test_thousands_of_files_of_random_bytes_are_refused_where_rows_are_expected(tmp_path):
    rng = random.Random(8)
    suffixes = ("jsonl", "parquet", "jsonl.gz", "txt.bz2", "txt.zst")
    for _ in range(NUM_FUZZED):
        suffix = rng.choice(suffixes)
        data = rng.randbytes(rng.randint(0, 200))
        path = write(tmp_path, f"fuzz.{suffix}", data)
        kind = suffix.partition(".")[0].replace("txt", "sentences")
        documents_or_refusal(path, format=kind, invalid_utf8=rng.choice(["refuse", "replace"]))


def documents_or_refusal(path: Path, **settings: object) -> None:
    config = CorpusConfig(files=(str(path),), **settings)
    for read in (lambda: list(read_documents(path, config)), lambda: check_corpus(config)):
        try:
            read()
        except InputError as error:
            assert "\n" not in str(error)  # noqa: PT017 both outcomes are right


def test_parquet_rows_that_hold_no_text_are_refused_by_their_number(tmp_path):
    path = tmp_path / "table.parquet"
    pyarrow.parquet.write_table(pyarrow.table({"text": [["One."], ["Two.", None]]}), path)
    with pytest.raises(InputError, match=r"row 2: got null as 'text\[1\]', expected text"):
        documents_in(path, format="parquet")
