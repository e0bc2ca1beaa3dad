"""Text corpora: find their files, and read documents as lists of sentences."""

from albert_core.corpus.check import check_corpus
from albert_core.corpus.config import CorpusConfig
from albert_core.corpus.counts import ReadCounts
from albert_core.corpus.file_names import FileRange
from albert_core.corpus.files import (
    CorpusFiles,
    CorpusSplit,
    corpus_fingerprint,
    corpus_splits,
    find_corpus_files,
    hash_corpus,
    list_corpus,
    resolve_format,
)
from albert_core.corpus.reading import (
    corpus_documents,
    read_documents,
    read_split,
)

__all__ = [
    "CorpusConfig",
    "CorpusFiles",
    "CorpusSplit",
    "FileRange",
    "ReadCounts",
    "check_corpus",
    "corpus_documents",
    "corpus_fingerprint",
    "corpus_splits",
    "find_corpus_files",
    "hash_corpus",
    "list_corpus",
    "read_documents",
    "read_split",
    "resolve_format",
]
