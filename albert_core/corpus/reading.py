"""Read documents, lists of sentences, from files of every supported format."""

import contextlib
import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from albert_core.corpus.articles import read_articles
from albert_core.corpus.config import CorpusConfig
from albert_core.corpus.containers import TextStream, open_streams
from albert_core.corpus.counts import ReadCounts
from albert_core.corpus.file_names import FileRange, is_stored_as_text
from albert_core.corpus.files import CorpusSplit, find_corpus_files, resolve_format
from albert_core.corpus.formats import find_file_format, is_description
from albert_core.corpus.lines import Lines, clean_text, read_lines, read_raw_lines, strip_line
from albert_core.corpus.sentences import bounded, split_sentences
from albert_core.errors import InputError
from albert_core.files.compression import damage_errors
from albert_core.row_formats import open_parquet
from albert_core.settings.json_values import FieldError, JsonObject, as_text, as_texts
from albert_core.storage import StoredFile, open_file

Document = list[str]


def read_documents(
    source: FileRange | str | Path, config: CorpusConfig, counts: ReadCounts | None = None
) -> Iterator[Document]:
    """Yield the documents of a file or a part of it, each a list of sentences.

    Documents without sentences are left out; sentences of over 10,000 characters are cut and
    counted. In archives of JSON lines, files that describe a data set, such as README.md, are left
    out and counted.

    Args:
        source: A whole file, or the documents that begin in a range of it. Whatever the ranges of a
            file, each document belongs to exactly one.
        config: How the file is laid out. If it sets no format, the format is found from the file;
            `sentences` if the file does not tell it.
        counts: Counts to which irregularities are added; None: they are not counted.

    Raises:
        InputError: When the place is read: the file is missing, damaged, not UTF-8, or not what the
            settings say.
        ServiceError: When it is read: the storage failed.
    """
    if not isinstance(source, FileRange):
        with open_file(str(source)) as file:
            source = FileRange(str(source), 0, file.seek(0, 2))
    if config.format is None:
        file_format = find_file_format(StoredFile(source.path, source.end))
        config = dataclasses.replace(config, format=file_format or "sentences")
    counts = counts if counts is not None else ReadCounts()
    is_plain = is_stored_as_text(source.path)
    with contextlib.nullcontext() if is_plain else damage_errors(source.path):
        for stream in open_streams(source, config, counts):
            if config.format == "jsonl" and is_description(stream.member):
                counts.num_left_out_members += 1
                continue
            for document in _documents_in_stream(stream, config, counts):
                if sentences := list(bounded(document, counts=counts)):
                    yield sentences


def _documents_in_stream(
    source: TextStream, config: CorpusConfig, counts: ReadCounts
) -> Iterator[Document]:
    """Return the documents of a stream by the corpus's format, from texts in rows or from lines.

    Nothing is read before the first document is asked for; irregularities are added to `counts`.
    """
    if config.format in ("jsonl", "parquet"):
        rows = (_json_texts if config.format == "jsonl" else _parquet_texts)(source, config)
        return _documents_from_texts(rows, config, counts)
    return _documents_from_lines(source, config, counts)


def read_split(
    split: CorpusSplit, config: CorpusConfig, counts: ReadCounts | None = None
) -> Iterator[Document]:
    """Yield the documents of a split, in the order of its ranges.

    Irregularities are added to `counts`, if given.

    Raises:
        InputError: When it is read: a file is missing, damaged, not UTF-8, or not what the settings
            say.
        ServiceError: When it is read: the storage failed.
    """
    for source in split.ranges:
        yield from read_documents(source, config, counts)


def corpus_documents(config: CorpusConfig, counts: ReadCounts | None = None) -> Iterator[Document]:
    """Yield the documents of all files of a corpus, in the order of their names.

    Irregularities are added to `counts`, if given.

    Raises:
        InputError: There are no files, or files of several formats; or, when it is read, a file is
            damaged, not UTF-8, or not what the settings say.
        ServiceError: The storage failed.
    """
    config = resolve_format(config)
    for file in find_corpus_files(config):
        yield from read_documents(FileRange(file.path, 0, file.num_bytes), config, counts)


def _documents_from_lines(
    source: TextStream, config: CorpusConfig, counts: ReadCounts
) -> Iterator[Document]:
    """Yield the documents of lines: articles, the whole file, or runs between blank lines.

    In the format `sentences` each line is a sentence; in the others lines are joined and split. A
    document may come out empty. Irregularities are added to `counts`.

    Raises:
        InputError: A line is not UTF-8, and `config.invalid_utf8` is `refuse`.
    """
    lines = read_lines(source, config, counts)
    if config.format == "wikiextractor":
        groups = read_articles(lines, source, counts)
    elif config.documents == "file":
        groups = iter([[line for _, line in lines if line]])
    else:
        groups = _between_blank_lines(lines, source)
    for group in groups:
        yield group if config.format == "sentences" else split_sentences(group, config.language)


