"""The files of a corpus, and its splits: the units that workers read."""

import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

from albert_core.corpus.config import CorpusConfig, CorpusFormat
from albert_core.corpus.file_names import (
    COMPRESSED_SUFFIXES,
    FileRange,
    is_hidden,
    is_stored_as_text,
)
from albert_core.corpus.formats import find_format, is_description
from albert_core.corpus.signatures import HEAD_BYTES, find_data, is_binary
from albert_core.errors import InputError
from albert_core.files.atomic import hash_json
from albert_core.processes.parallel_calls import do_in_parallel
from albert_core.storage import StoredFile, content_hash, find_files, is_remote, read_range

# Whoever names a file so means text; the readers refuse it if it is not. Others are looked into.
_TEXT_SUFFIXES = ("", ".txt", ".text", ".md", ".json", ".jsonl", ".ndjson", ".parquet")
_NUM_NAMED = 3  # examples in a message
_NUM_SPLITS = 64  # about, as long as a split's size is between the next two
_SMALLEST_SPLIT, _LARGEST_SPLIT = 4 << 20, 64 << 20


@dataclasses.dataclass(frozen=True)
class CorpusSplit:
    """A part of a corpus that one worker reads: ranges of files, or several whole files."""

    ranges: tuple[FileRange, ...]

    @property
    def num_bytes(self) -> int:
        """Bytes of the split's ranges, as the files are stored (maybe compressed)."""
        return sum(part.end - part.start for part in self.ranges)


@dataclasses.dataclass(frozen=True)
class CorpusFiles:
    """The files of a corpus.

    Attributes:
        files: The files that are read, sorted and without repetition.
        left_out: The files that are not read, sorted, by the reason.
        format: Format of the files: the one that is set, or else the one that was found.
        format_note: Text that says which format was found; empty where the format was set.
    """

    files: tuple[StoredFile, ...]
    left_out: Mapping[str, tuple[str, ...]]
    format: CorpusFormat
    format_note: str = ""

    @property
    def left_out_note(self) -> str:
        """Text naming the files that are left out, up to three for each reason; may be empty."""
        return "; ".join(
            f"left out {len(names)} {reason}: {', '.join(names[:_NUM_NAMED])}"
            + (", ..." if len(names) > _NUM_NAMED else "")
            for reason, names in self.left_out.items()
        )


def find_corpus_files(config: CorpusConfig, *, finds_format: bool = True) -> list[StoredFile]:
    """Return the corpus's files that are read, sorted by address, each once.

    Args:
        config: The corpus.
        finds_format: Whether to look for the format where none is set, which opens all files whose
            ending does not tell it; if not, files of any format count.

    Raises:
        InputError: No pattern is given or one matches no file, all files together are empty or left
            out, one holds text in a form that is not read, or a format is looked for and the files
            have several.
        ServiceError: The storage failed.
    """
    return list((list_corpus if finds_format else _list_files)(config).files)


def list_corpus(config: CorpusConfig) -> CorpusFiles:
    """List a corpus's files: those to be read, and those left out.

    From a folder or glob, hidden files and files that are not text are left out; files with an
    unknown ending are opened to decide. A file that is named itself is always read; a file that one
    pattern leaves out is read if another pattern asks for it. Where no format is set, all files are
    opened to find it, except those whose ending tells it.

    Raises:
        InputError: No pattern is given or one matches no file, all files together are empty or left
            out, one holds text in a form that is not read, or no format is set and the files have
            several.
        ServiceError: The storage failed.
    """
    if config.format is not None:
        return _list_files(config)
    detected = find_format(_list_files(config).files, named=config.files)
    corpus = _list_files(dataclasses.replace(config, format=detected.format))
    return dataclasses.replace(corpus, format_note=detected.note)


