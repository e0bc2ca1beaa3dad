"""A corpus is read from a bucket, and a step publishes to one."""

import gzip
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest

from albert_core import storage
from albert_core.artifacts.step import run_step
from albert_core.corpus import (
    CorpusConfig,
    CorpusSplit,
    FileRange,
    corpus_documents,
    corpus_fingerprint,
    corpus_splits,
    list_corpus,
    read_split,
)
from albert_core.errors import InputError

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")


def test_a_corpus_is_read_from_a_bucket(bucket, tmp_path):
    text = "One.\nTwo.\n\nThree.\n"
    storage.write_bytes(f"{bucket}/text/plain.txt", text.encode())
    storage.write_bytes(f"{bucket}/text/packed.txt.gz", gzip.compress(b"Four.\n"))
    corpus = CorpusConfig(files=(f"{bucket}/text/*",))
    assert list(corpus_documents(corpus)) == [["Four."], ["One.", "Two."], ["Three."]]
    assert sum(split.num_bytes for split in corpus_splits(corpus)) > len(text)
    before = corpus_fingerprint(corpus)
    storage.write_bytes(f"{bucket}/text/plain.txt", b"Five.\n")
    assert corpus_fingerprint(corpus) != before


def test_of_the_beginning_of_a_file_in_a_bucket_little_is_fetched(bucket, requested_ranges):
    """To tell what it is, when a corpus is listed and when a range of it is read."""
    storage.write_bytes(f"{bucket}/heads/text.part", b"A line.\n\n" * 10_000)
    corpus = CorpusConfig(files=(f"{bucket}/heads",), format="sentences")
    (file,) = list_corpus(corpus).files
    assert list(filter(None, requested_ranges)) == ["0-4095"]
    requested_ranges.clear()
    split = CorpusSplit((FileRange(file.path, 89_900, 90_000),))
    assert list(read_split(split, corpus))[-1] == ["A line."]
    first, *others = filter(None, requested_ranges)
    assert first == "0-65535"
    assert all(int(each.partition("-")[0]) > 70_000 for each in others)


def test_parquet_is_read_from_a_bucket(bucket):
    table = pyarrow.table({"text": [f"Row {n} is here." for n in range(5000)]})
    sink = pyarrow.BufferOutputStream()
    pyarrow.parquet.write_table(table, sink, row_group_size=1000)
    storage.write_bytes(f"{bucket}/rows/part.parquet", sink.getvalue().to_pybytes())
    corpus = CorpusConfig(files=(f"{bucket}/rows",), format="parquet")
    assert list(corpus_documents(corpus)) == [[text] for text in table["text"].to_pylist()]


def work(output, calls, *, figure=1, fail=False):
    def body(results, progress):
        calls.append(1)
        (results / "data.bin").write_bytes(b"data" * figure)
        if fail:
            raise InputError("bad")
        return {"figure": figure}

    return run_step("step", config={"figure": figure}, inputs={}, output=output, body=body)


def test_a_step_publishes_to_a_bucket_once(bucket, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    calls: list[int] = []
    output = f"{bucket}/published"
    manifest = work(output, calls)
    assert work(output, calls) == manifest
    assert len(calls) == 1
    names = [Path(file.path).name for file in storage.find_files(output)]
    assert names == ["data.bin", "manifest.json"]
    assert not list(tmp_path.iterdir())


def test_a_failed_step_leaves_nothing_in_the_bucket(bucket, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="bad"):
        work(f"{bucket}/failed", [], fail=True)
    assert not storage.has_files(f"{bucket}/failed")
    assert not list(tmp_path.iterdir())


def test_a_remote_folder_of_something_else_is_refused(bucket, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    work(f"{bucket}/other", [])
    with pytest.raises(InputError, match="belongs to another configuration"):
        work(f"{bucket}/other", [], figure=2)
    storage.write_bytes(f"{bucket}/foreign/file", b"1")
    with pytest.raises(InputError, match="was not made by this program"):
        work(f"{bucket}/foreign", [])
    assert storage.read_bytes(f"{bucket}/foreign/file") == b"1"


def test_a_half_done_upload_is_done_again(bucket, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    output = f"{bucket}/half"
    storage.write_bytes(f"{output}/uploading.txt", b"")
    storage.write_bytes(f"{output}/data.bin", b"da")
    work(output, [])
    assert storage.read_bytes(f"{output}/data.bin") == b"data"
    assert not storage.exists(f"{output}/uploading.txt")
