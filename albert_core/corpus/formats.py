"""Find the format of a corpus by the names and the first bytes of its files."""

import contextlib
import dataclasses
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

from albert_core.corpus.config import CorpusConfig, CorpusFormat
from albert_core.corpus.containers import open_streams
from albert_core.corpus.counts import ReadCounts
from albert_core.corpus.file_names import COMPRESSED_SUFFIXES, FileRange, is_stored_as_text
from albert_core.errors import InputError
from albert_core.files.compression import damage_errors
from albert_core.storage import StoredFile, is_remote

TITLES: Mapping[CorpusFormat, str] = {
    "sentences": "plain text, a sentence a line",
    "running_text": "running text",
    "wikiextractor": "WikiExtractor's articles",
    "jsonl": "JSON lines",
    "parquet": "Parquet",
}
_ENDINGS: Mapping[str, CorpusFormat] = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
}
# Beside the files of a data set, as Hugging Face's hub has them.
_DESCRIPTIONS = frozenset(
    {"readme", "license", "licence", "dataset_info", "dataset_infos", "dataset_dict", "state"}
)
_PLAIN: CorpusFormat = "sentences"
_HEAD_BYTES = 1 << 16
_ARTICLE = re.compile(rb'<doc\b[^>]*\b(?:id|url|title)="[^>]*>\s*')
_NUM_NAMED = 2  # files of each format in a message


@dataclasses.dataclass(frozen=True)
class FoundFormat:
    """The format that the files of a corpus have, and a line that says so."""

    format: CorpusFormat
    note: str


def find_format(files: Sequence[StoredFile], *, named: Sequence[str]) -> FoundFormat:
    """Find the one format that all files of a corpus have.

    A file is opened unless its ending tells the format (`find_file_format`). Plain text is taken
    for `sentences`, since its lines do not show whether each is one sentence. Files that are empty
    or cannot be read as text do not count. If the others have several formats, files that describe
    a data set (`is_description`) do not count either, unless `named` has their own path. If no
    file counts, the format is `sentences`.

    Args:
        files: The files of a corpus.
        named: The patterns of the corpus, among them the paths of files named without a wildcard.

    Returns:
        The format, and a line that says what was found.

    Raises:
        InputError: The files that count have several formats; or a file named .json, which is no
            description, begins as JSON and has no object in its first line.
        ServiceError: The storage failed.
    """
    formats = {file.path: file_format for file in files if (file_format := find_file_format(file))}
    if len(set(formats.values())) > 1:
        named_paths = {path if is_remote(path) else str(Path(path).absolute()) for path in named}
        formats = {
            path: file_format
            for path, file_format in formats.items()
            if path in named_paths or not is_description(path)
        }
    by_format: dict[CorpusFormat, list[str]] = {}
    for path, file_format in formats.items():
        by_format.setdefault(file_format, []).append(path)
    if len(by_format) > 1:
        mixture = " and ".join(
            f"{TITLES[file_format]} ({_named(paths)})"
            for file_format, paths in sorted(by_format.items())
        )
        raise InputError(
            f"corpus.files: got {mixture}, expected files of one format; name those of one, or set "
            "corpus.format for all"
        )
    only = next(iter(by_format), _PLAIN)
    return FoundFormat(only, f"found {TITLES[only]} (corpus.format {only})")


def find_file_format(file: StoredFile) -> CorpusFormat | None:
    """Return the format of a file, or of the first text in an archive.

    The endings .jsonl, .ndjson and .parquet tell it, also if the ending of a compression follows.
    Otherwise the first bytes decide: those of Parquet, the tag of an article, or a first line that
    is a JSON object; any other text is `sentences`. Returns None for an empty file, and for a file
    that is damaged, encrypted or not text, which is refused when the corpus is read.

    Raises:
        InputError: It is named .json and is no description (`is_description`), begins as JSON, and
            has no object in its first line.
        ServiceError: The storage failed.
    """
    if file_format := _ENDINGS.get(find_ending(file.path)):
        return file_format
    path, head = _first_text(file)
    return _ENDINGS.get(find_ending(path)) or _format_of(path, head)


def _first_text(file: StoredFile) -> tuple[str, bytes]:
    """Return the address and the first bytes, decompressed, of the first text in a file.

    There are at most 65,536 bytes. In an archive, the address is that of the first member that is
    text and describes no data set (`is_description`), or else of the first that is text. A file
    that cannot be read as text (missing, damaged, encrypted, not text, an archive without text)
    gives its own address and no bytes: the InputError is left to whoever reads the corpus.

    Raises:
        ServiceError: The storage failed.
    """
    source = FileRange(file.path, 0, file.num_bytes)
    try:
        with (
            contextlib.nullcontext() if is_stored_as_text(file.path) else damage_errors(file.path),
            contextlib.closing(open_streams(source, CorpusConfig(), ReadCounts())) as streams,
        ):
            first = None
            for stream in streams:
                text = stream.path, stream.file.read(_HEAD_BYTES)
                if not is_description(stream.member):
                    return text
                first = first or text
    except InputError:
        first = None
    return first or (file.path, b"")


def is_description(path: str) -> bool:
    """Return whether a file describes a data set, by its name, as README.md or LICENSE.

    Files with the ending of JSON lines or Parquet are data, never descriptions.
    """
    is_named_so = PurePosixPath(path).stem.lower() in _DESCRIPTIONS
    return is_named_so and find_ending(path) not in _ENDINGS


def find_ending(path: str) -> str:
    """Return the ending of a file's name, with its dot and in lower case; empty without one.

    For a compressed file or an archive it is the ending before the last: `.jsonl` for `a.jsonl.gz`.
    """
    name = PurePosixPath(path.lower())
    return PurePosixPath(name.stem).suffix if name.suffix in COMPRESSED_SUFFIXES else name.suffix


def _format_of(path: str, head: bytes) -> CorpusFormat | None:
    """Return the format of a text by its first bytes; None if they are white space only.

    Parquet has its mark; the others are told by the first line that is not blank: an article's tag,
    or a JSON object, of which the brace is enough if the line is longer than the bytes. Any other
    text has sentences.

    Raises:
        InputError: It is named .json and is no description (`is_description`), begins as JSON, and
            has no object in its first line.
    """
    if head.startswith(b"PAR1"):
        return "parquet"
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    line, line_end, _ = text.partition(b"\n")
    if _ARTICLE.match(line):
        return "wikiextractor"
    is_cut = not line_end and len(head) == _HEAD_BYTES
    if line.startswith(b"{") and (is_cut or _is_object(line)):
        return "jsonl"
    if find_ending(path) == ".json" and text[:1] in (b"{", b"[") and not is_description(path):
        raise InputError(
            f"corpus.files {path}: got JSON of several lines or a list, expected an object a line; "
            "write it so, for example with `jq -c '.[]'`, move it away, or set corpus.format"
        )
    return _PLAIN if text else None


def _is_object(line: bytes) -> bool:
    """Return whether a line is a JSON object."""
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False


def _named(paths: Sequence[str]) -> str:
    """Return the number of files and the names of the first two, for a message."""
    names = ", ".join(PurePosixPath(path).name for path in paths[:_NUM_NAMED])
    ellipsis = ", ..." if len(paths) > _NUM_NAMED else ""
    return f"{len(paths):,}: {names}{ellipsis}"