def resolve_format(config: CorpusConfig) -> CorpusConfig:
    """Return a corpus with its format set: as it is configured, or else as its files have it.

    Where a format is set, `config` itself is returned, and no file is looked for.

    Raises:
        InputError: No format is set, and the files have several formats, there are no files, all
            are empty or left out, or one holds text in a form that is not read.
        ServiceError: The storage failed.
    """
    if config.format is not None:
        return config
    return dataclasses.replace(config, format=list_corpus(config).format)


def _list_files(config: CorpusConfig) -> CorpusFiles:
    """Return the files of a corpus as `list_corpus` does, without looking for their format.

    Without a format in the settings, files of any format are taken, and the result's format is
    plain text.

    Raises:
        InputError: No pattern is given or one matches no file, all files together are empty or left
            out, or one holds text in a form that is not read.
        ServiceError: The storage failed.
    """
    if not config.files:
        raise InputError(
            "corpus.files: got nothing; expected files, folders or globs of text, for example "
            "--corpus 'folder/*.txt'"
        )
    reasons: dict[StoredFile, str] = {}
    for pattern in config.files:
        for file in _find_pattern(pattern):
            # Read if any pattern says so.
            reasons[file] = reasons.get(file, "?") and _reason_to_leave_out(file, pattern, config)
    files = sorted(file for file, reason in reasons.items() if not reason)
    left_out = {
        reason: tuple(sorted(file.path for file, why in reasons.items() if why == reason))
        for reason in sorted(set(reasons.values()) - {""})
    }
    corpus = CorpusFiles(tuple(files), left_out, config.format or "sentences")
    patterns = ", ".join(config.files)
    if not files:
        raise InputError(
            f"corpus.files {patterns}: got no text, expected some; {corpus.left_out_note}"
        )
    if not any(file.num_bytes for file in files):
        raise InputError(f"corpus.files {patterns}: {len(files)} files, all empty")
    return corpus


def _reason_to_leave_out(file: StoredFile, pattern: str, config: CorpusConfig) -> str:
    """Return why a file that a pattern names is not read; an empty text if it is read.

    A file that is named itself is always read. Otherwise hidden files are left out, and in a corpus
    of JSON lines also files that describe a data set, such as README.md. Files with an ending of
    text, of Parquet (if that is the corpus's format), of a compression or of an archive are taken
    without opening them; for other endings the first bytes decide.

    Raises:
        InputError: The corpus is text, and `find_data` tells by the file's first bytes that it
            holds data in another form.
    """
    if file.path == (pattern if is_remote(pattern) else str(Path(pattern).absolute())):
        return ""
    if is_hidden(_below(file.path, pattern)):
        return "hidden files"
    suffix = PurePosixPath(file.path).suffix.lower()
    if config.format == "parquet":
        return "" if suffix in (".parquet", *COMPRESSED_SUFFIXES) else _unless_parquet(file)
    if config.format == "jsonl" and is_description(file.path):
        return "descriptions of data"
    if suffix in (*_TEXT_SUFFIXES, *COMPRESSED_SUFFIXES):
        return ""
    head = _head(file)
    if config.format is None and head.startswith(b"PAR1"):
        return ""
    if kind := find_data(head):
        what, _, remedy = kind.partition(", ")
        raise InputError(
            f"corpus.files {file.path}: got {what}, expected text; {remedy}, move it away, or "
            "name the files that are to be read"
        )
    return "files that are no text" if is_binary(head) else ""


def _unless_parquet(file: StoredFile) -> str:
    return "" if _head(file).startswith(b"PAR1") else "files that are not Parquet"


def _head(file: StoredFile) -> bytes:
    return read_range(file.path, 0, HEAD_BYTES)


def _below(path: str, pattern: str) -> str:
    """Return a file's path relative to the folder that a pattern names.

    Returns an empty text if the file is not in that folder, as where the pattern is a glob or the
    file itself.
    """
    # A glob matches no hidden file, unless it says so.
    folder = pattern if is_remote(pattern) else str(Path(pattern).absolute())
    folder = f"{folder.rstrip('/')}/"
    return path.removeprefix(folder) if path.startswith(folder) else ""


