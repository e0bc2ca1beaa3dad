"""The Beam pipeline of the records step: it only carries what `albert_core.records` computes.

Create, ParDo and GroupByKey only, and one leaf: what every runner gets right. Beam moves the
places of files, not text: a worker leaves the encoded documents of its split in a file, and the
builder of a shard merges its sections of all of them. A file that is there is not made again, so
a killed run continues, and one done twice by two workers is the same file.
"""

import collections
import dataclasses
import itertools
import json
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions

from albert_core.corpus import CorpusConfig, CorpusSplit, ReadCounts, read_split
from albert_core.corpus.cleaning import CleaningConfig, DocumentFilter
from albert_core.corpus.overlap import OverlapIndex
from albert_core.files import hash_json
from albert_core.records.config import RecordsConfig
from albert_core.records.documents import encode_documents, shard_names
from albert_core.records.encoded import (
    EncodedSplit,
    merged_documents,
    read_index,
    write_encoded,
)
from albert_core.records.shards import ShardBuilder
from albert_core.records.statistics import Counts
from albert_core.records.tfrecord import write_tfrecords
from albert_core.storage import content_hash, exists, join, write_bytes, write_file
from albert_core.tokenization import Tokenizer

_PART_CHARACTERS = 64_000_000  # of the text that one file of encoded documents is made of


@dataclasses.dataclass(frozen=True, kw_only=True)
class RecordsJob:
    """What every worker must know.

    Attributes:
        corpus: How the text is read.
        cleaning: What is left out.
        config: How documents become records.
        tokenizer: The vocabulary.
        folder: Where encoded documents and shards go, local or gs://.
    """

    corpus: CorpusConfig
    cleaning: CleaningConfig
    config: RecordsConfig
    tokenizer: Tokenizer
    folder: str

    def encoded_path(self, split: str, part: int) -> str:
        """Return where some of the encoded documents of a split are."""
        return join(self.folder, f"encoded-{split}-{part}")

    def encoded_parts(self, split: str) -> list[EncodedSplit]:
        """Return the files of a split's encoded documents; none if not all are there."""
        parts: list[EncodedSplit] = []
        while not parts or not parts[-1].is_last:
            path = self.encoded_path(split, len(parts))
            if not exists(path):
                return []
            parts.append(read_index(path))
        return parts

    def shard_path(self, shard: str) -> str:
        """Return where a shard is."""
        return join(self.folder, f"{shard}.tfrecord")

    def counts_path(self, shard: str) -> str:
        """Return where the counts of a shard are; they are written after the shard."""
        return join(self.folder, f"{shard}.json")

    @property
    def overlap_path(self) -> str:
        """Where the n-grams of the evaluation sets are."""
        return join(self.folder, "evaluation_ngrams.npz")

    def prepare(self) -> None:
        """Read the evaluation sets once, for all workers."""
        if not self.cleaning.evaluation_sets or exists(self.overlap_path):
            return
        index = OverlapIndex.build(self.cleaning.evaluation_sets, ngram=self.cleaning.overlap_ngram)
        with tempfile.TemporaryDirectory() as folder:
            index.save(self.overlap_path, scratch=Path(folder) / "index")

    def overlap_index(self) -> OverlapIndex | None:
        """Return what `prepare` read; None where there are no evaluation sets."""
        return OverlapIndex.load(self.overlap_path) if self.cleaning.evaluation_sets else None


def name_splits(splits: Sequence[CorpusSplit]) -> dict[str, CorpusSplit]:
    """Name the parts of a corpus by what they hold, the same whatever their files are called."""
    paths = {file.path for split in splits for file in split.ranges}
    hashes = {path: content_hash(path) for path in sorted(paths)}
    named, repetitions = {}, collections.Counter[str]()
    for split in splits:
        content = hash_json([[hashes[file.path], file.start, file.end] for file in split.ranges])
        named[f"{content[:16]}-{repetitions[content]}"] = split
        repetitions[content] += 1
    return named


def run_beam(job: RecordsJob, splits: Mapping[str, CorpusSplit], options: PipelineOptions) -> None:
    """Write the shards of all splits, and a JSON file of counts for each shard."""
    with beam.Pipeline(options=options) as pipeline:
        _ = (
            pipeline
            | "Splits" >> beam.Create(list(splits.items()))
            | "SpreadSplits" >> beam.Reshuffle()
            | "EncodeSplit" >> beam.ParDo(EncodeSplit(job))
            | "GroupByShard" >> beam.GroupByKey()
            | "BuildShard" >> beam.ParDo(BuildShard(job))
        )


class EncodeSplit(beam.DoFn):
    """A named split of the corpus to (shard, place of its encoded documents) for every shard."""

    def __init__(self, job: RecordsJob) -> None:
        self.job = job

    def setup(self) -> None:
        """Load the filter once a worker."""
        self.document_filter = DocumentFilter(self.job.cleaning, self.job.overlap_index())

    def process(self, element: tuple[str, CorpusSplit]) -> Iterator[tuple[str, str]]:
        """Read, clean, encode, write."""
        name, split = element
        if not self.job.encoded_parts(name):
            self._encode(name, split)
        for part in self.job.encoded_parts(name):
            for shard in shard_names(self.job.config):
                yield shard, part.path

    def _encode(self, name: str, split: CorpusSplit) -> None:
        """Write files of as many documents as fit in memory; a split may be one large file."""
        reading = ReadCounts()
        documents = read_split(split, self.job.corpus, reading)
        for part in itertools.count():
            shards, counts = encode_documents(
                _first_characters(documents, _PART_CHARACTERS),
                tokenizer=self.job.tokenizer,
                document_filter=self.document_filter,
                config=self.job.config,
            )
            following = next(documents, None)
            if following is not None:
                documents = itertools.chain([following], documents)
            else:
                counts["reading"] = dataclasses.asdict(reading)
            with tempfile.TemporaryDirectory() as folder:
                write_encoded(
                    self.job.encoded_path(name, part),
                    shards,
                    counts,
                    scratch=Path(folder) / "encoded",
                    is_last=following is None,
                )
            if following is None:
                return


def _first_characters(documents: Iterator[list[str]], limit: int) -> Iterator[list[str]]:
    """Take documents until they have so many characters; the others stay."""
    num_characters = 0
    while num_characters < limit and (document := next(documents, None)) is not None:
        num_characters += sum(map(len, document))
        yield document


class BuildShard(beam.DoFn):
    """The encoded documents of a shard to one TFRecord file, and its counts."""

    def __init__(self, job: RecordsJob) -> None:
        self.job = job

    def setup(self) -> None:
        """Make the vocabulary's tables once a worker."""
        self.builder = ShardBuilder.of_tokenizer(
            self.job.tokenizer, self.job.config, deduplicate=self.job.cleaning.deduplicate
        )

    def process(self, element: tuple[str, Iterable[str]]) -> None:
        """Merge, cut, serialise, write; the counts last."""
        shard, paths = element
        if exists(self.job.counts_path(shard)):
            return
        counts: Counts = {}
        with tempfile.TemporaryDirectory() as folder:
            scratch = Path(folder) / "records"
            records = self.builder.records(merged_documents(sorted(paths), shard), counts)
            counts["num_records"] = write_tfrecords(scratch, records)
            write_file(self.job.shard_path(shard), scratch)
        write_bytes(self.job.counts_path(shard), json.dumps(counts).encode())
