"""Turn the encoded documents of one shard into its records."""

import dataclasses
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from albert_core.records.compact import encode_compact, token_dtype
from albert_core.records.config import MaskingConfig, RecordsConfig
from albert_core.records.encoded import EncodedDocument, concatenate_documents
from albert_core.records.masking import mask_pairs
from albert_core.records.pairs import SegmentPairs, cut_pairs
from albert_core.records.rng import document_rng_state
from albert_core.records.static import encode_static
from albert_core.records.statistics import Counts, add_counts, count_batch
from albert_core.tokenization import SpecialIds, Tokenizer

# Documents are cut in blocks of about this size, so that a worker's memory is bounded. Random
# second segments come from the same block; the pairs of a block are shuffled.
_BLOCK_TOKENS = 1 << 19
_BATCH_PAIRS = 2048  # masked and serialised together
_SAMPLED_PAIRS = 1024  # of a compact shard, masked once for the statistics of its masks


@dataclasses.dataclass(frozen=True, kw_only=True)
class ShardBuilder:
    """Cuts, masks and serialises documents; the same documents give the same records.

    Attributes:
        config: How to cut and, for static records, to mask.
        word_starts: uint8 [V], the table that `Tokenizer.word_borders` returns.
        special_ids: The ids of the vocabulary's special tokens.
        deduplicate: Whether only one of several documents with the same text is kept; if not, all
            are.
    """

    config: RecordsConfig
    word_starts: np.ndarray
    special_ids: SpecialIds
    deduplicate: bool = True

    @classmethod
    def from_tokenizer(
        cls, tokenizer: Tokenizer, config: RecordsConfig, *, deduplicate: bool = True
    ) -> "ShardBuilder":
        """Make a builder that takes special ids and beginnings of words from a tokenizer.

        Args:
            tokenizer: The vocabulary that the documents are encoded with.
            config: Settings of the records. `static_masking.compat` also decides by which rule
                words begin.
            deduplicate: Whether only one of several documents with the same text is kept; if not,
                all are.
        """
        return cls(
            config=config,
            word_starts=tokenizer.word_borders(original=config.static_masking.compat == "original"),
            special_ids=tokenizer.special_ids,
            deduplicate=deduplicate,
        )

    def records(
        self,
        documents: Iterable[EncodedDocument],
        counts: Counts,
        left_out: Iterable[bytes] | None = None,
    ) -> Iterator[bytes]:
        """Yield the serialised records of a shard's documents.

        Documents are cut in blocks, each block `dupe_factor` times; the pairs of a block are
        shuffled, and blocks follow one another.

        Args:
            documents: The shard's documents, sorted by key, which is not checked: in another order
                repetitions are missed. They are read block by block.
            counts: Receives counts of documents, duplicates and tokens and, under `masked`, those
                of `count_batch`; earlier values under these names are replaced. Complete when the
                last record has been taken.
            left_out: Keys of documents to leave out as near-duplicates, sorted; they are counted as
                `num_near_duplicate_documents`. None where near-duplicates are not looked for.
        """
        counts |= dict.fromkeys(
            ("num_shard_documents", "num_duplicate_documents", "num_documents_without_record"), 0
        )
        counts["masked"] = {}
        if left_out is not None:
            counts["num_near_duplicate_documents"] = 0
        token_counts = np.zeros(len(self.word_starts), np.int64)
        for block in self._blocks(documents, counts, iter(left_out or ())):
            for instance in range(self.config.dupe_factor):
                pairs = self._cut(block, instance)
                if instance == 0:
                    counts["num_documents_without_record"] += len(block) - pairs.num_documents
                token_counts += np.bincount(pairs.token_ids, minlength=len(self.word_starts))
                for batch in _batches(pairs):
                    yield from self._encode(batch, counts["masked"])
        counts["num_record_tokens"] = int(token_counts.sum())
        counts["num_most_frequent_tokens"] = int(token_counts.max())

    def _blocks(
        self, documents: Iterable[EncodedDocument], counts: Counts, left_out: Iterator[bytes]
    ) -> Iterator[list[tuple[EncodedDocument, int]]]:
        """Yield blocks of documents, each of 2**19 tokens or more and of at least two documents.

        The last block may be smaller. Repetitions, if `deduplicate`, and the documents of
        `left_out` are skipped.

        Args:
            documents: The shard's documents, sorted by key, so that repetitions are neighbours.
            counts: Counts of all documents, repetitions and near-duplicates are added to it as it
                goes.
            left_out: Keys of near-duplicates, sorted; taken as documents are.

        Yields:
            Each document with the number of documents of the same text before it; 0 for all if
            `deduplicate`.
        """
        block: list[tuple[EncodedDocument, int]] = []
        previous_key, repetition, num_bytes = b"", 0, 0
        next_left_out = next(left_out, None)
        for document in documents:
            counts["num_shard_documents"] += 1
            # Documents come sorted by the hash of their text, so equal ones are neighbours.
            repetition = repetition + 1 if document.key == previous_key else 0
            previous_key = document.key
            counts["num_duplicate_documents"] += repetition > 0
            if repetition and self.deduplicate:
                continue
            while next_left_out is not None and next_left_out < document.key:
                next_left_out = next(left_out, None)
            # Not moved on at a match: without `deduplicate` the same key may come again.
            if next_left_out == document.key:
                counts["num_near_duplicate_documents"] += 1
                continue
            block.append((document, repetition))
            num_bytes += len(document.token_ids)
            # Two documents at least, however long: a random segment needs another document.
            if num_bytes >= _BLOCK_TOKENS * self._dtype.itemsize and len(block) > 1:
                yield block
                block, num_bytes = [], 0
        if block:
            yield block

    @property
    def _dtype(self) -> np.dtype:
        return token_dtype(len(self.word_starts))

    def _cut(self, block: list[tuple[EncodedDocument, int]], instance: int) -> SegmentPairs:
        """Cut the documents of a block into pairs, for one of `dupe_factor` copies.

        Args:
            block: A block of `_blocks`; the numbers in it keep repetitions from being cut in the
                same way.
            instance: Number of the copy, from 0.
        """
        # The purpose names copy and repetition: documents of the same text have the same key, and
        # would else be cut alike every time.
        rng_states = [
            document_rng_state(
                document.key, seed=self.config.seed, purpose=f"cut {instance} of {repetition}"
            )
            for document, repetition in block
        ]
        return cut_pairs(
            concatenate_documents([document for document, _ in block], self._dtype),
            np.array(rng_states, np.uint64),
            instance=instance,
            config=self.config,
            word_starts=self.word_starts,
        )

    def _encode(self, pairs: SegmentPairs, masked: Counts) -> list[bytes]:
        """Serialise pairs in the format of the settings, in order; add counts of masks to `masked`.

        Static pairs are masked, and all are counted. Compact pairs stay unmasked; batches of them
        are masked, by the default settings, only to be counted, until 1,024 pairs have been.
        """
        if self.config.format == "static":
            batch = self._mask(pairs, self.config.static_masking, masked)
            return encode_static(batch, **self._tables)
        # Compact records hold no masks. The report shows those of a sample, by default settings,
        # as training would draw them.
        if masked.get("num_records", 0) < _SAMPLED_PAIRS:
            self._mask(pairs, MaskingConfig(), masked)
        return encode_compact(pairs, self._dtype)

    def _mask(
        self, pairs: SegmentPairs, masking: MaskingConfig, masked: Counts
    ) -> dict[str, np.ndarray]:
        """Return pairs masked as by `mask_pairs`, and add their counts to `masked` in place."""
        batch = mask_pairs(
            pairs, config=masking, sequence_length=self.config.sequence_length, **self._tables
        )
        add_counts(masked, count_batch(batch, **self._tables))
        return batch

    @property
    def _tables(self) -> dict[str, Any]:
        return {"word_starts": self.word_starts, "special_ids": self.special_ids}


def _batches(pairs: SegmentPairs) -> Iterator[SegmentPairs]:
    """Yield pairs in batches of 2,048, in order; the last one may be smaller."""
    starts = np.concatenate([[0], np.cumsum(pairs.lengths)])
    for begin in range(0, len(pairs), _BATCH_PAIRS):
        rows = slice(begin, min(begin + _BATCH_PAIRS, len(pairs)))
        yield SegmentPairs(
            token_ids=pairs.token_ids[starts[rows.start] : starts[rows.stop]],
            lengths=pairs.lengths[rows],
            first_lengths=pairs.first_lengths[rows],
            labels=pairs.labels[rows],
            rng_states=pairs.rng_states[rows],
        )