def _find_pattern(pattern: str) -> list[StoredFile]:
    """Return the files of a pattern; the message of an InputError begins with `corpus.files`.

    Raises:
        InputError: No file matches, or the storage refuses the listing.
        ServiceError: The storage failed.
    """
    try:
        return find_files(pattern)
    except InputError as error:
        raise type(error)(f"corpus.files {error}") from error


def hash_corpus(config: CorpusConfig) -> dict[str, str]:
    """Return a hash of the content of each file, by path; several files are read at a time.

    Local files are read completely; for objects in buckets the stored checksum is taken.

    Raises:
        InputError: There are no files of one format that can be read.
        ServiceError: The storage failed.
    """
    paths = [file.path for file in find_corpus_files(config)]
    return dict(zip(paths, do_in_parallel(content_hash, paths), strict=True))


def corpus_fingerprint(config: CorpusConfig, hashes: Mapping[str, str] | None = None) -> str:
    """Return a hash of the contents of all files and of the settings they are read with.

    It does not depend on the order and names of the files, nor on whether the format is set or
    found.

    Args:
        config: The corpus.
        hashes: What `hash_corpus` returned for it; when None it is called.

    Raises:
        InputError: There are no files of one format that can be read.
        ServiceError: The storage failed.
    """
    config = resolve_format(config)
    hashes = hash_corpus(config) if hashes is None else hashes
    # Without names and order: files that are renamed or moved hold the same text.
    settings = dataclasses.asdict(config) | {"files": []}
    return hash_json({"settings": settings, "contents": sorted(hashes.values())})


def corpus_splits(config: CorpusConfig, target_bytes: int | None = None) -> list[CorpusSplit]:
    """Return the splits of a corpus in the order of its files: large ones cut, small ones joined.

    Args:
        config: The corpus.
        target_bytes: Size at which a split is full, in bytes as stored; files are cut into ranges
            of about this size. By default 1/64 of the corpus, but from 4 to 64 MiB: enough splits
            for many workers, few enough to keep track of.

    Raises:
        InputError: There are no files of one format that can be read.
        ServiceError: The storage failed.
    """
    config = resolve_format(config)
    files = find_corpus_files(config)
    if target_bytes is None:
        split_bytes = sum(file.num_bytes for file in files) // _NUM_SPLITS
        target_bytes = min(max(split_bytes, _SMALLEST_SPLIT), _LARGEST_SPLIT)
    splits: list[CorpusSplit] = []
    ranges: list[FileRange] = []
    size = 0
    for file in files:
        for part in _ranges(file, config, target_bytes):
            ranges.append(part)
            size += part.end - part.start
            if size >= target_bytes:
                splits.append(CorpusSplit(tuple(ranges)))
                ranges, size = [], 0
    if ranges:
        splits.append(CorpusSplit(tuple(ranges)))
    return splits


def _ranges(file: StoredFile, config: CorpusConfig, target_bytes: int) -> Iterator[FileRange]:
    """Yield the ranges that a file is read in: equal parts of about `target_bytes`, without gaps.

    A file that can only be read from its beginning is one range, whatever its size.
    """
    if not _is_splittable(file.path, config):
        yield FileRange(file.path, 0, file.num_bytes)
        return
    num_parts = max(1, round(file.num_bytes / target_bytes))
    ends = [file.num_bytes * (part + 1) // num_parts for part in range(num_parts)]
    for start, end in zip([0, *ends], ends, strict=False):
        yield FileRange(file.path, start, end)


def _is_splittable(path: str, config: CorpusConfig) -> bool:
    """Return whether readers find the beginning of a document from anywhere in a file.

    They do in the output of WikiExtractor, in JSON lines, and in plain text with blank lines
    between documents; not in compressed files, archives and Parquet.
    """
    # Compressed files and Parquet can only be read from their beginning.
    if not is_stored_as_text(path) or config.format == "parquet":
        return False
    return config.format in ("wikiextractor", "jsonl") or config.documents == "blank_line"
