"""Without a setting the format of a corpus is found, said, and the same as if it were set."""

import gzip
import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest

from albert_core.corpus import (
    CorpusConfig,
    ReadCounts,
    check_corpus,
    corpus_documents,
    corpus_fingerprint,
    corpus_splits,
    list_corpus,
    read_documents,
    resolve_format,
)
from albert_core.errors import InputError

PLAIN = "It rained.\nWe stayed in.\n\nThe sun came. We left.\n"
ROWS = "".join(json.dumps({"text": text}) + "\n" for text in ("It rained. We left.", "Sun."))
ARTICLE = (
    '<doc id="1" url="https://example.org/1" title="Rain">\nRain\n\nIt rained. We left.\n</doc>\n'
)


def parquet(path: Path) -> None:
    table = pyarrow.table({"text": ["It rained. We left.", "Sun."]})
    pyarrow.parquet.write_table(table, path)


def zipped(path: Path, member: str, text: str) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(member, text)


FILES: dict[str, tuple[str, Callable[[Path], object]]] = {
    "a.txt": ("sentences", lambda path: path.write_text(PLAIN)),
    "a.json": ("sentences", lambda path: path.write_text(PLAIN)),
    "brace.txt": ("sentences", lambda path: path.write_text("{curly}\nText.\n")),
    "doc.txt": ("sentences", lambda path: path.write_text("<doc> is a tag.\n")),
    "empty.txt": ("sentences", lambda path: path.write_text("\n\nOne.\n")),
    "a.jsonl": ("jsonl", lambda path: path.write_text(ROWS)),
    "a.NDJSON": ("jsonl", lambda path: path.write_text(ROWS)),
    "b.json": ("jsonl", lambda path: path.write_text(ROWS)),
    "rows.txt": ("jsonl", lambda path: path.write_text("\ufeff\n" + ROWS)),
    "long.txt": (
        "jsonl",
        lambda path: path.write_text(json.dumps({"text": "It rained. " * 9999}) + "\n"),
    ),
    "a.jsonl.gz": ("jsonl", lambda path: path.write_bytes(gzip.compress(ROWS.encode()))),
    "b.gz": ("jsonl", lambda path: path.write_bytes(gzip.compress(ROWS.encode()))),
    "a.zip": ("jsonl", lambda path: zipped(path, "deep/a.jsonl", ROWS)),
    "a.parquet": ("parquet", parquet),
    "b.data": ("parquet", parquet),
    "wiki_00": ("wikiextractor", lambda path: path.write_text(ARTICLE)),
    "wiki.zip": ("wikiextractor", lambda path: zipped(path, "AA/wiki_00", ARTICLE)),
}


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("is_named", [True, False])
def test_the_format_of_files_is_found_and_read_as_if_it_were_set(
    file: str, is_named: bool, tmp_path: Path
) -> None:
    expected, write = FILES[file]
    write(tmp_path / file)
    files = (str(tmp_path / file if is_named else tmp_path),)
    config, given = CorpusConfig(files=files), CorpusConfig(files=files, format=expected)
    assert resolve_format(config) == given
    assert corpus_fingerprint(config) == corpus_fingerprint(given)
    assert corpus_splits(config) == corpus_splits(given)
    documents = list(corpus_documents(given))
    assert documents
    assert list(corpus_documents(config)) == documents
    assert list(read_documents(tmp_path / file, config)) == documents
    said: list[str] = []
    assert check_corpus(config, say=said.append) == given
    formats = [line for line in said if "corpus.format" in line]
    if expected == "sentences":
        assert not formats  # as ever
    else:
        assert len(formats) == 1
        assert formats[0].endswith(f"(corpus.format {expected})")


