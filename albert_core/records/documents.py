"""Documents of text to encoded documents, sorted into shards."""

import collections
import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from albert_core.corpus.cleaning import DocumentFilter, RemovedDocuments
from albert_core.records.compact import piece_dtype
from albert_core.records.config import HELD_OUT_PREFIX, TRAIN_PREFIX, RecordsConfig
from albert_core.records.encoded import EncodedDocument, encoded_document
from albert_core.records.rng import document_key, document_stream
from albert_core.tokenization import Tokenizer

_BATCH_SENTENCES = 4096  # encoded in one call

HELD_OUT_SHARD = f"{HELD_OUT_PREFIX}-00000-of-00001"


def shard_names(config: RecordsConfig) -> list[str]:
    """Return the names of all shards that records have."""
    held_out = [HELD_OUT_SHARD] if config.held_out_fraction else []
    return [*(_train_shard(index, config) for index in range(config.num_shards)), *held_out]


def shard_of(key: bytes, config: RecordsConfig) -> str:
    """Return the name of the shard that a document belongs to, by its key alone."""
    if document_stream(key, seed=config.seed, purpose="split") < config.held_out_fraction * 2**64:
        return HELD_OUT_SHARD
    return _train_shard(int.from_bytes(key[:8], "little") % config.num_shards, config)


def _train_shard(index: int, config: RecordsConfig) -> str:
    return f"{TRAIN_PREFIX}-{index:05d}-of-{config.num_shards:05d}"


def encode_documents(
    documents: Iterable[list[str]],
    *,
    tokenizer: Tokenizer,
    document_filter: DocumentFilter,
    config: RecordsConfig,
) -> tuple[dict[str, list[EncodedDocument]], dict[str, Any]]:
    """Clean and encode documents.

    Args:
        documents: Each a list of sentences.
        tokenizer: The vocabulary.
        document_filter: Which documents to leave out.
        config: What decides about a document's shard.

    Returns:
        The documents of each shard by its name; counts of what was read and kept, with the
        attributes of `RemovedDocuments` as `removed`.
    """
    shards = collections.defaultdict[str, list[EncodedDocument]](list)
    counts = collections.Counter[str]()
    removed = RemovedDocuments()
    dtype = piece_dtype(len(tokenizer))
    for batch in _batches(_kept(documents, document_filter, counts, removed)):
        flat = [sentence for document in batch for sentence in document]
        pieces, lengths = tokenizer.encode_flat(flat)
        counts["num_sentences"] += len(flat)
        counts["num_words"] += " ".join(flat).count(" ") + 1
        counts["num_tokens"] += len(pieces)
        counts["num_unknown_pieces"] += int(np.sum(pieces == tokenizer.special_ids.unknown))
        sentence, piece = 0, 0
        for document in batch:
            of_document = lengths[sentence : sentence + len(document)]
            size = int(of_document.sum())
            key = document_key(document)
            shards[shard_of(key, config)].append(
                encoded_document(key, pieces[piece : piece + size], of_document, dtype)
            )
            sentence, piece = sentence + len(document), piece + size
    return shards, {**counts, "removed": dataclasses.asdict(removed)}


def _kept(
    documents: Iterable[list[str]],
    document_filter: DocumentFilter,
    counts: collections.Counter,
    removed: RemovedDocuments,
) -> Iterator[list[str]]:
    for document in documents:
        counts["num_documents"] += 1
        if reason := document_filter.reason(document):
            removed.add(*reason, document, document_key(document))
        else:
            counts["num_kept_documents"] += 1
            yield document


def _batches(documents: Iterable[list[str]]) -> Iterator[Sequence[list[str]]]:
    """Group documents into lists of about `_BATCH_SENTENCES` sentences."""
    batch: list[list[str]] = []
    size = 0
    for document in documents:
        batch.append(document)
        size += len(document)
        if size >= _BATCH_SENTENCES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
