"""Text corpora: finding the files and reading documents as lists of sentences."""

from albert_core.corpus.reading import (
    CorpusConfig,
    check_utf8,
    corpus_fingerprint,
    find_corpus_files,
    read_documents,
)

__all__ = [
    "CorpusConfig",
    "check_utf8",
    "corpus_fingerprint",
    "find_corpus_files",
    "read_documents",
]
