"""Read a corpus before work is spent on it: refuse what is wrong, and say what is notable."""

import collections
import contextlib
import dataclasses
import sys
from collections.abc import Callable

from albert_core.corpus.articles import read_articles
from albert_core.corpus.config import CorpusConfig
from albert_core.corpus.containers import open_streams
from albert_core.corpus.counts import ReadCounts
from albert_core.corpus.file_names import FileRange, is_stored_as_text
from albert_core.corpus.files import CorpusFiles, list_corpus
from albert_core.corpus.formats import TITLES, find_ending, find_file_format
from albert_core.corpus.lines import Lines, read_lines
from albert_core.corpus.reading import read_documents
from albert_core.errors import InputError
from albert_core.files.compression import damage_errors
from albert_core.storage import is_remote

_CHECKED_BYTES = 1 << 30  # a larger corpus is checked at the beginning of its files
_CHECKED_BEGINNING = 16 << 20
# Shorter documents, on average, may be the paragraphs of longer ones; by format, since lines of one
# sentence were prepared on purpose, and paragraphs of novels have up to 900 characters.
_SHORT_CHARACTERS = {"sentences": 600, "running_text": 1000}
# What files with these endings are, and what to do with them.
_NO_PLAIN_TEXT = {
    (".csv", ".tsv"): (
        "a table, of which every line is read as text, header and separators, too; save the column "
        "of its texts as JSON lines or Parquet"
    ),
    (".html", ".htm", ".xhtml", ".xml"): (
        "marked-up text, of which the tags are read, too; save its text alone"
    ),
}
_FEW_DOCUMENTS = 10  # in a file
_MANY_LINES = 50


@dataclasses.dataclass
class _DocumentCounts:
    """Counts of what was read: streams of text, documents, lines, characters and articles.

    Blank lines are not counted. `short_characters` is not a count: documents of under so many
    characters on average may be paragraphs.
    """

    short_characters: int
    num_streams: int = 0
    num_documents: int = 0
    num_lines: int = 0
    num_characters: int = 0
    num_articles: int = 0

    @property
    def note(self) -> str:
        """What is notable about where documents end; empty if that is nothing.

        Either all lines, 50 or more, are one document; or there are ten documents or more a stream
        of under `short_characters` on average, so that paragraphs may be taken for documents.
        """
        if self.num_documents == 1 and self.num_lines >= _MANY_LINES:
            return (
                f"all {self.num_lines:,} lines are one document, since no blank line ends any; "
                "none of it can be held out"
            )
        length = self.num_characters / max(1, self.num_documents)
        is_cut = self.num_documents >= _FEW_DOCUMENTS * max(1, self.num_streams)
        if not is_cut or length >= self.short_characters:
            return ""
        return (
            f"{self.num_documents:,} documents of {length:,.0f} characters on average, since a "
            f"blank line ends a document; with corpus.documents=file they would be "
            f"{self.num_streams:,}, which is right where blank lines stand between paragraphs"
        )


def check_corpus(config: CorpusConfig, *, say: Callable[[str], None] = print) -> CorpusConfig:
    """Read a corpus once and refuse it if it is wrong; say what is notable about it.

    In a corpus above 1 GiB, and in files in buckets, only the first 16 MiB of each file (or of each
    member of an archive) are read; in jsonl and Parquet only the first document of every file.
    Notable are a format that was found and is not plain text, or one that is set although a file
    begins as another; tables and marked-up text, which are read as plain text; files and members of
    archives, and lines outside of articles, that were left out; and, where blank lines end
    documents, documents of an unlikely length. Nothing is reported before everything is read.

    Args:
        config: The corpus.
        say: Called with a line about each notable thing; prints it to standard output by default.

    Returns:
        The corpus with its format, set or found.

    Raises:
        InputError: No pattern is given, or one matches no file; all files are empty; a file is
            damaged, not UTF-8, or not what the settings say; no format is set and the files have
            several; or the format is WikiExtractor's, and there is text but no article.
        ServiceError: The storage of a file failed.
    """
    corpus = list_corpus(config)
    notes = [_note_on_format(config, corpus)]
    config = dataclasses.replace(config, format=corpus.format)
    is_small = sum(file.num_bytes for file in corpus.files) <= _CHECKED_BYTES
    reading = ReadCounts()
    documents = _DocumentCounts(_SHORT_CHARACTERS.get(corpus.format, 0))
    for file in corpus.files:
        source = FileRange(file.path, 0, file.num_bytes)
        if config.format in ("jsonl", "parquet"):
            next(read_documents(source, config, reading), None)
            continue
        is_whole = is_small and not is_remote(file.path)
        end = sys.maxsize if is_whole else _CHECKED_BEGINNING
        _check_lines(source, config, end, reading, documents)
    notes += [*_notes_on_endings(corpus), corpus.left_out_note]
    if reading.num_left_out_members:
        notes.append(f"left out {reading.num_left_out_members:,} files in archives, no text of it")
    if num_lines := reading.num_lines_outside_articles:
        _refuse_no_article(num_lines, documents)
        notes.append(f"left out {num_lines:,} lines outside of <doc ...> and </doc>")
    if config.format in ("sentences", "running_text") and config.documents == "blank_line":
        notes.append(documents.note)
    for note in filter(None, notes):
        say(f"corpus: {note}")
    return config


