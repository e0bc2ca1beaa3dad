"""The Beam pipeline of the records step: it only carries what `albert_core.records` computes.

Create, ParDo and GroupByKey only, and one leaf: what every runner gets right. The order of
elements is never relied on: a shard is sorted by document key before it is written, so that its
bytes are the same on every runner and for any number of workers.
"""

import collections
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions

from albert_core.corpus import CorpusConfig, read_documents
from albert_core.records.compact import (
    HELD_OUT_PREFIX,
    TRAIN_PREFIX,
    encode_pair,
    piece_dtype,
)
from albert_core.records.config import RecordsConfig
from albert_core.records.pairs import (
    SegmentPair,
    document_key,
    document_random,
    segment_pairs,
)
from albert_core.records.tfrecord import write_tfrecords
from albert_core.runs.files import write_json
from albert_core.tokenization import Tokenizer, load_tokenizer

_BATCH_SENTENCES = 4096  # encoded in one call

CutDocument = tuple[bytes, list[bytes], dict[str, int]]
"""Key, serialised records, counts."""


def run_beam(
    files: Sequence[Path],
    corpus: CorpusConfig,
    vocab: Path,
    config: RecordsConfig,
    shards: Path,
    statistics: Path,
) -> None:
    """Write the shards of all files, and a JSON file of counts for each shard."""
    options = PipelineOptions(
        ["--runner=apache_beam.runners.portability.fn_api_runner.FnApiRunner"]
    )
    with beam.Pipeline(options=options) as pipeline:
        _ = (
            pipeline
            | "Files" >> beam.Create([str(path) for path in files])
            | "CutDocuments" >> beam.ParDo(CutDocuments(corpus, str(vocab), config))
            | "GroupByShard" >> beam.GroupByKey()
            | "WriteShard" >> beam.ParDo(WriteShard(str(shards), str(statistics)))
        )


class CutDocuments(beam.DoFn):
    """A file's documents to (shard name, cut document)."""

    def __init__(self, corpus: CorpusConfig, vocab: str, config: RecordsConfig) -> None:
        self.corpus, self.vocab, self.config = corpus, vocab, config

    def setup(self) -> None:
        """Load the tokenizer once a worker."""
        self.tokenizer: Tokenizer = load_tokenizer(self.vocab)
        self.word_starts = self.tokenizer.word_starts()
        self.dtype = piece_dtype(len(self.tokenizer))

    def process(self, path: str) -> Iterator[tuple[str, CutDocument]]:
        """Read, encode in batches, cut, serialise."""
        for documents in _batches(read_documents(Path(path), self.corpus)):
            flat = [sentence for document in documents for sentence in document]
            encoded = iter(self.tokenizer.encode_batch(flat))
            for document in documents:
                yield self._cut(document, [next(encoded) for _ in document])

    def _cut(self, sentences: list[str], ids: list[list[int]]) -> tuple[str, CutDocument]:
        key = document_key(sentences)
        pairs = [
            pair
            for instance in range(self.config.dupe_factor)
            for pair in self._pairs(key, ids, instance)
        ]
        counts = {
            "num_documents": 1,
            "num_documents_without_record": int(not pairs),
            "num_sentences": len(sentences),
            "num_pieces": sum(map(len, ids)),
            "num_record_pieces": sum(len(pair.first) + len(pair.second) for pair in pairs),
        }
        records = [encode_pair(pair, self.dtype) for pair in pairs]
        return _shard_name(key, self.config), (key, records, counts)

    def _pairs(self, key: bytes, ids: list[list[int]], instance: int) -> Iterator[SegmentPair]:
        # Every other copy begins one sentence later, so that other sentences meet.
        first = instance % 2 if len(ids) > 2 else 0
        return segment_pairs(
            ids[first:],
            sequence_length=self.config.sequence_length,
            short_sequence_probability=self.config.short_sequence_probability,
            word_starts=self.word_starts,
            rng=document_random(key, seed=self.config.seed, purpose=f"cut {instance}"),
        )


def _batches(documents: Iterable[list[str]]) -> Iterator[list[list[str]]]:
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


def _shard_name(key: bytes, config: RecordsConfig) -> str:
    draw = document_random(key, seed=config.seed, purpose="split").random()
    if draw < config.held_out_share:
        return f"{HELD_OUT_PREFIX}-00000-of-00001"
    shard = int.from_bytes(key[:8], "little") % config.num_shards
    return f"{TRAIN_PREFIX}-{shard:05d}-of-{config.num_shards:05d}"


class WriteShard(beam.DoFn):
    """A shard's cut documents to one TFRecord file, sorted, without repeated documents."""

    def __init__(self, shards: str, statistics: str) -> None:
        self.shards, self.statistics = shards, statistics

    def process(self, element: tuple[str, Iterable[CutDocument]]) -> None:
        """Write shard and counts, each in one rename, the counts last."""
        name, documents = element
        by_key: dict[bytes, CutDocument] = {}
        counts: collections.Counter[str] = collections.Counter()
        for document in documents:
            counts["num_duplicate_documents"] += int(document[0] in by_key)
            by_key[document[0]] = document
        records = []
        for _, own_records, own_counts in (by_key[key] for key in sorted(by_key)):
            records.extend(own_records)
            counts.update(own_counts)
        counts["num_records"] = len(records)
        target = Path(self.shards) / f"{name}.tfrecord"
        partial = target.with_name(f".{target.name}.partial")
        write_tfrecords(partial, records)
        os.replace(partial, target)
        write_json(Path(self.statistics) / f"{name}.json", counts)
