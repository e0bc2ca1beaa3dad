"""The report of a records step: its shards and its cleaning."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from albert_core.corpus.cleaning import RemovedDocuments
from albert_core.processes.parallel_calls import do_in_parallel
from albert_core.records.config import HELD_OUT_PREFIX, TRAIN_PREFIX
from albert_core.records.documents import HELD_OUT_SHARD, shard_names
from albert_core.records.statistics import Counts, add_counts, masking_statistics
from components.records.near_duplicates import Example, SearchCounts, summarize_search
from components.records.report_checks import refuse_empty, refuse_loss, refuse_lost_signatures
from components.records.worker_context import WorkerContext

_SPLITS_AT_ONCE = 256
_READ = (
    "num_documents",
    "num_kept_documents",
    "num_sentences",
    "num_words",
    "num_tokens",
    "num_unknown_tokens",
)


@dataclasses.dataclass
class TextCounts:
    """What the workers counted as they read and encoded the text, of all splits together.

    Attributes:
        read: Documents, sentences, words and tokens.
        reading: Irregularities of the text.
        removed: What cleaning left out.
        num_signatures: Signatures written to look for near-duplicates.
    """

    read: Counts = dataclasses.field(default_factory=lambda: dict.fromkeys(_READ, 0))
    reading: Counts = dataclasses.field(default_factory=dict)
    removed: RemovedDocuments = dataclasses.field(default_factory=RemovedDocuments)
    num_signatures: int = 0

    def add(self, counts: Mapping[str, Any]) -> None:
        """Take in the counts of a file of encoded documents, `EncodedFile.counts`; changes this."""
        add_counts(self.read, {name: counts.get(name, 0) for name in _READ})
        add_counts(self.reading, counts.get("reading", {}))
        self.removed.merge(counts["removed"])
        self.num_signatures += counts.get("num_signatures", 0)


def describe_records(
    context: WorkerContext, splits: Sequence[str]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the metrics of all shards and of the text that was read, and the report of cleaning.

    The metrics are counts of documents, sentences, words, tokens and records, fractions, and the
    counts of reading; they become the step's metrics and its report. The report of cleaning has
    counts and examples of removed documents, by reason and by evaluation set:
    `num_removed_documents`, counts by reason; `evaluation_sets`, counts by set; `examples`, by
    reason, each with `evidence` and `text`; and, where they are looked for, `near_duplicates`:
    counts and examples of them. `run_beam` must have ended.

    Args:
        context: What the workers were given.
        splits: The names of all splits.

    Raises:
        StepFailedError: The shards do not hold as many documents as were kept, or not as many
            signatures were searched for near-duplicates as were written.
        InputError: The corpus gave no training record, or no held-out one where some are wanted; or
            a file of counts or an index is missing, or cannot be read.
        DamageError: Such a file is damaged, or belongs to other work.
        ServiceError: The storage failed.
    """
    text = _read_text_counts(context, splits)
    shards = shard_names(context.config)
    by_shard = dict(zip(shards, do_in_parallel(context.read_counts, shards), strict=True))
    refuse_loss(text.read["num_kept_documents"], by_shard)
    search = summarize_search(context) if context.minhasher else None
    if search:
        refuse_lost_signatures(text.num_signatures, search[0].num_entries)
    refuse_empty(context, text.read, by_shard, splits)
    cleaning = _describe_cleaning(context, text.removed)
    if search:
        cleaning["near_duplicates"] = _describe_near_duplicates(context, by_shard, *search)
    return _describe_shards(context, text, by_shard), cleaning


def _read_text_counts(context: WorkerContext, splits: Sequence[str]) -> TextCounts:
    """Read the counts of every file of encoded documents, of several splits at a time.

    A split whose files are not all there counts as nothing.

    Raises:
        DamageError: An index is damaged, or belongs to other work.
        InputError: An index cannot be read.
        ServiceError: The storage failed.
    """
    text = TextCounts()

    def read_counts(split: str) -> list[Mapping[str, Any]]:
        """Return the counts of a split's files, without the sections of all shards."""
        return [part.counts for part in context.encoded_parts(split)]

    # In batches, since all results of one call of `do_in_parallel` are held in memory.
    for start in range(0, len(splits), _SPLITS_AT_ONCE):
        for counts_of_split in do_in_parallel(read_counts, splits[start : start + _SPLITS_AT_ONCE]):
            for counts in counts_of_split:
                text.add(counts)
    return text


def _describe_shards(
    context: WorkerContext, text: TextCounts, by_shard: Mapping[str, Counts]
) -> dict[str, Any]:
    """Return the metrics of all shards and of the text that was read, by name."""
    read, removed = text.read, text.removed
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
        **text.reading,
    }


def _describe_cleaning(context: WorkerContext, removed: RemovedDocuments) -> dict[str, Any]:
    """Return counts and examples of removed documents, near-duplicates apart."""
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
    }


def _describe_near_duplicates(
    context: WorkerContext,
    by_shard: Mapping[str, Counts],
    counts: SearchCounts,
    examples: Sequence[Example],
) -> dict[str, Any]:
    """Return counts and examples of documents that were left out as near-duplicates.

    Args:
        context: What the workers were given; it must look for near-duplicates (asserted).
        by_shard: The counts of every shard.
        counts: The counts of the search.
        examples: What it found, a few.

    Returns:
        `num_removed_documents`; how they were looked for, `num_bands` of `num_rows` permutations;
        `num_comparisons` of signatures; `largest_bucket`, in documents; and `examples`: `key` and
        `text` of a document, its estimated `similarity` to another, and that one's key and text as
        `similar_to` and `similar_text`.
    """
    minhasher = context.minhasher
    assert minhasher is not None
    shards = by_shard.values()
    texts = {key: text for c in shards for key, text in c["near_duplicate_texts"].items()}
    return {
        "num_removed_documents": sum(c["num_near_duplicate_documents"] for c in shards),
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
