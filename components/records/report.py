"""What the finished shards hold, checked against what was read."""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from albert_core.corpus.cleaning import RemovedDocuments
from albert_core.errors import InputError, StepFailedError
from albert_core.records.config import HELD_OUT_PREFIX, TRAIN_PREFIX, RecordsConfig
from albert_core.records.documents import HELD_OUT_SHARD, shard_names
from albert_core.records.statistics import Counts, add_counts, shares
from albert_core.storage import read_bytes
from components.records.beam_pipeline import RecordsJob

_READ = (
    "num_documents",
    "num_kept_documents",
    "num_sentences",
    "num_words",
    "num_tokens",
    "num_unknown_pieces",
)


def describe_shards(job: RecordsJob, splits: Iterable[str]) -> dict[str, Any]:
    """Return the figures of all shards of the splits named.

    Raises:
        StepFailedError: The shards do not hold the documents that were read.
        InputError: The corpus gave no record.
    """
    read: Counts = dict.fromkeys(_READ, 0)
    reading: Counts = {}
    removed = RemovedDocuments()
    for counts in _counts_of(job, splits):
        add_counts(read, {name: counts.get(name, 0) for name in _READ})
        add_counts(reading, counts.get("reading", {}))
        removed.merge(counts["removed"])
    made = {
        shard: json.loads(read_bytes(job.counts_path(shard))) for shard in shard_names(job.config)
    }
    _refuse_loss(read["num_kept_documents"], made)
    _refuse_empty(read, made, job.config)
    num_records = {
        prefix: sum(c["num_records"] for shard, c in made.items() if shard.startswith(prefix))
        for prefix in (TRAIN_PREFIX, HELD_OUT_PREFIX)
    }
    masked: Counts = {}
    for counts in made.values():
        if counts["masked"]:
            add_counts(masked, counts["masked"])
    held_out = made.get(HELD_OUT_SHARD, {"num_most_frequent_pieces": 0, "num_record_pieces": 0})
    return {
        "vocab_size": len(job.tokenizer),
        "sequence_length": job.config.sequence_length,
        "num_train_records": num_records[TRAIN_PREFIX],
        "num_held_out_records": num_records[HELD_OUT_PREFIX],
        **read,
        **{
            name: sum(counts[name] for counts in made.values())
            for name in ("num_duplicate_documents", "num_documents_without_record")
        },
        "tokens_per_word": round(read["num_tokens"] / max(1, read["num_words"]), 3),
        "unknown_fraction": round(read["num_unknown_pieces"] / max(1, read["num_tokens"]), 6),
        "most_frequent_fraction": round(
            held_out["num_most_frequent_pieces"] / max(1, held_out["num_record_pieces"]), 4
        ),
        **shares(masked),
        "num_removed_documents": sum(removed.counts.values()),
        "num_overlapping_documents": sum(
            count for reason, count in removed.counts.items() if reason.startswith("overlap:")
        ),
        **reading,
    }


def describe_cleaning(job: RecordsJob, splits: Iterable[str]) -> dict[str, Any]:
    """Return how many documents were left out, why, and how many for each evaluation set."""
    removed = RemovedDocuments()
    for counts in _counts_of(job, splits):
        removed.merge(counts["removed"])
    overlap = job.overlap_index()
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


def _counts_of(job: RecordsJob, splits: Iterable[str]) -> Iterator[Mapping[str, Any]]:
    for split in splits:
        for part in job.encoded_parts(split):
            yield part.counts


def _refuse_loss(num_read: int, made: Mapping[str, Counts]) -> None:
    num_in_shards = sum(counts["num_shard_documents"] for counts in made.values())
    if num_in_shards != num_read:
        raise StepFailedError(
            f"records: {num_read:,} documents were encoded and {num_in_shards:,} are in the "
            "shards; the Beam runner lost or repeated some, so nothing is published; use another "
            "runner"
        )


def _refuse_empty(read: Counts, made: Mapping[str, Counts], config: RecordsConfig) -> None:
    num_train = sum(c["num_records"] for name, c in made.items() if name != HELD_OUT_SHARD)
    if not num_train:
        raise InputError(
            f"corpus: {read['num_documents']} documents gave no training record; expected "
            "documents of two sentences or more"
        )
    if config.held_out_fraction and not made[HELD_OUT_SHARD]["num_records"]:
        raise InputError(
            f"records.held_out_fraction: got {config.held_out_fraction}, which keeps none of the "
            f"{read['num_documents']} documents; raise it"
        )
