"""The files of a corpus, and its splits: the units that workers read."""

import dataclasses
from collections.abc import Iterator

from albert_core.corpus.config import CorpusConfig
from albert_core.errors import InputError
from albert_core.files import hash_json
from albert_core.storage import StoredFile, content_hash, find_files

COMPRESSED_SUFFIXES = (".gz", ".bz2", ".zst", ".zstd")
_NUM_SPLITS = 64  # about, as long as a split's size is between the next two
_SMALLEST_SPLIT, _LARGEST_SPLIT = 4 << 20, 64 << 20


@dataclasses.dataclass(frozen=True)
class FileRange:
    """A range of the bytes of a file; it stands for the documents that begin in it.

    Attributes:
        path: The file's address.
        start: First byte.
        end: One past the last byte.
    """

    path: str
    start: int
    end: int


@dataclasses.dataclass(frozen=True)
class CorpusSplit:
    """A part of a corpus that one worker reads: ranges of files, or several whole files."""

    ranges: tuple[FileRange, ...]

    @property
    def num_bytes(self) -> int:
        """Size of its ranges, as the files are stored (maybe compressed)."""
        return sum(part.end - part.start for part in self.ranges)


def find_corpus_files(config: CorpusConfig) -> list[StoredFile]:
    """Return the corpus's files, sorted and without repetition.

    Raises:
        InputError: A pattern matches no file, or all files together are empty.
    """
    if not config.files:
        raise InputError(
            "corpus.files: got nothing; expected files, folders or globs of text, for example "
            "--corpus 'folder/*.txt'"
        )
    files = sorted({file for pattern in config.files for file in _find_pattern(pattern)})
    if not any(file.num_bytes for file in files):
        raise InputError(f"corpus.files {', '.join(config.files)}: {len(files)} files, all empty")
    return files


def _find_pattern(pattern: str) -> list[StoredFile]:
    try:
        return find_files(pattern)
    except InputError as error:
        raise type(error)(f"corpus.files {error}") from error


def corpus_fingerprint(config: CorpusConfig) -> str:
    """Return a hash of the contents of all files and of the settings they are read with."""
    # Without names and order: files that are renamed or moved hold the same text.
    settings = dataclasses.asdict(config) | {"files": []}
    contents = sorted(content_hash(file.path) for file in find_corpus_files(config))
    return hash_json({"settings": settings, "contents": contents})


def corpus_splits(config: CorpusConfig, target_bytes: int | None = None) -> list[CorpusSplit]:
    """Return the splits of a corpus: large files are divided, small ones put together.

    Args:
        config: The corpus.
        target_bytes: Approximate size of a split. By default about 64 splits of 4 to 64 MB:
            enough for many workers, few enough to keep track of.
    """
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
    """Yield the ranges that a file is read in: equal parts of about the target, or one."""
    if not _is_splittable(file.path, config):
        yield FileRange(file.path, 0, file.num_bytes)
        return
    num_parts = max(1, round(file.num_bytes / target_bytes))
    ends = [file.num_bytes * (part + 1) // num_parts for part in range(num_parts)]
    for start, end in zip([0, *ends], ends, strict=False):
        yield FileRange(file.path, start, end)


def _is_splittable(path: str, config: CorpusConfig) -> bool:
    """Return whether readers find the beginning of a document from anywhere in a file."""
    # Compressed files and Parquet can only be read from their beginning.
    if path.lower().endswith(COMPRESSED_SUFFIXES) or config.format == "parquet":
        return False
    return config.format in ("wikiextractor", "jsonl") or config.documents == "blank_line"
