"""The Beam pipeline of the records step: it only carries what `albert_core.records` computes.

Beam moves addresses of files, not text: a worker writes the encoded documents of its split into a
file, and the worker that builds a shard reads the shard's sections of all these files. Where a
section is comes with the address, since the index of a file has those of all shards. A file that
exists is not made again, so a killed run continues where it stopped; but first it is compared with
its checksum, and made again if it is damaged or belongs to other work.
"""

import collections
import dataclasses
import itertools
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions, StandardOptions

from albert_core.corpus import CorpusSplit, ReadCounts, read_split
from albert_core.corpus.cleaning import DocumentFilter
from albert_core.errors import InputError
from albert_core.files.atomic import hash_json
from albert_core.files.checksums import describe_file
from albert_core.records.documents import encode_documents, shard_names
from albert_core.records.encoded import Section, merge_documents, write_encoded
from albert_core.records.shards import ShardBuilder
from albert_core.records.signature_table import SignatureTable
from albert_core.records.statistics import Counts
from albert_core.records.tfrecord import write_tfrecords
from albert_core.storage import write_file
from components.records.near_duplicates import FindNearDuplicates, LeftOutDocuments
from components.records.worker_context import WorkerContext

_PART_CHARACTERS = 64_000_000  # of the text that one file of encoded documents is made of
_PART_SIGNATURES = 4_000_000  # rows in one file of them; sorting takes 30 B of memory for each


def name_splits(splits: Sequence[CorpusSplit], hashes: Mapping[str, str]) -> dict[str, CorpusSplit]:
    """Return the splits of a corpus by name, in their order; a name is a hash of the content.

    A number makes the names of splits with equal content different.

    Args:
        splits: The splits.
        hashes: The hash of each file's content, by path.

    Raises:
        InputError: A file has no hash: it came after the files were hashed.
    """
    for path in {file.path for split in splits for file in split.ranges} - hashes.keys():
        raise InputError(f"corpus.files: {path} was added while the work began; start it again")
    # By content, so that a resumed run finds its work when files were renamed or moved meanwhile.
    names, repetitions = {}, collections.Counter[str]()
    for split in splits:
        content = hash_json([[hashes[file.path], file.start, file.end] for file in split.ranges])
        # Numbered: a corpus may hold the same file twice, and both copies count.
        names[f"{content[:16]}-{repetitions[content]}"] = split
        repetitions[content] += 1
    return names


def run_beam(
    context: WorkerContext, splits: Mapping[str, CorpusSplit], options: PipelineOptions
) -> Any:
    """Run the Beam pipeline that writes the shards of records, each with a JSON file of its counts.

    Waits until the pipeline has ended. Files in the context's folder that an earlier run finished,
    of encoded documents or of shards, are not made again. If there are evaluation sets,
    `context.write_overlap_index` must have been called before. Errors of the runner and of its
    workers pass as they are.

    Args:
        context: What every worker needs.
        splits: The corpus, as `name_splits` returns it.
        options: Options of Beam, which name the runner.

    Returns:
        Beam's result of the pipeline. With Beam's option `no_wait_until_finish` it is returned
        while the pipeline still runs.
    """
    # Create, ParDo, GroupByKey, one leaf: what every runner gets right. This Reshuffle keeps
    # runners from fusing Create with EncodeSplit, which would put all splits on one worker.
    with beam.Pipeline(options=options) as pipeline:
        encoded = (
            pipeline
            | "Splits" >> beam.Create(list(splits.items()))
            | "SpreadSplits" >> beam.Reshuffle()
            | "EncodeSplit" >> beam.ParDo(EncodeSplit(context))
        )
        if context.minhasher:
            partitions = _group(encoded, "Partition", options)
            encoded = partitions | "FindNearDuplicates" >> beam.ParDo(FindNearDuplicates(context))
        shards = _group(encoded, "Shard", options)
        _ = shards | "BuildShard" >> beam.ParDo(BuildShard(context))
    return pipeline.result


def _group(pairs: beam.PCollection, what: str, options: PipelineOptions) -> beam.PCollection:
    """Return the groups of pairs with equal keys, spread over the workers as evenly as can be.

    Args:
        pairs: Pairs of a key and a value.
        what: What a key names; part of the names of the transforms.
        options: Options of Beam, which name the runner.
    """
    groups = pairs | f"GroupBy{what}" >> beam.GroupByKey()
    # Flink leaves a group at the slot to which its key's hash sent it, which may be six shards of
    # eight at one of two slots; then it deals groups out in turn. Other runners give one after the
    # other to whoever is free.
    if options.view_as(StandardOptions).runner == "FlinkRunner":
        groups |= f"Spread{what}s" >> beam.Reshuffle()
    return groups