def test_the_fingerprint_of_plain_text_is_that_of_earlier_versions(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(PLAIN)
    recorded = "9296a6493f380165422bd3cc3de0e7af27e0471c0f0c68edb8d31dc2ce9113ad"
    assert corpus_fingerprint(CorpusConfig(files=(str(tmp_path),))) == recorded


def test_what_describes_a_data_set_is_left_out_beside_its_files(tmp_path: Path) -> None:
    for name in ("README.md", "LICENSE", "dataset_infos.json"):
        (tmp_path / name).write_text('{"about":\n "it"}')
    (tmp_path / "a.jsonl").write_text(ROWS)
    corpus = list_corpus(CorpusConfig(files=(str(tmp_path),)))
    assert (corpus.format, [Path(file.path).name for file in corpus.files]) == (
        "jsonl",
        ["a.jsonl"],
    )
    assert "left out 3 descriptions of data: " in corpus.left_out_note
    (tmp_path / "a.jsonl").unlink()
    (tmp_path / "a.txt").write_text(PLAIN)
    corpus = list_corpus(CorpusConfig(files=(str(tmp_path),)))
    assert (corpus.format, len(corpus.files)) == ("sentences", 4)  # as ever


def test_a_description_in_one_line_is_no_other_format(tmp_path: Path) -> None:
    (tmp_path / "dataset_infos.json").write_text('{"default": {"features": {}}}')
    parquet(tmp_path / "a.parquet")
    corpus = list_corpus(CorpusConfig(files=(str(tmp_path),)))
    assert (corpus.format, len(corpus.files)) == ("parquet", 1)


def test_json_lines_are_data_whatever_their_name(tmp_path: Path) -> None:
    for name in ("state.jsonl", "readme.jsonl.gz"):
        write = gzip.compress if name.endswith(".gz") else bytes
        (tmp_path / name).write_bytes(write(ROWS.encode()))
    corpus = list_corpus(CorpusConfig(files=(str(tmp_path),), format="jsonl"))
    assert len(corpus.files) == 2


def test_files_of_several_formats_are_refused_in_a_line(tmp_path: Path) -> None:
    for name in ("a.txt", "b.txt", "c.txt", "README.md"):
        (tmp_path / name).write_text(PLAIN)
    (tmp_path / "d.jsonl").write_text(ROWS)
    message = (
        r"got JSON lines \(1: d\.jsonl\) and plain text, a sentence a line \(3: a\.txt, b\.txt, "
        r"\.\.\.\), expected files of one format; name those of one, or set corpus\.format"
    )
    for use in (list_corpus, corpus_fingerprint, check_corpus, corpus_splits):
        with pytest.raises(InputError, match=message) as refusal:
            use(CorpusConfig(files=(str(tmp_path),)))
        assert "\n" not in str(refusal.value)
    named = (str(tmp_path / "README.md"), str(tmp_path / "d.jsonl"))
    with pytest.raises(InputError, match=r"\(1: README\.md\), expected files of one format"):
        list_corpus(CorpusConfig(files=named))


@pytest.mark.parametrize("text", ['[{"text": "One."}]', '{\n "text": "One."\n}', "{"])
def test_json_of_another_form_is_refused_with_the_way_to_lines(text: str, tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(text)
    with pytest.raises(InputError, match=r"a\.json: got JSON of several lines or a list, .*jq -c"):
        list_corpus(CorpusConfig(files=(str(path),)))
    assert check_corpus(CorpusConfig(files=(str(path),), format="sentences"))


def test_what_is_set_wins_and_is_told_where_a_file_begins_as_another(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(PLAIN)
    (tmp_path / "b.jsonl").write_text(ROWS)
    config = CorpusConfig(files=(str(tmp_path),), format="running_text")
    said: list[str] = []
    assert check_corpus(config, say=said.append) == config
    assert said == [
        "corpus: read as running text, since corpus.format is running_text, although "
        f"{tmp_path}/b.jsonl begins as JSON lines"
    ]
    assert ["It rained.", "We stayed in."] in list(corpus_documents(config))


def test_a_table_is_told_to_be_read_as_text(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id,text\n1,One.\n")
    said: list[str] = []
    assert check_corpus(CorpusConfig(files=(str(tmp_path),)), say=said.append).format == "sentences"
    (note,) = said
    assert f"{tmp_path}/a.csv: a table, of which every line is read as text" in note
    assert "as JSON lines or Parquet" in note


def test_marked_up_text_is_told_to_be_read_with_its_tags(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text("<html><body>One.</body></html>\n")
    (tmp_path / "b.xml.gz").write_bytes(gzip.compress(b"<book>Two.</book>\n"))
    said: list[str] = []
    check_corpus(CorpusConfig(files=(str(tmp_path),)), say=said.append)
    (note,) = said
    assert f"{tmp_path}/a.html and others: marked-up text, of which the tags are read" in note


@pytest.mark.parametrize("name", ["README.md", "repo-main/LICENSE"])
def test_what_describes_a_data_set_in_an_archive_is_no_text_of_it(
    name: str, tmp_path: Path
) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(name, "All about these data.\n")
        archive.writestr("repo-main/data.jsonl", ROWS)
    config = check_corpus(CorpusConfig(files=(str(path),)), say=lambda line: None)
    counts = ReadCounts()
    assert list(corpus_documents(config, counts)) == [["It rained.", "We left."], ["Sun."]]
    assert counts.num_left_out_members == 1
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(name, "All about these data.\n")
    assert list(corpus_documents(CorpusConfig(files=(str(path),)))) == [["All about these data."]]


def test_keys_that_are_not_there_are_named(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"content": "One."}\n')
    config = CorpusConfig(files=(str(tmp_path),))
    with pytest.raises(InputError, match=r"under 'text' .*set corpus\.text_field"):
        check_corpus(config)


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({"format": "jsonl", "documents": "file"}, "documents"),
        ({"format": "wikiextractor", "documents": "file"}, "documents"),
        ({"format": "running_text", "text_field": "body"}, "text_field"),
        ({"format": "wikiextractor", "text_field": "body"}, "text_field"),
    ],
)
def test_settings_of_other_formats_are_refused(settings, name):
    said = rf"corpus\.{name}: got .* with the format {settings['format']}"
    with pytest.raises(InputError, match=said):
        CorpusConfig(**settings)


def test_settings_of_other_formats_than_the_one_found_are_refused(tmp_path):
    (tmp_path / "text.jsonl").write_text('{"text": "One."}\n')
    config = CorpusConfig(files=(str(tmp_path),), documents="file")
    with pytest.raises(InputError, match=r"corpus\.documents: got 'file' with the format jsonl"):
        check_corpus(config)
