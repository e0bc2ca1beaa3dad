"""The report of a records step: its shards, checked against what was read, and its cleaning."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from albert_core.corpus.cleaning import RemovedDocuments
from albert_core.errors import InputError, StepFailedError
from albert_core.records.config import HELD_OUT_PREFIX, TRAIN_PREFIX
from albert_core.records.documents import HELD_OUT_SHARD, find_held_out_fraction, shard_names
from albert_core.records.encoded import merge_documents
from albert_core.records.statistics import Counts, add_counts, masking_statistics
from components.records.near_duplicates import left_out_keys, summarize_search
from components.records.worker_context import WorkerContext

_LENGTH_BYTES = 4  # of `EncodedDocument.sentence_lengths`, which are uint32
_READ = (
    "num_documents",
    "num_kept_documents",
    "num_sentences",
    "num_words",
    "num_tokens",
    "num_unknown_tokens",
)


def describe_shards(context: WorkerContext, splits: Iterable[str]) -> dict[str, Any]:
    """Return the metrics of all shards and of the text that was read, by name.

    These are counts of documents, sentences, words, tokens and records, fractions, and the counts
    of reading; they become the step's metrics and its report. `run_beam` must have ended.

    Args:
        context: What the workers were given.
        splits: The names of all splits; no iterator, as they are gone through several times.

    Raises:
        StepFailedError: The shards do not hold as many documents as were kept, or not as many
            signatures were searched for near-duplicates as were written.
        InputError: The corpus gave no training record, or no held-out one where some are wanted.
        DamageError: A file of counts or an index is damaged, or belongs to other work.
        ServiceError: The storage failed.
    """
    read: Counts = dict.fromkeys(_READ, 0)
    reading: Counts = {}
    removed = RemovedDocuments()
    for counts in _read_counts(context, splits):
        add_counts(read, {name: counts.get(name, 0) for name in _READ})
        add_counts(reading, counts.get("reading", {}))
        removed.merge(counts["removed"])
    by_shard = {shard: context.read_counts(shard) for shard in shard_names(context.config)}
    _refuse_loss(read["num_kept_documents"], by_shard)
    _refuse_lost_signatures(context, splits)
    _refuse_empty(context, read, by_shard, splits)
    num_records = {
        prefix: sum(c["num_records"] for shard, c in by_shard.items() if shard.startswith(prefix))
        for prefix in (TRAIN_PREFIX, HELD_OUT_PREFIX)
    }
    masked: Counts = {}
    for counts in by_shard.values():
        if counts["masked"]:
            add_counts(masked, counts["masked"])
    held_out = by_shard.get(HELD_OUT_SHARD, {"num_most_frequent_tokens": 0, "num_record_tokens": 0})
    return {
        "vocab_size": len(context.tokenizer),
        "sequence_length": context.config.sequence_length,
        "num_train_records": num_records[TRAIN_PREFIX],
        "num_held_out_records": num_records[HELD_OUT_PREFIX],
        **read,
        **{name: sum(counts[name] for counts in by_shard.values()) for name in _of_shards(context)},
        "tokens_per_word": round(read["num_tokens"] / max(1, read["num_words"]), 3),
        "unknown_fraction": round(read["num_unknown_tokens"] / max(1, read["num_tokens"]), 6),
        "most_frequent_fraction": round(
            held_out["num_most_frequent_tokens"] / max(1, held_out["num_record_tokens"]), 4
        ),
        **masking_statistics(masked),
        "num_removed_documents": sum(removed.counts.values()),
        "num_overlapping_documents": sum(
            count for reason, count in removed.counts.items() if reason.startswith("overlap:")
        ),
        **reading,
    }


def describe_cleaning(context: WorkerContext, splits: Iterable[str]) -> dict[str, Any]:
    """Return counts and examples of removed documents, by reason and by evaluation set.

    `run_beam` must have ended.

    Returns:
        `num_removed_documents`, counts by reason; `evaluation_sets`, counts by set; `examples`,
        by reason, each with `evidence` and `text`; and, where they are looked for,
        `near_duplicates`: counts and examples of them.

    Raises:
        DamageError: A file of counts or an index is damaged, or belongs to other work.
        InputError: A file is missing, or cannot be read.
        ServiceError: The storage failed.
    """
    removed = RemovedDocuments()
    for counts in _read_counts(context, splits):
        removed.merge(counts["removed"])
    overlap = context.load_overlap_index()
    return {
        "num_removed_documents": dict(sorted(removed.counts.items())),
        "evaluation_sets": {
            name: {**counts, "num_removed_documents": removed.counts.get(f"overlap:{name}", 0)}
            for name, counts in (overlap.counts.items() if overlap else ())
        },
        "examples": {
            reason: [{"evidence": evidence, "text": text} for _, evidence, text in examples]
            for reason, examples in sorted(removed.examples.items())
        },
        **({"near_duplicates": _describe_near_duplicates(context)} if context.minhasher else {}),
    }


def _describe_near_duplicates(context: WorkerContext) -> dict[str, Any]:
    """Return counts and examples of documents that were left out as near-duplicates.

    Returns:
        `num_removed_documents`; how they were looked for, `num_bands` of `num_rows` permutations;
        `num_comparisons` of signatures; `largest_bucket`, in documents; and `examples`: `key` and
        `text` of a document, its estimated `similarity` to another, and that one's key and text as
        `similar_to` and `similar_text`.
    """
    minhasher = context.minhasher
    assert minhasher is not None
    counts, examples = summarize_search(context)
    by_shard = [context.read_counts(shard) for shard in shard_names(context.config)]
    texts = {key: text for c in by_shard for key, text in c["near_duplicate_texts"].items()}
    return {
        "num_removed_documents": sum(c["num_near_duplicate_documents"] for c in by_shard),
        "num_bands": minhasher.num_bands,
        "num_rows": minhasher.num_rows,
        "num_comparisons": counts.num_comparisons,
        "largest_bucket": counts.largest_bucket,
        "examples": [
            {
                "key": key,
                "text": texts[key],
                "similarity": round(minhasher.similarity(num_matches), 3),
                "similar_to": similar,
                "similar_text": texts[similar],
            }
            for key, similar, num_matches in examples
        ],
    }


def _of_shards(context: WorkerContext) -> tuple[str, ...]:
    """Return the names of the counts that are the sums of those of the shards."""
    near_duplicates = ("num_near_duplicate_documents",) if context.minhasher else ()
    return ("num_duplicate_documents", *near_duplicates, "num_documents_without_record")


def _read_counts(context: WorkerContext, splits: Iterable[str]) -> Iterator[Mapping[str, Any]]:
    """Yield the counts of every file of encoded documents, split by split.

    Yields nothing for a split whose files are not all there.
    """
    for split in splits:
        for part in context.encoded_parts(split):
            yield part.counts


def _refuse_loss(num_read: int, by_shard: Mapping[str, Counts]) -> None:
    """Refuse shards that do not hold as many documents as were encoded.

    Args:
        num_read: Documents that were kept and encoded.
        by_shard: The counts of every shard.

    Raises:
        StepFailedError: The numbers differ.
    """
    # Some runners have been seen to lose or repeat elements without an error.
    num_in_shards = sum(counts["num_shard_documents"] for counts in by_shard.values())
    if num_in_shards != num_read:
        raise StepFailedError(
            f"records: {num_read:,} documents were encoded and {num_in_shards:,} are in the "
            "shards; the Beam runner lost or repeated some, so nothing is published; use another "
            "runner"
        )


def _refuse_lost_signatures(context: WorkerContext, splits: Iterable[str]) -> None:
    """Refuse near-duplicates that were looked for, but not among all documents.

    Raises:
        StepFailedError: The partitions of the signatures do not hold as many as were written.
    """
    if not context.minhasher:
        return
    num_written = sum(counts["num_signatures"] for counts in _read_counts(context, splits))
    num_compared = summarize_search(context)[0].num_entries
    if num_compared != num_written:
        raise StepFailedError(
            f"records: {num_written:,} signatures were written and {num_compared:,} searched for "
            "near-duplicates; the Beam runner lost or repeated some, so nothing is published; use "
            "another runner"
        )


def _refuse_empty(
    context: WorkerContext, read: Counts, by_shard: Mapping[str, Counts], splits: Iterable[str]
) -> None:
    """Refuse shards without a training record, or without a held-out one where some are wanted.

    The message names a fraction to hold out that gives both, if there is one; for that the encoded
    documents are read. If there is none as documents were left out as near-duplicates, it names the
    threshold of these.

    Raises:
        InputError: One of the two is missing.
    """
    config = context.config
    num_train = sum(c["num_records"] for name, c in by_shard.items() if name != HELD_OUT_SHARD)
    num_held_out = by_shard[HELD_OUT_SHARD]["num_records"] if config.held_out_fraction else 1
    if num_train and num_held_out:
        return
    keys = {key for key, num_sentences in _documents(context, splits) if num_sentences > 1}
    if not keys:
        raise InputError(
            f"corpus: {read['num_documents']} documents gave no training record; expected "
            "documents of two sentences or more"
        )
    kept = keys - left_out_keys(context) if context.minhasher else keys
    fraction = find_held_out_fraction(kept, config)
    if fraction is None and len(kept) < len(keys):
        raise InputError(
            f"cleaning.near_duplicate_threshold: got {context.cleaning.near_duplicate_threshold}, "
            f"which keeps {len(kept)} of the {len(keys)} documents of two sentences or more, "
            "expected several, to train on some and hold out others "
            f"(records.held_out_fraction {config.held_out_fraction}); set it higher or leave it out"
        )
    if fraction is None:
        raise InputError(
            "corpus: got one document of two sentences or more, expected several, to train on some "
            f"and hold out others (records.held_out_fraction {config.held_out_fraction}); put a "
            "blank line behind each document, or each into a file of its own"
        )
    effect = "leaves none of" if num_held_out else "keeps none of"
    raise InputError(
        f"records.held_out_fraction: got {config.held_out_fraction}, which {effect} the "
        f"{len(kept)} documents of two sentences or more "
        f"{'to train on' if num_held_out else 'for evaluation'}; set it to {fraction}"
    )


def _documents(context: WorkerContext, splits: Iterable[str]) -> Iterator[tuple[bytes, int]]:
    """Yield key and number of sentences of every document that was encoded, file by file.

    Each file's index is read once, and only one is held.
    """
    for split in splits:
        for part in context.encoded_parts(split):
            for shard, section in part.sections.items():
                for document in merge_documents({part.path: section}, shard):
                    yield document.key, len(document.sentence_lengths) // _LENGTH_BYTES