class EncodeSplit(beam.DoFn):
    """Turns a named split into pairs: a shard, and its section of a file of documents.

    Where near-duplicates are looked for, the pairs are a partition and its section of the file of
    signatures that goes with the file of documents.
    """

    def __init__(self, context: WorkerContext) -> None:
        """Keep the context, which Beam pickles for the workers."""
        self.context = context

    def setup(self) -> None:
        """Load the document filter; Beam calls this before `process`, once for each copy.

        Calls to buckets use the settings of the process that made the context.

        Raises:
            InputError: There are evaluation sets, and `write_overlap_index` has not been called.
        """
        self.context.storage.apply()
        self.document_filter = DocumentFilter(
            self.context.cleaning, self.context.load_overlap_index()
        )

    def process(
        self, element: tuple[str, CorpusSplit]
    ) -> Iterator[tuple[str, tuple[str, Section]]]:
        """Encode a split, unless its files are whole, and yield each file for every shard.

        Every shard gets the file's address and its section, even if the file holds no document of
        the shard; where near-duplicates are looked for, every partition does instead. If a file is
        damaged, that is reported on standard error, and the whole split is encoded again.

        Args:
            element: Name of the split, and the split.

        Yields:
            Name of a shard, or of a partition; and the address of a file of encoded documents with
            the shard's section of it, or the partition's section of the file of its signatures.

        Raises:
            InputError: A file of the split cannot be read, or is not what the settings say.
            ServiceError: The storage failed.
        """
        name, split = element
        if not self.context.whole_parts(name):
            self._encode(name, split)
        context = self.context
        for part in context.encoded_parts(name):
            if context.minhasher:
                sections = context.signature_sections(part.path)
            else:
                # Empty ones, too: a shard that nothing is sent to has no group, and is not built.
                sections = {shard: part.section(shard) for shard in shard_names(context.config)}
            for receiver, section in sections.items():
                yield receiver, (part.path, section)

    def _encode(self, name: str, split: CorpusSplit) -> None:
        """Write the encoded documents of a split into as many files as its size needs.

        Where near-duplicates are looked for, its number of documents counts, too.

        There is at least one file, even for a split without documents; files left by a killed run
        are replaced. The counts of the last file also hold, as `reading`, the counts of reading the
        whole split.

        Raises:
            InputError: A file of the split cannot be read, or is not what the settings say.
            ServiceError: The storage failed.
        """
        reading = ReadCounts()
        documents = read_split(split, self.context.corpus, reading)
        minhasher = self.context.minhasher
        most_documents = max(1, _PART_SIGNATURES // minhasher.num_bands) if minhasher else None
        for part in itertools.count():
            path = self.context.encoded_path(name, part)
            signatures = SignatureTable(minhasher) if minhasher else None
            shards, counts = encode_documents(
                itertools.islice(_first_characters(documents, _PART_CHARACTERS), most_documents),
                tokenizer=self.context.tokenizer,
                document_filter=self.document_filter,
                config=self.context.config,
                signatures=signatures,
            )
            # Look ahead by one document, since a file says whether it is the last of its split.
            following = next(documents, None)
            if following is not None:
                documents = itertools.chain([following], documents)
            else:
                counts["reading"] = dataclasses.asdict(reading)
            with tempfile.TemporaryDirectory() as folder:
                # Before the index of the encoded file: where that is, all is there.
                if signatures is not None:
                    index = signatures.write(
                        self.context.signatures_path(path),
                        len(self.context.partitions),
                        scratch=Path(folder) / "signatures",
                    )
                    self.context.write_signatures_index(path, index)
                    counts["num_signatures"] = index["num_entries"]
                write_encoded(
                    path,
                    shards,
                    counts,
                    scratch=Path(folder) / "encoded",
                    work=self.context.work,
                    is_last=following is None,
                )
            if following is None:
                return


def _first_characters(documents: Iterator[list[str]], limit: int) -> Iterator[list[str]]:
    """Yield documents until they have `limit` characters or more; leave the others in `documents`.

    The last one yielded may go beyond the limit.
    """
    num_characters = 0
    while num_characters < limit and (document := next(documents, None)) is not None:
        num_characters += sum(map(len, document))
        yield document


class BuildShard(beam.DoFn):
    """Turns the encoded documents of a shard into one TFRecord file and a file of counts."""

    def __init__(self, context: WorkerContext) -> None:
        """Keep the context, which Beam pickles for the workers."""
        self.context = context

    def setup(self) -> None:
        """Make the builder with its tables of the vocabulary; Beam calls this before `process`.

        Calls to buckets use the settings of the process that made the context.
        """
        self.context.storage.apply()
        self.builder = ShardBuilder.from_tokenizer(
            self.context.tokenizer,
            self.context.config,
            deduplicate=self.context.cleaning.deduplicate,
        )

    def process(self, element: tuple[str, Iterable[tuple[str, Section]]]) -> None:
        """Build a shard and write it, then its counts; do nothing if both are there and whole.

        Yields nothing to later stages.

        Args:
            element: Name of the shard, and addresses of all encoded files with the shard's section
                of each, in any order.

        Raises:
            DamageError: An encoded file or a file of pairs is damaged, or belongs to other work.
            InputError: A file is missing, or cannot be read or written.
            ServiceError: The storage failed.
        """
        shard, sections = element
        if self.context.is_complete(shard):
            return
        counts: Counts = {}
        # Sorted: runners group in any order, and equal documents are merged in that of paths.
        documents = merge_documents(dict(sorted(sections)), shard)
        left_out: Iterator[bytes] | None = None
        if self.context.minhasher:
            near_duplicates = LeftOutDocuments.read(self.context, shard)
            documents = near_duplicates.with_texts(documents, counts)
            left_out = near_duplicates.keys()
        with tempfile.TemporaryDirectory() as folder:
            scratch = Path(folder) / "records"
            records = self.builder.records(documents, counts, left_out)
            counts["num_records"] = write_tfrecords(scratch, records)
            counts["file"] = describe_file(scratch)
            write_file(self.context.shard_path(shard), scratch)
        # The counts last: where they are, the shard is complete.
        self.context.write_counts(shard, counts)
