"""What folders hold beside text: archives are read, the rest is left out, counted and said."""

import bz2
import gzip
import io
import itertools
import json
import lzma
import tarfile
import zipfile
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest

from albert_core.corpus import (
    CorpusConfig,
    FileRange,
    ReadCounts,
    check_corpus,
    corpus_documents,
    corpus_splits,
    find_corpus_files,
    list_corpus,
    read_documents,
    read_split,
)
from albert_core.errors import InputError

TEXTS = {"a.txt": "One is here.\nTwo is there.\n\nThree.\n", "deep/b.txt": "Four.\n"}
DOCUMENTS = [["One is here.", "Two is there."], ["Three."], ["Four."]]
NO_TEXT = {
    "picture.png": b"\x89PNG\r\n\x1a\n" + bytes(99),
    "paper.pdf": b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n",
    "table.xls": b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(99),
    "letter.docx": b"PK\x03\x04" + bytes(99),
    "model.safetensors": b"\x80\0\0\0\0\0\0\0" + b'{"a":{}}' + bytes(range(256)),
    "data.pickle": b"\x80\x04\x95" + bytes(99),
    "weights.bin": bytes(range(256)) * 9,
    "base.sqlite": b"SQLite format 3\0" + bytes(99),
}
HIDDEN = {
    ".DS_Store": b"\0\0\0\1Bud1\xff",
    "._a.txt": b"\0\5\x16\7\xff",
    ".git/config": b"[core]\n",
    "sub/.ipynb_checkpoints/a.txt": b"Old.\n",
    "__MACOSX/a.txt": b"\0\5\x16\7\xff",
    "Thumbs.db": b"\xd0\xcf\x11\xe0",
}