def _between_blank_lines(lines: Lines, source: TextStream) -> Iterator[list[str]]:
    """Yield the lines of each document that follows a blank line which begins in the range.

    The first document of a file follows no blank line and belongs to the range that begins at 0.
    Each is read to its end, also beyond the range.
    """
    # Every document directly follows one blank line, or the file's beginning: whatever the ranges,
    # it belongs to exactly one of them.
    group: list[str] = []
    is_in_range = source.start == 0
    for offset, line in lines:
        if line and is_in_range:
            group.append(line)
        elif line and offset >= source.end:
            return
        elif not line:
            if group:
                yield group
                group = []
            if offset >= source.end:
                return
            is_in_range = True
    if group:
        yield group


def _json_texts(source: TextStream, config: CorpusConfig) -> Iterator[Any]:
    """Yield `text_field` of the JSON object in each line that begins in the range of `source`.

    Blank lines are skipped. A null is yielded as None, and a list of texts as a list.

    Raises:
        InputError: A line is not UTF-8 or not a JSON object with that field, or the field is not a
            text, a list of texts or null.
    """
    for offset, raw in read_raw_lines(source):
        if offset >= source.end:
            return
        text = raw.removeprefix(b"\xef\xbb\xbf") if offset == 0 else raw
        if not text.strip(b"\0 \t\r\n"):
            continue
        try:
            row = json.loads(text.decode("utf-8", errors=_decode_errors(config)))
            value = JsonObject.of(row, source.path).value(config.text_field)
        except (ValueError, RecursionError) as error:
            raise InputError(
                f"{source.path}, line at byte {offset}: got {_excerpt(text)}, expected a JSON "
                f"object with the text under {config.text_field!r} ({type(error).__name__}); "
                "correct the line or set corpus.text_field"
            ) from error
        yield _checked_text(value, f"{source.path}, line at byte {offset}", config)


def _decode_errors(config: CorpusConfig) -> str:
    return "strict" if config.invalid_utf8 == "refuse" else "replace"


def _excerpt(text: bytes) -> str:
    """Return the beginning of a line for an error message."""
    return repr(text[:60].decode("utf-8", errors="replace"))


def _parquet_texts(source: TextStream, config: CorpusConfig) -> Iterator[Any]:
    """Yield the value of the column `text_field` in each row of a Parquet file; ignores the range.

    A null is yielded as None, and a list of texts as a list.

    Raises:
        InputError: It is no Parquet file, lacks the column, or a value is no text or list of texts.
    """
    table = open_parquet(source.path, source.file)
    if config.text_field not in table.names:
        raise InputError(
            f"{source.path}: got the columns {', '.join(table.names)}, expected "
            f"{config.text_field!r}; set corpus.text_field"
        )
    for number, values in table.rows([config.text_field]):
        value = values[config.text_field]
        yield _checked_text(value, f"{source.path}, row {number:,}", config)


def _checked_text(value: Any, place: str, config: CorpusConfig) -> str | list[str] | None:
    """Return a value if it is a text, a list of texts, or null, which becomes None.

    Raises:
        InputError: The value is something else; the message names `place`.
    """
    if value is None:
        return None
    try:
        read = as_texts if isinstance(value, list) else as_text
        # Halves of surrogate pairs are removed and counted later, as control characters are.
        return read(value, f"{place}: {config.text_field}", takes_halves=True)
    except FieldError as error:
        raise InputError(
            f"{error}; expected a text or a list of texts under corpus.text_field (now "
            f"{config.text_field!r})"
        ) from error


def _documents_from_texts(
    texts: Iterator[Any], config: CorpusConfig, counts: ReadCounts
) -> Iterator[Document]:
    """Yield a document for each text; a list holds its sentences, other texts are split.

    Empty texts and None are counted in `num_empty_texts` and left out. The lines of a text are
    split into sentences together. A document may come out empty.
    """
    for text in texts:
        if not text:
            counts.num_empty_texts += 1
            continue
        is_running = isinstance(text, str)
        parts = text.split("\n") if is_running else text
        lines = [line for part in parts if (line := _clean_line(part, counts))]
        yield split_sentences(lines, config.language) if is_running else lines


def _clean_line(text: str, counts: ReadCounts) -> str:
    return strip_line(clean_text(text, text.encode("utf-8", errors="replace"), counts))
