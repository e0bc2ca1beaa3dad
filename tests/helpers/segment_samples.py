"""Documents and segment pairs as lists, for tests of what takes them as arrays."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from albert_core.records.config import RecordsConfig
from albert_core.records.pairs import UNDECIDED, Documents, SegmentPairs, cut_pairs


class Pair(NamedTuple):
    first: list[int]
    second: list[int]
    label: int = UNDECIDED


def make_documents(documents: Sequence[Sequence[Sequence[int]]]) -> Documents:
    sentences = [sentence for document in documents for sentence in document if sentence]
    num_sentences = [sum(map(bool, document)) for document in documents]
    return Documents(
        token_ids=np.array([piece for sentence in sentences for piece in sentence], np.int32),
        sentences=np.cumsum([0, *map(len, sentences)]),
        documents=np.cumsum([0, *num_sentences]),
    )


def make_segment_pairs(pairs: Sequence[Pair], rng_states: np.ndarray | None = None) -> SegmentPairs:
    return SegmentPairs(
        token_ids=np.concatenate([[*pair[0], *pair[1]] for pair in pairs]).astype(np.int32),
        lengths=np.array([len(pair[0]) + len(pair[1]) for pair in pairs]),
        first_lengths=np.array([len(pair[0]) for pair in pairs]),
        labels=np.array([Pair(*pair).label for pair in pairs], np.int8),
        rng_states=np.arange(len(pairs), dtype=np.uint64) if rng_states is None else rng_states,
    )


def list_pairs(pairs: SegmentPairs) -> list[Pair]:
    """Return pairs as lists, in the order of their first pieces."""
    rows = np.split(pairs.token_ids, np.cumsum(pairs.lengths)[:-1]) if len(pairs) else []
    return sorted(
        Pair(row[:cut].tolist(), row[cut:].tolist(), int(label))
        for row, cut, label in zip(rows, pairs.first_lengths, pairs.labels, strict=True)
    )


def cut(
    documents: Sequence[Sequence[Sequence[int]]],
    sequence_length: int,
    word_starts: np.ndarray,
    *,
    seed: int = 0,
    instance: int = 0,
    **config: object,
) -> list[Pair]:
    rng_states = np.random.default_rng(seed).integers(2**63, size=len(documents)).astype(np.uint64)
    pairs = cut_pairs(
        make_documents(documents),
        rng_states,
        instance=instance,
        config=RecordsConfig(sequence_length=sequence_length, **config),
        word_starts=word_starts,
    )
    return list_pairs(pairs)
