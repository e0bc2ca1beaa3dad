"""Clean and encode documents of text, and choose the shard of each."""

import collections
import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from albert_core.corpus.cleaning import DocumentFilter, RemovedDocuments
from albert_core.records.compact import token_dtype
from albert_core.records.config import HELD_OUT_PREFIX, TRAIN_PREFIX, RecordsConfig
from albert_core.records.encoded import EncodedDocument, encode_document
from albert_core.records.rng import document_key, document_rng_state
from albert_core.records.signature_table import SignatureTable
from albert_core.tokenization import Tokenizer

_BATCH_SENTENCES = 4096  # encoded in one call of the tokenizer

HELD_OUT_SHARD = f"{HELD_OUT_PREFIX}-00000-of-00001"


def shard_names(config: RecordsConfig) -> list[str]:
    """Return the names of the training shards, in order, then of the held-out shard if any.

    There is a held-out shard unless `held_out_fraction` is 0.
    """
    held_out = [HELD_OUT_SHARD] if config.held_out_fraction else []
    return [*(_train_shard(index, config) for index in range(config.num_shards)), *held_out]


def choose_shard(key: bytes, config: RecordsConfig) -> str:
    """Return the name of the shard that a document belongs to.

    It depends only on the document's key, which is a hash of its text, and on the settings `seed`,
    `held_out_fraction` and `num_shards`; not on other documents.
    """
    # By hash, not in turn: the shard does not depend on what other documents there are or on who
    # reads them first, and repetitions meet in one shard, where they are found and dropped.
    if _held_out_draw(key, config) < config.held_out_fraction * 2**64:
        return HELD_OUT_SHARD
    return _train_shard(int.from_bytes(key[:8], "little") % config.num_shards, config)


def _held_out_draw(key: bytes, config: RecordsConfig) -> int:
    """Return a document's 64-bit draw: it is held out if below `held_out_fraction` * 2**64."""
    return document_rng_state(key, seed=config.seed, purpose="split")


def find_held_out_fraction(keys: Iterable[bytes], config: RecordsConfig) -> float | None:
    """Return a held-out fraction with which some documents are held out and others are not.

    It has as few decimals as possible, and is the smallest with so many. Returns None for fewer
    than two different keys, or if no fraction of 16 decimals separates them.

    Args:
        keys: The keys of the documents.
        config: The settings; `held_out_fraction` is not used.
    """
    draws = sorted({_held_out_draw(key, config) for key in keys})
    if len(draws) < 2:
        return None
    for num_digits in range(1, 17):
        fraction = (draws[0] * 10**num_digits // 2**64 + 1) / 10**num_digits
        if draws[0] < fraction * 2**64 <= draws[-1]:
            return fraction
    return None  # draws that agree in 16 digits


def _train_shard(index: int, config: RecordsConfig) -> str:
    return f"{TRAIN_PREFIX}-{index:05d}-of-{config.num_shards:05d}"


def encode_documents(
    documents: Iterable[list[str]],
    *,
    tokenizer: Tokenizer,
    document_filter: DocumentFilter,
    config: RecordsConfig,
    signatures: SignatureTable | None = None,
) -> tuple[dict[str, list[EncodedDocument]], dict[str, Any]]:
    """Filter and encode documents, and group them by shard.

    Args:
        documents: Each a list of sentences; all encoded ones are held in memory.
        tokenizer: The tokenizer.
        document_filter: Decides which documents are left out.
        config: Its seed, number of shards and held-out fraction decide a document's shard.
        signatures: Receives the documents kept, where near-duplicates are looked for.

    Returns:
        The encoded documents of each shard in the order read, by the shard's name; shards without
        one are missing. And counts of the documents read and kept (`num_documents`,
        `num_kept_documents`) and of what is kept: `num_sentences`, `num_words` (separated by single
        spaces), `num_tokens` and `num_unknown_tokens`. Each is missing where nothing was counted.
        Under `removed` are the attributes of `RemovedDocuments`.
    """
    shards = collections.defaultdict[str, list[EncodedDocument]](list)
    counts = collections.Counter[str]()
    removed = RemovedDocuments()
    dtype = token_dtype(len(tokenizer))
    for batch in _batches(_filter_documents(documents, document_filter, counts, removed)):
        # All sentences of a batch in one call: a call for each would cost more than the encoding.
        sentences = [sentence for document in batch for sentence in document]
        token_ids, lengths = tokenizer.encode_flat(sentences)
        counts["num_sentences"] += len(sentences)
        counts["num_words"] += " ".join(sentences).count(" ") + 1
        counts["num_tokens"] += len(token_ids)
        counts["num_unknown_tokens"] += int(np.sum(token_ids == tokenizer.special_ids.unknown))
        sentence, token = 0, 0
        for document in batch:
            sentence_lengths = lengths[sentence : sentence + len(document)]
            num_tokens = int(sentence_lengths.sum())
            key = document_key(document)
            if signatures is not None:
                signatures.add(key, document)
            shards[choose_shard(key, config)].append(
                encode_document(key, token_ids[token : token + num_tokens], sentence_lengths, dtype)
            )
            sentence, token = sentence + len(document), token + num_tokens
    return shards, {**counts, "removed": dataclasses.asdict(removed)}


def _filter_documents(
    documents: Iterable[list[str]],
    document_filter: DocumentFilter,
    counts: collections.Counter,
    removed: RemovedDocuments,
) -> Iterator[list[str]]:
    """Yield the documents to keep, in order; note the others, with the reason, in `removed`.

    Adds to `num_documents` and `num_kept_documents` of `counts` in place as it goes.
    """
    for document in documents:
        counts["num_documents"] += 1
        if reason := document_filter.reason(document):
            removed.add(*reason, document, document_key(document))
        else:
            counts["num_kept_documents"] += 1
            yield document


def _batches(documents: Iterable[list[str]]) -> Iterator[Sequence[list[str]]]:
    """Yield lists of whole documents, in order, each of 4,096 sentences or more.

    The last list may have fewer; none is empty.
    """
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
