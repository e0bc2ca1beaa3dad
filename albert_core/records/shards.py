"""Encoded documents to the records of one shard."""

import dataclasses
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from albert_core.records.compact import encode_compact, piece_dtype
from albert_core.records.config import MaskingConfig, RecordsConfig
from albert_core.records.encoded import EncodedDocument, joined_documents
from albert_core.records.masking import mask_pairs
from albert_core.records.pairs import SegmentPairs, cut_pairs
from albert_core.records.rng import document_stream
from albert_core.records.static import encode_static
from albert_core.records.statistics import Counts, add_counts, count_batch
from albert_core.tokenization import SpecialIds, Tokenizer

_BLOCK_PIECES = 1 << 19  # documents are cut in blocks of this size; random segments come from it
_BATCH_PAIRS = 2048  # masked and serialised together
_SAMPLED_PAIRS = 1024  # of a compact shard, masked once to describe them


@dataclasses.dataclass(frozen=True, kw_only=True)
class ShardBuilder:
    """Cuts, masks and serialises documents; the same documents give the same records.

    Attributes:
        config: How.
        word_starts: bool [V], whether a piece begins a word.
        special_ids: The vocabulary's special pieces.
        deduplicate: Whether documents of the same text are kept once.
    """

    config: RecordsConfig
    word_starts: np.ndarray
    special_ids: SpecialIds
    deduplicate: bool = True

    @classmethod
    def of_tokenizer(
        cls, tokenizer: Tokenizer, config: RecordsConfig, *, deduplicate: bool = True
    ) -> "ShardBuilder":
        """Return the builder for a vocabulary."""
        return cls(
            config=config,
            word_starts=tokenizer.word_starts(),
            special_ids=tokenizer.special_ids,
            deduplicate=deduplicate,
        )

    def records(self, documents: Iterable[EncodedDocument], counts: Counts) -> Iterator[bytes]:
        """Yield the records of documents that come in the order of their keys.

        Args:
            documents: The shard's documents.
            counts: Receives what was found, when the records have been taken.
        """
        counts |= dict.fromkeys(
            ("num_shard_documents", "num_duplicate_documents", "num_documents_without_record"), 0
        )
        counts["masked"] = {}
        of_pieces = np.zeros(len(self.word_starts), np.int64)
        for block in self._blocks(documents, counts):
            for instance in range(self.config.dupe_factor):
                pairs = self._cut(block, instance)
                if instance == 0:
                    counts["num_documents_without_record"] += len(block) - pairs.num_documents
                of_pieces += np.bincount(pairs.pieces, minlength=len(self.word_starts))
                for batch in _batches(pairs):
                    yield from self._encode(batch, counts["masked"])
        counts["num_record_pieces"] = int(of_pieces.sum())
        counts["num_most_frequent_pieces"] = int(of_pieces.max())

    def _blocks(
        self, documents: Iterable[EncodedDocument], counts: Counts
    ) -> Iterator[list[tuple[EncodedDocument, int]]]:
        """Group documents, each with the number of its equals before it."""
        block: list[tuple[EncodedDocument, int]] = []
        previous, repetition, size = b"", 0, 0
        for document in documents:
            counts["num_shard_documents"] += 1
            repetition = repetition + 1 if document.key == previous else 0
            previous = document.key
            counts["num_duplicate_documents"] += repetition > 0
            if repetition and self.deduplicate:
                continue
            block.append((document, repetition))
            size += len(document.pieces)
            if size >= _BLOCK_PIECES * self._dtype.itemsize and len(block) > 1:
                yield block
                block, size = [], 0
        if block:
            yield block

    @property
    def _dtype(self) -> np.dtype:
        return piece_dtype(len(self.word_starts))

    def _cut(self, block: list[tuple[EncodedDocument, int]], instance: int) -> SegmentPairs:
        streams = [
            document_stream(
                document.key, seed=self.config.seed, purpose=f"cut {instance} of {repetition}"
            )
            for document, repetition in block
        ]
        return cut_pairs(
            joined_documents([document for document, _ in block], self._dtype),
            np.array(streams, np.uint64),
            instance=instance,
            config=self.config,
            word_starts=self.word_starts,
        )

    def _encode(self, pairs: SegmentPairs, masked: Counts) -> list[bytes]:
        if self.config.format == "static":
            batch = self._mask(pairs, self.config.static_masking, masked)
            return encode_static(batch, **self._tables)
        if masked.get("num_records", 0) < _SAMPLED_PAIRS:
            self._mask(pairs, MaskingConfig(), masked)
        return encode_compact(pairs, self._dtype)

    def _mask(
        self, pairs: SegmentPairs, masking: MaskingConfig, masked: Counts
    ) -> dict[str, np.ndarray]:
        batch = mask_pairs(
            pairs, config=masking, sequence_length=self.config.sequence_length, **self._tables
        )
        add_counts(masked, count_batch(batch, **self._tables))
        return batch

    @property
    def _tables(self) -> dict[str, Any]:
        return {"word_starts": self.word_starts, "special_ids": self.special_ids}


def _batches(pairs: SegmentPairs) -> Iterator[SegmentPairs]:
    ends = np.concatenate([[0], np.cumsum(pairs.lengths)])
    for begin in range(0, len(pairs), _BATCH_PAIRS):
        some = slice(begin, min(begin + _BATCH_PAIRS, len(pairs)))
        yield SegmentPairs(
            pieces=pairs.pieces[ends[some.start] : ends[some.stop]],
            lengths=pairs.lengths[some],
            first_lengths=pairs.first_lengths[some],
            labels=pairs.labels[some],
            streams=pairs.streams[some],
        )