def tar(files: dict[str, bytes], mode: str = "w") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def zipped(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def zstd(data: bytes) -> bytes:
    return pyarrow.compress(data, codec="zstd", asbytes=True)


def arrow_stream() -> bytes:
    """Return a file as `save_to_disk` of Hugging Face's datasets writes it."""
    buffer = io.BytesIO()
    table = pyarrow.table({"text": ["One."] * 99})
    with pyarrow.ipc.new_stream(buffer, table.schema) as stream:
        stream.write_table(table)
    return buffer.getvalue()


LFS_POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"
MEDIAWIKI = (
    b'<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.11/" xml:lang="en">\n'
    b"  <page>\n    <title>Rain</title>\n    <text>It '''rained''' in [[Rome]].</text>\n  </page>\n"
)
COMPRESSED = {
    "gz": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "lzma": lambda data: lzma.compress(data, format=lzma.FORMAT_ALONE),
    "zst": zstd,
}
ARCHIVES = {
    "c.zip": zipped,
    "c.tar": tar,
    "c.tar.gz": lambda files: gzip.compress(tar(files)),
    "c.tgz": lambda files: gzip.compress(tar(files)),
    "C.TAR.BZ2": lambda files: bz2.compress(tar(files)),
    "c.txz": lambda files: lzma.compress(tar(files)),
    "c.tar.zst": lambda files: zstd(tar(files)),
    "no_tar_by_its_name.gz": lambda files: gzip.compress(tar(files)),
}


def write(folder: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


def documents_in(*files: object, split_bytes: int = 20, **settings: str) -> list[list[str]]:
    """Return the documents of files, read whole, which are those of the splits."""
    config = CorpusConfig(files=tuple(map(str, files)), **settings)
    splits = corpus_splits(config, target_bytes=split_bytes)
    documents = list(corpus_documents(config))
    assert [document for split in splits for document in read_split(split, config)] == documents
    return documents


@pytest.mark.parametrize("suffix", COMPRESSED)
@pytest.mark.parametrize("kind", ["sentences", "running_text", "jsonl", "wikiextractor"])
def test_compressed_text_is_read_to_its_end_however_well_it_is_compressed(tmp_path, suffix, kind):
    line = {
        "jsonl": json.dumps({"text": "A b."}),
        "wikiextractor": '<doc title="x">\nA b.\n</doc>',
    }.get(kind, "A b.\n")
    data = COMPRESSED[suffix](f"{line}\n".encode() * 3_000)
    path = tmp_path / f"text.{suffix}"
    path.write_bytes(data)
    assert documents_in(path, format=kind) == [["A b."]] * 3_000


@pytest.mark.parametrize("suffix", ["gz", "bz2", "xz"])
def test_compressed_streams_one_after_the_other_are_one_text(tmp_path, suffix):
    path = tmp_path / f"text.{suffix}"
    streams = [COMPRESSED[suffix](text) for text in (b"One.\n" * 3_000, b"Two.\n", b"Three.\n")]
    path.write_bytes(bytes(4).join(streams) + bytes(8) if suffix == "xz" else b"".join(streams))
    assert documents_in(path) == [["One."] * 3_000 + ["Two.", "Three."]]


@pytest.mark.parametrize("suffix", ["gz", "bz2", "xz"])
@pytest.mark.parametrize("kept", [10, -8], ids=["in its beginning", "in its end"])
def test_damage_in_a_later_compressed_stream_is_refused(tmp_path, suffix, kept):
    path = tmp_path / f"text.{suffix}"
    first, second = (COMPRESSED[suffix](text) for text in (b"One.\n", b"Two.\n" * 99))
    for damaged in (second[:kept], second[:kept] + b"\xff" + second[kept:][1:]):
        path.write_bytes(first + damaged)
        with pytest.raises(InputError, match="damaged or not compressed as its name says"):
            documents_in(path)


def test_a_damaged_header_of_a_later_member_is_refused(tmp_path):
    path = tmp_path / "c.tar"
    data = bytearray(tar({"a.txt": b"One.\n", "b.txt": b"Two.\n"}))
    data[1024 + 3] ^= 1  # in the name of the second: its checksum is another's
    path.write_bytes(data)
    with pytest.raises(InputError, match="a damaged header of a member: bad checksum"):
        documents_in(path)


@pytest.mark.parametrize("name", ARCHIVES)
def test_members_of_archives_are_read_as_files(tmp_path, name):
    files = {name: text.encode() for name, text in TEXTS.items()}
    files["deep/c.txt.gz"] = gzip.compress(b"Five.\n")
    files["d.txt"] = b"Six."
    path = tmp_path / name
    path.write_bytes(ARCHIVES[name](files))
    assert documents_in(path) == [*DOCUMENTS, ["Five."], ["Six."]]
    rows = {"r.jsonl": b'{"text": "Row."}\n' * 3}
    path.write_bytes(ARCHIVES[name](rows))
    assert documents_in(path, format="jsonl") == [["Row."]] * 3
    sink = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table({"text": ["One.", "Two."]}), sink)
    path.write_bytes(ARCHIVES[name]({"README.md": b"# Rows", "t.parquet": sink.getvalue()}))
    assert documents_in(path, format="parquet") == [["One."], ["Two."]]


@pytest.mark.parametrize("name", ["c.zip", "c.tar.gz"])
def test_members_that_are_no_text_are_left_out_and_counted(tmp_path, name, capsys):
    path = tmp_path / name
    path.write_bytes(ARCHIVES[name]({**NO_TEXT, **HIDDEN, "a.txt": b"One.\n"}))
    counts = ReadCounts()
    config = CorpusConfig(files=(str(path),))
    assert list(read_documents(path, config, counts)) == [["One."]]
    assert counts.num_left_out_members == len(NO_TEXT) + len(HIDDEN)
    check_corpus(config)
    assert "left out 14 files in archives" in capsys.readouterr().out


def test_archives_that_cannot_be_read_are_refused_in_a_line(tmp_path):
    document = zipped({"[Content_Types].xml": b"<x/>", "word/document.xml": b"<x/>"})
    book = zipped({"mimetype": b"application/epub+zip", "text.html": b"<p>x</p>"})
    for name, data, message in [
        ("office.zip", document, "a document of another program"),
        ("book.zip", book, "a document of another program"),
        ("cut.zip", zipped({"a.txt": b"One."})[:-30], "damaged or not compressed"),
        ("cut.tar.gz", gzip.compress(tar({"a.txt": b"One.\n" * 999}))[:-30], "damaged or not"),
        ("plain.tar", b"One.\n", "damaged or not compressed as its name says"),
        ("plain.xz", b"One.\n", "damaged or not compressed as its name says"),
        ("empty.zip", zipped({}), "an archive without text"),
        ("pictures.tar", tar({"a.png": NO_TEXT["picture.png"]}), "an archive without text"),
    ]:
        path = write(tmp_path, {name: data}) / name
        for settings in ({}, {"invalid_utf8": "replace"}):
            with pytest.raises(InputError, match=message) as refusal:
                check_corpus(CorpusConfig(files=(str(path),), **settings))
            assert "iconv" not in str(refusal.value)
            assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (gzip.compress(b"One."), "gzip data, expected text; name it .gz"),
        (lzma.compress(b"One."), "xz data, expected text; name it .xz"),
        (bz2.compress(b"One."), "bzip2 data, expected text; name it .bz2"),
        (zstd(b"One."), "Zstandard data, expected text; name it .zst"),
        (zipped({"a": b"One."}), "a ZIP archive"),
        (tar({"a": b"One."}), "a tar archive, expected text; name it .tar"),
        (tar({"a": b"One."}, "w:"), "a tar archive"),
        (b"7z\xbc\xaf\x27\x1c\0\4", "a 7z archive, expected text; unpack it"),
        (b"Rar!\x1a\x07\x01\0", "a RAR archive, expected text; unpack it"),
        (b"PAR1" + bytes(9), "a Parquet file, expected text; set corpus.format=parquet"),
        ("\ufeffOne.\n".encode("utf-16-le"), "UTF-16, expected text; convert it"),
        ("\ufeffOne.\n".encode("utf-16-be"), "UTF-16, expected text; convert it"),
        ("One is here.\n".encode("utf-16-le"), "or UTF-16 without a byte order mark, expected te"),
        ("\ufeffOne.\n".encode("utf-32-le"), "UTF-32, expected text; convert it"),
        (arrow_stream(), "an Arrow stream, expected text; save it as Parquet"),
        (LFS_POINTER, "a pointer to a file in Git LFS, expected text; fetch that with `git"),
        (MEDIAWIKI, "a dump of MediaWiki, expected text; extract its text with WikiExtractor"),
        *((data, "expected text") for data in NO_TEXT.values() if data[0] != 0x80 or data[1]),
    ],
)  # fmt: skip
@pytest.mark.parametrize("settings", [{}, {"invalid_utf8": "replace"}, {"format": "jsonl"}])
def test_what_a_name_hides_is_never_read_as_text(tmp_path, data, message, settings):
    path = write(tmp_path, {"text.txt": data}) / "text.txt"
    if data[:4] == b"PAR1" and "format" not in settings:
        message = "not a Parquet file"  # which it begins as
    if data == NO_TEXT["weights.bin"]:
        message = "not UTF-8|expected text|JSON"
        settings = {name: value for name, value in settings.items() if name != "invalid_utf8"}
    with pytest.raises(InputError, match=message):
        check_corpus(CorpusConfig(files=(str(path),), **settings))