def _refuse_no_article(num_lines: int, documents: _DocumentCounts) -> None:
    """Refuse text of WikiExtractor's format without any article.

    Args:
        num_lines: Number of lines outside of articles.
        documents: What was read.

    Raises:
        InputError: There is no article.
    """
    if not documents.num_articles:
        raise InputError(
            f"corpus.format: got wikiextractor, and {num_lines:,} lines outside of <doc ...> and "
            "</doc>, with no article; expected articles, or another format, such as running_text"
        )


def _note_on_format(config: CorpusConfig, corpus: CorpusFiles) -> str:
    """Return warnings about a corpus's format; empty if there are none.

    Either it was found and is not plain text, or it is set to plain text and a file begins as
    another. Only in the second case are files opened, as `find_file_format` does; one that cannot
    be read is passed over.
    """
    if config.format is None:
        return "" if corpus.format == "sentences" else corpus.format_note
    if config.format not in _SHORT_CHARACTERS:
        return ""
    for file in corpus.files:
        file_format = None
        with contextlib.suppress(InputError):  # told when the file is read
            file_format = find_file_format(file)
        if file_format not in (None, "sentences"):
            return (
                f"read as {TITLES[config.format]}, since corpus.format is {config.format}, "
                f"although {file.path} begins as {TITLES[file_format]}"
            )
    return ""


def _notes_on_endings(corpus: CorpusFiles) -> list[str]:
    """Return a note for each kind of `_NO_PLAIN_TEXT` that is read as plain text, maybe none.

    The ending of a file's name tells it, also before that of a compression; in a format other than
    plain text there is none.
    """
    if corpus.format not in _SHORT_CHARACTERS:
        return []
    notes = []
    for endings, kind in _NO_PLAIN_TEXT.items():
        if paths := [file.path for file in corpus.files if find_ending(file.path) in endings]:
            notes.append(f"{paths[0]}{' and others' if len(paths) > 1 else ''}: {kind}")
    return notes


def _check_lines(
    source: FileRange,
    config: CorpusConfig,
    end: int,
    reading: ReadCounts,
    documents: _DocumentCounts,
) -> None:
    """Read and count the lines of a file, or of every stream in it, up to the byte `end` of it.

    Lines, characters, documents (runs of lines between blank ones) and WikiExtractor's articles are
    added to `documents`, irregularities to `reading`.

    Raises:
        InputError: The file is damaged, not UTF-8 where that is refused, or no text.
        ServiceError: The storage failed.
    """
    is_plain = is_stored_as_text(source.path)
    with contextlib.nullcontext() if is_plain else damage_errors(source.path):
        for stream in open_streams(source, config, reading):
            documents.num_streams += 1
            lines = _counted(read_lines(stream, config, reading), end, documents)
            if config.format == "wikiextractor":
                documents.num_articles += sum(1 for _ in read_articles(lines, stream, reading))
            else:
                collections.deque(lines, maxlen=0)


def _counted(lines: Lines, end: int, documents: _DocumentCounts) -> Lines:
    """Yield the lines up to the byte `end`, and add them to the counts."""
    is_between = True
    for offset, line in lines:
        if offset > end:
            return
        documents.num_documents += bool(line) and is_between
        documents.num_lines += bool(line)
        documents.num_characters += len(line)
        is_between = not line
        yield offset, line
