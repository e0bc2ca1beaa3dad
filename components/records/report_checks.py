"""Records that are refused before they are published: what they lack of what was read."""

from collections.abc import Iterable, Iterator, Mapping

from albert_core.errors import InputError, StepFailedError
from albert_core.records.documents import HELD_OUT_SHARD, find_held_out_fraction
from albert_core.records.encoded import merge_documents
from albert_core.records.statistics import Counts
from components.records.near_duplicates import left_out_keys
from components.records.worker_context import WorkerContext

_LENGTH_BYTES = 4  # of `EncodedDocument.sentence_lengths`, which are uint32


def refuse_loss(num_read: int, by_shard: Mapping[str, Counts]) -> None:
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


def refuse_lost_signatures(num_written: int, num_compared: int) -> None:
    """Refuse near-duplicates that were looked for, but not among all documents.

    Args:
        num_written: Signatures that were written when the documents were encoded.
        num_compared: Signatures that the search of all partitions has read.

    Raises:
        StepFailedError: The partitions of the signatures do not hold as many as were written.
    """
    if num_compared != num_written:
        raise StepFailedError(
            f"records: {num_written:,} signatures were written and {num_compared:,} searched for "
            "near-duplicates; the Beam runner lost or repeated some, so nothing is published; use "
            "another runner"
        )


def refuse_empty(
    context: WorkerContext, read: Counts, by_shard: Mapping[str, Counts], splits: Iterable[str]
) -> None:
    """Refuse shards without a training record, or without a held-out one where some are wanted.

    The message names a fraction to hold out that gives both, if there is one; for that the encoded
    documents are read. If there is none as documents were left out as near-duplicates, it names the
    threshold of these.

    Args:
        context: What the workers were given.
        read: The counts of the text, of which `num_documents` is named in a message.
        by_shard: The counts of every shard, by the shard's name.
        splits: The names of all splits.

    Raises:
        InputError: One of the two is missing; or an encoded file cannot be read for the message.
        DamageError: Such a file is damaged, or belongs to other work.
        ServiceError: The storage failed.
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
    remaining = keys - left_out_keys(context) if context.minhasher else keys
    fraction = find_held_out_fraction(remaining, config)
    if fraction is None and len(remaining) < len(keys):
        raise InputError(
            f"cleaning.near_duplicate_threshold: got {context.cleaning.near_duplicate_threshold}, "
            f"which keeps {len(remaining)} of the {len(keys)} documents of two sentences or more, "
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
        f"{len(remaining)} documents of two sentences or more "
        f"{'to train on' if num_held_out else 'for evaluation'}; set it to {fraction}"
    )


def _documents(context: WorkerContext, splits: Iterable[str]) -> Iterator[tuple[bytes, int]]:
    """Yield key and number of sentences of every document that was encoded, file by file.

    Documents of the same text all come, with the same key. A split whose files are not all there
    yields nothing. The indexes of one split at a time are held in memory.

    Raises:
        DamageError: A file or an index is damaged, or belongs to other work.
        InputError: A file or an index is missing, or cannot be read.
        ServiceError: The storage failed.
    """
    for split in splits:
        for part in context.encoded_parts(split):
            for shard, section in part.sections.items():
                for document in merge_documents({part.path: section}, shard):
                    yield document.key, len(document.sentence_lengths) // _LENGTH_BYTES