@pytest.mark.parametrize("name", ["wiki.xml", "wiki.xml.bz2", "wiki.zip"])
def test_a_dump_of_mediawiki_is_not_read_with_its_markup(tmp_path, name):
    packed = {"wiki.xml.bz2": bz2.compress(MEDIAWIKI), "wiki.zip": zipped({"wiki.xml": MEDIAWIKI})}
    write(tmp_path, {name: packed.get(name, MEDIAWIKI)})
    for path in (tmp_path, tmp_path / name):
        with pytest.raises(InputError, match="extract its text with WikiExtractor"):
            check_corpus(CorpusConfig(files=(str(path),)))


def test_a_data_set_that_was_saved_as_arrow_is_not_left_out_in_silence(tmp_path):
    write(tmp_path, {"train/data-00000-of-00001.arrow": arrow_stream(), "a.txt": b"One.\n"})
    with pytest.raises(InputError, match="got an Arrow stream, expected text; save it as Parquet"):
        list_corpus(CorpusConfig(files=(str(tmp_path),)))


def test_what_lies_beside_text_is_left_out_named_and_counted(tmp_path, capsys):
    text = {name: text.encode() for name, text in TEXTS.items()}
    write(tmp_path, {**text, **NO_TEXT, **HIDDEN, "notes.rst": b"Five.\n"})
    config = CorpusConfig(files=(str(tmp_path),))
    corpus = list_corpus(config)
    assert {Path(file.path).name for file in corpus.files} == {"a.txt", "b.txt", "notes.rst"}
    counts = {reason: len(names) for reason, names in corpus.left_out.items()}
    assert counts == {"hidden files": len(HIDDEN), "files that are no text": len(NO_TEXT)}
    check_corpus(config)
    note = capsys.readouterr().out
    assert "left out 8 files that are no text: " in note
    assert f"{tmp_path}/base.sqlite" in note
    assert "left out 6 hidden files: " in note
    globbed = list_corpus(CorpusConfig(files=(f"{tmp_path}/*",)))
    assert globbed.left_out.keys() == {"files that are no text"}


def test_a_file_that_is_named_itself_is_read_or_refused(tmp_path):
    write(tmp_path, {".hidden.txt": b"One.\n", **NO_TEXT})
    assert documents_in(tmp_path / ".hidden.txt") == [["One."]]
    path = str(tmp_path / "paper.pdf")
    assert [file.path for file in find_corpus_files(CorpusConfig(files=(path,)))] == [path]
    with pytest.raises(InputError, match="a PDF document, expected text"):
        check_corpus(CorpusConfig(files=(path,)))


def test_data_in_a_form_that_is_not_read_is_not_left_out_in_silence(tmp_path):
    write(tmp_path, {"a.txt": b"One.\n", "all.7z": b"7z\xbc\xaf\x27\x1c\0\4"})
    with pytest.raises(InputError, match=r"all\.7z: got a 7z archive, expected text; unpack it"):
        list_corpus(CorpusConfig(files=(str(tmp_path),)))


