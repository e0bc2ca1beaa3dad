"""Text corpora: find their files, and read documents as lists of sentences."""

from albert_core.corpus.config import CorpusConfig
from albert_core.corpus.files import (
    CorpusSplit,
    FileRange,
    corpus_fingerprint,
    corpus_splits,
    find_corpus_files,
)
from albert_core.corpus.lines import ReadCounts
from albert_core.corpus.reading import (
    check_corpus,
    corpus_documents,
    read_documents,
    read_split,
)

__all__ = [
    "CorpusConfig",
    "CorpusSplit",
    "FileRange",
    "ReadCounts",
    "check_corpus",
    "corpus_documents",
    "corpus_fingerprint",
    "corpus_splits",
    "find_corpus_files",
    "read_documents",
    "read_split",
]
