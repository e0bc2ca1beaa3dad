"""Readers: files of text to documents, a document being a list of sentences."""

import dataclasses
import glob
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal

from albert_core.errors import InputError
from albert_core.runs.files import fingerprint, sha256_of_file

CorpusFormat = Literal["sentences", "running_text", "wikiextractor"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class CorpusConfig:
    """Where the text is and how it is laid out.

    Attributes:
        files: Files, folders (read recursively) or globs of UTF-8 text.
        format: `sentences`: one sentence a line. `running_text`: lines are joined and split
            into sentences. `wikiextractor`: running text in `<doc ...>` ... `</doc>` blocks.
        documents: What ends a document of the first two formats: a `blank_line`, or only the
            end of the `file`. The end of a file always ends a document (deviates from the
            original, where it does not).
        language: Language of the text, an ISO 639 code, for sentence splitting.
    """

    files: tuple[str, ...] = ()
    format: CorpusFormat = "sentences"
    documents: Literal["blank_line", "file"] = "blank_line"
    language: str = "en"


def find_corpus_files(config: CorpusConfig) -> list[Path]:
    """Return the corpus's files, sorted and without repetition.

    Raises:
        InputError: A pattern matches no file, or all files together are empty.
    """
    if not config.files:
        raise InputError(
            "corpus.files: got nothing; expected files, folders or globs of text, for example "
            "--corpus 'folder/*.txt'"
        )
    files = sorted({path for pattern in config.files for path in _matches(pattern)})
    if not any(path.stat().st_size for path in files):
        raise InputError(f"corpus.files {', '.join(config.files)}: {len(files)} files, all empty")
    return files


def _matches(pattern: str) -> list[Path]:
    named = Path(pattern)
    candidates = (
        named.rglob("*") if named.is_dir() else map(Path, glob.glob(pattern, recursive=True))
    )
    files = [path.absolute() for path in candidates if path.is_file()]
    if not files:
        raise InputError(
            f"corpus.files {pattern!r}: no file matches; expected a file, a folder or a glob "
            f"(read from {Path.cwd()})"
        )
    return files


def corpus_fingerprint(config: CorpusConfig) -> str:
    """Return a hash of what will be read: the files' bytes and how they are read."""
    settings = dataclasses.asdict(config) | {"files": []}
    contents = [sha256_of_file(path) for path in find_corpus_files(config)]
    return fingerprint({"settings": settings, "contents": contents})


def check_utf8(config: CorpusConfig) -> None:
    """Read the corpus once, to refuse it before work is spent on it.

    Raises:
        InputError: A file is not UTF-8; the message names the byte.
    """
    for path in find_corpus_files(config):
        for _ in _utf8_lines(path):
            pass


def read_documents(path: Path, config: CorpusConfig) -> Iterator[list[str]]:
    """Yield the documents of one file, each a list of sentences as they stand in the text.

    Raises:
        InputError: The file is not UTF-8; the message names the byte.
    """
    lines = _utf8_lines(path)
    if config.format == "wikiextractor":
        groups = _wikiextractor_articles(lines)
    elif config.documents == "file":
        groups = iter([[line for line in lines if line]])
    else:
        groups = _groups_between_blank_lines(lines)
    for group in groups:
        sentences = (
            group if config.format == "sentences" else split_sentences(group, config.language)
        )
        if sentences:
            yield sentences


def _utf8_lines(path: Path) -> Iterator[str]:
    """Yield stripped lines: without line ends, byte order mark and outer white space."""
    offset = 0
    with path.open("rb") as file:
        for raw in file:
            try:
                line = raw.decode("utf-8")
            except UnicodeDecodeError as error:
                raise InputError(
                    f"{path}: not UTF-8 at byte {offset + error.start}; convert the file, for "
                    "example with iconv"
                ) from error
            yield (line.removeprefix("\ufeff") if offset == 0 else line).strip()
            offset += len(raw)


def _groups_between_blank_lines(lines: Iterable[str]) -> Iterator[list[str]]:
    group: list[str] = []
    for line in lines:
        if line:
            group.append(line)
        elif group:
            yield group
            group = []
    if group:
        yield group


_DOC_START = re.compile(r"<doc\b[^>]*>$")


def _wikiextractor_articles(lines: Iterable[str]) -> Iterator[list[str]]:
    """Yield the paragraphs of each article, without the title that repeats as its first line."""
    article: list[str] = []
    for line in lines:
        if _DOC_START.match(line):
            article = []
        elif line == "</doc>":
            yield article[1:]
            article = []
        elif line:
            article.append(line)


def split_sentences(lines: list[str], language: str) -> list[str]:
    """Split the lines of a document into sentences; a sentence may span lines."""
    import sentencex

    sentences = sentencex.segment(language, " ".join(lines))
    return [stripped for sentence in sentences if (stripped := sentence.strip())]