def test_a_folder_without_text_is_refused_with_what_it_holds(tmp_path):
    write(tmp_path, NO_TEXT)
    with pytest.raises(InputError, match="got no text, expected some; left out 8 files that are"):
        list_corpus(CorpusConfig(files=(str(tmp_path),)))


def test_a_folder_of_a_dataset_gives_its_parquet_files(tmp_path):
    write(tmp_path, {"README.md": b"# Data", ".gitattributes": b"*", "data/x": b""})
    pyarrow.parquet.write_table(pyarrow.table({"text": ["One."]}), tmp_path / "data/t.parquet")
    config = CorpusConfig(files=(str(tmp_path),), format="parquet")
    assert documents_in(tmp_path, format="parquet") == [["One."]]
    assert list_corpus(config).left_out.keys() == {"hidden files", "files that are not Parquet"}


@pytest.mark.parametrize("end", ["\r", "\u2028", "\u2029", "\x85"])
@pytest.mark.parametrize("suffix", ["txt", "gz", "zip"])
def test_other_line_ends_are_line_ends(tmp_path, end, suffix):
    data = end.join(["One é.", "Two.", "", "Three."] * 2).encode()
    packed = {"txt": data, "gz": gzip.compress(data), "zip": zipped({"a.txt": data})}
    path = write(tmp_path, {f"text.{suffix}": packed[suffix]}) / f"text.{suffix}"
    expected = [["One é.", "Two."], ["Three.", "One é.", "Two."], ["Three."]]
    assert documents_in(path) == expected
    if suffix == "txt":
        for bounds in itertools.pairwise([*range(0, len(data), 1), len(data)]):
            parts = list(read_documents(FileRange(str(path), *bounds), CorpusConfig()))
            assert all(part in expected for part in parts)
        config = CorpusConfig()
        for cut in range(1, len(data)):
            ranges = (FileRange(str(path), 0, cut), FileRange(str(path), cut, len(data)))
            assert [d for part in ranges for d in read_documents(part, config)] == expected


def test_long_texts_with_other_line_ends_are_the_same_text(tmp_path):
    lines = [f"Line {number} é." for number in range(30_000)]
    for end in ("\r", "\u2029"):
        path = write(tmp_path, {"t.txt": end.join(lines).encode()}) / "t.txt"
        assert documents_in(path, split_bytes=100_000) == [lines]


def test_rows_with_carriage_returns_alone_are_rows(tmp_path):
    path = write(tmp_path, {"r.jsonl": b'{"text": "One."}\r{"text": "Two."}\r'}) / "r.jsonl"
    assert documents_in(path, format="jsonl") == [["One."], ["Two."]]


@pytest.mark.parametrize("line", ["\u200b", "\ufeff", " \u200b\u00a0\u2060 "])
def test_a_line_of_nothing_visible_is_blank(tmp_path, line):
    path = write(tmp_path, {"t.txt": f"One.\n{line}\nTwo\u200bx.\n".encode()}) / "t.txt"
    assert documents_in(path) == [["One."], ["Two\u200bx."]]


def test_short_documents_are_named_where_whole_files_may_be_meant(tmp_path, capsys):
    for number in range(3):
        write(tmp_path, {f"novel{number}.txt": b"A short paragraph.\nOf a novel.\n\n" * 40})
    config = CorpusConfig(files=(str(tmp_path),), format="running_text")
    check_corpus(config)
    note = capsys.readouterr().out
    assert "120 documents of 29 characters on average, since a blank line ends" in note
    assert "corpus.documents=file they would be 3" in note
    check_corpus(CorpusConfig(files=(str(tmp_path),), documents="file"))
    write(tmp_path, {"novel0.txt": b"A long document goes on. " * 400})
    check_corpus(CorpusConfig(files=(str(tmp_path / "novel0.txt"),)))
    assert not capsys.readouterr().out


def test_long_paragraphs_of_running_text_are_named_too(tmp_path, capsys):
    paragraph = b"He walked on through the rain. " * 25 + b"\n\n"
    path = write(tmp_path, {"novel.txt": paragraph * 20}) / "novel.txt"
    check_corpus(CorpusConfig(files=(str(path),), format="running_text"))
    assert "20 documents of 774 characters on average" in capsys.readouterr().out
    check_corpus(CorpusConfig(files=(str(path),)))
    assert not capsys.readouterr().out


def test_a_corpus_of_one_document_is_named(tmp_path, capsys):
    path = write(tmp_path, {"t.txt": b"A sentence.\n" * 60}) / "t.txt"
    check_corpus(CorpusConfig(files=(str(path),)))
    assert "all 60 lines are one document" in capsys.readouterr().out
