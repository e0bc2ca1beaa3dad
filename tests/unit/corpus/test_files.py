"""Corpora: which files are read, how they fall into documents, what is refused and why."""

import dataclasses
from pathlib import Path

import pytest

from albert_core.corpus import (
    CorpusConfig,
    check_corpus,
    corpus_fingerprint,
    find_corpus_files,
    hash_corpus,
    read_documents,
)
from albert_core.errors import InputError

ARTICLES = """<doc id="1" url="https://example.org/1" title="Tides">
Tides

The sea rises twice a day. The moon
pulls it.
It falls again.

</doc>
<doc id="2" url="https://example.org/2" title="Empty">
Empty
</doc>
<doc id="3" url="https://example.org/3" title="Salt">
Salt

Salt is old.
</doc>
"""


def write(folder: Path, name: str, text: str | bytes) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def documents_of(path: Path, **settings: str) -> list[list[str]]:
    return list(read_documents(path, CorpusConfig(files=(str(path),), **settings)))


def found(patterns: tuple[str, ...]) -> list[Path]:
    return [Path(file.path) for file in find_corpus_files(CorpusConfig(files=patterns))]


def test_blank_lines_separate_documents_however_many(tmp_path: Path) -> None:
    path = write(tmp_path, "a.txt", "\n\nOne.\nTwo.\n\n \t\n\nThree.\n  Four. \n")
    assert documents_of(path) == [["One.", "Two."], ["Three.", "Four."]]


def test_file_may_be_one_document(tmp_path: Path) -> None:
    path = write(tmp_path, "a.txt", "One.\n\nTwo.\n\n\nThree.")
    assert documents_of(path, documents="file") == [["One.", "Two.", "Three."]]


def test_sentences_format_keeps_lines_and_running_text_splits_them(tmp_path: Path) -> None:
    path = write(tmp_path, "a.txt", "It rained. We\nstayed in.\n\nThe sun came. We left.\n")
    assert documents_of(path) == [
        ["It rained. We", "stayed in."],
        ["The sun came. We left."],
    ]
    assert documents_of(path, format="running_text") == [
        ["It rained.", "We stayed in."],
        ["The sun came.", "We left."],
    ]


def test_articles_lose_their_title_and_empty_ones_vanish(tmp_path: Path) -> None:
    path = write(tmp_path, "wiki_00", ARTICLES)
    assert documents_of(path, format="wikiextractor") == [
        ["The sea rises twice a day.", "The moon pulls it.", "It falls again."],
        ["Salt is old."],
    ]


@pytest.mark.parametrize("text", [b"\xef\xbb\xbfOne.\nTwo.\n", b"One.\r\nTwo.\r\n", b"One.\nTwo."])
def test_byte_order_mark_and_line_ends_are_no_text(text: bytes, tmp_path: Path) -> None:
    assert documents_of(write(tmp_path, "a.txt", text)) == [["One.", "Two."]]


def test_files_folders_and_globs_are_found_once_each(tmp_path: Path) -> None:
    a, b = write(tmp_path, "a.txt", "A."), write(tmp_path, "deep/down/b.txt", "B.")
    c = write(tmp_path, "c.text", "C.")
    patterns = (str(a), str(tmp_path), f"{tmp_path}/*.text", f"{tmp_path}/**/b.txt")
    assert found(patterns) == [a, c, b]
    assert found(patterns[3:]) == [b]


@pytest.mark.parametrize("pattern", ["missing.txt", "no/folder", "*.nothing"])
def test_pattern_without_a_file_is_refused(
    pattern: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, "a.txt", "A.")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r"no file matches.*read from ") as refusal:
        find_corpus_files(CorpusConfig(files=("a.txt", pattern)))
    assert repr(pattern) in str(refusal.value)
    assert str(tmp_path) in str(refusal.value)


def test_nothing_to_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"corpus\.files: got nothing"):
        find_corpus_files(CorpusConfig())
    write(tmp_path, "a.txt", "")
    write(tmp_path, "b.txt", "")
    with pytest.raises(InputError, match="2 files, all empty"):
        find_corpus_files(CorpusConfig(files=(str(tmp_path),)))


@pytest.mark.parametrize(
    ("text", "offset"),
    [
        (b"caf\xe9\n", 3),
        (b"fine\nna\xefve\n", 7),
        (b"\xef\xbb\xbfone\n\xff", 7),
        (b"\xef\xbb\xbfcaf\xe9\n", 6),
        (b"cut\xe2\x82", 3),
    ],
)
def test_other_encodings_are_refused_at_their_first_byte(
    text: bytes, offset: int, tmp_path: Path
) -> None:
    path = write(tmp_path, "latin.txt", text)
    with pytest.raises(InputError, match=rf"latin\.txt: not UTF-8 at byte {offset};"):
        documents_of(path)
    with pytest.raises(InputError, match=rf"at byte {offset};"):
        check_corpus(CorpusConfig(files=(str(path),)))


@pytest.mark.parametrize("code", ["en", "zh", "ko", "th", "ger", "yue", "mul", "tlh"])
def test_codes_of_languages_are_taken(code: str) -> None:
    assert CorpusConfig(language=code).language == code


@pytest.mark.parametrize(
    "code", ["English", "EN", "en-US", "pt_BR", "", "xx", "zz", "eng ", "Deutsch", "ger-x"]
)
def test_what_is_no_code_of_a_language_is_refused(code: str) -> None:
    with pytest.raises(InputError, match=r"corpus\.language: got .* expected the ISO 639 code"):
        CorpusConfig(language=code)


def test_fingerprint_follows_bytes_and_settings_not_names_or_order(tmp_path: Path) -> None:
    a, b = write(tmp_path, "x/a.txt", "One.\n"), write(tmp_path, "x/b.txt", "Two.\n")
    config = CorpusConfig(files=(str(a), str(b)))
    original = corpus_fingerprint(config)
    assert corpus_fingerprint(CorpusConfig(files=(str(b), str(a)))) == original
    assert corpus_fingerprint(CorpusConfig(files=(str(tmp_path),))) == original
    assert corpus_fingerprint(dataclasses.replace(config, format="running_text")) != original
    assert corpus_fingerprint(CorpusConfig(files=(str(a),))) != original
    hashes = hash_corpus(config)
    assert set(hashes) == {str(a), str(b)}
    b.write_text("Twp.\n")
    assert corpus_fingerprint(config, hashes) == original
    assert corpus_fingerprint(config) != original
