"""The Beam pipeline of the records step: it only carries what `albert_core.records` computes.

Beam moves addresses of files, not text: a worker writes the encoded documents of its split into a
file, and the worker that builds a shard reads the shard's sections of all these files. A file that
exists is not made again, so a killed run continues where it stopped; but first it is compared with
its checksum, and made again if it is damaged or belongs to other work.
"""

import collections
import dataclasses
import itertools
import json
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions

from albert_core.checksums import DamageError, describe_file, report_damage, seal, unseal
from albert_core.corpus import CorpusConfig, CorpusSplit, ReadCounts, read_split
from albert_core.corpus.cleaning import CleaningConfig, DocumentFilter
from albert_core.corpus.overlap import OverlapIndex
from albert_core.files import hash_json
from albert_core.records.config import RecordsConfig
from albert_core.records.documents import encode_documents, shard_names
from albert_core.records.encoded import (
    EncodedFile,
    index_path,
    merge_documents,
    read_index,
    write_encoded,
)
from albert_core.records.shards import ShardBuilder
from albert_core.records.statistics import Counts
from albert_core.records.tfrecord import write_tfrecords
from albert_core.storage import (
    content_hash,
    exists,
    find_stored_damage,
    join,
    read_bytes,
    write_bytes,
    write_file,
)
from albert_core.storage_settings import StorageConfig
from albert_core.tokenization import Tokenizer

_PART_CHARACTERS = 64_000_000  # of the text that one file of encoded documents is made of
# Part of the names of intermediate files. Change it with their content: files of a killed run that
# older code wrote are then not found, and made again, instead of being misread.
_WORK_FORMAT = "v3"


@dataclasses.dataclass(frozen=True, kw_only=True)
class WorkerContext:
    """The settings that every worker needs, and the addresses of the files that they share.

    Attributes:
        corpus: How the text is read.
        cleaning: Which documents are left out.
        config: How documents become records.
        tokenizer: The tokenizer.
        folder: Folder of encoded documents and shards, local, gs:// or s3://.
        work: What all of that is for: settings and inputs. Files of other work are not taken up.
        storage: How buckets are called; by default as in the process that makes the context.
    """

    corpus: CorpusConfig
    cleaning: CleaningConfig
    config: RecordsConfig
    tokenizer: Tokenizer
    folder: str
    work: str = ""
    storage: StorageConfig = dataclasses.field(default_factory=StorageConfig.of_process)

    def encoded_path(self, split: str, part: int) -> str:
        """Return the address of the file with one part of a split's encoded documents."""
        return join(self.folder, f"encoded-{_WORK_FORMAT}-{split}-{part}")

    def encoded_parts(self, split: str) -> list[EncodedFile]:
        """Read the indexes of a split's encoded files, in order.

        Empty unless all files exist, up to the one that says it is the last.

        Raises:
            DamageError: An index is damaged or belongs to other work.
        """
        parts: list[EncodedFile] = []
        while not parts or not parts[-1].is_last:
            path = self.encoded_path(split, len(parts))
            if not exists(index_path(path)):
                return []
            parts.append(read_index(path, work=self.work))
        return parts

    def whole_parts(self, split: str) -> list[EncodedFile]:
        """Return `encoded_parts`; empty if one of the files or indexes is damaged, which is told.

        Local files are read once to compare their checksums, at some 2.5 GB a second.
        """
        try:
            parts = self.encoded_parts(split)
            for part in parts:
                if damage := find_stored_damage(part.path, part.file):
                    raise DamageError(damage)
        except DamageError as error:
            report_damage(self.encoded_path(split, 0), error, "this split is encoded again")
            return []
        return parts

    def shard_path(self, shard: str) -> str:
        """Return the address of a shard's TFRecord file, by a name of `shard_names`."""
        return join(self.folder, f"{shard}.tfrecord")

    def counts_path(self, shard: str) -> str:
        """Return the address of a shard's counts; they exist only once the shard is complete."""
        return join(self.folder, f"{shard}.{_WORK_FORMAT}.json")

    def read_counts(self, shard: str) -> Counts:
        """Return the counts of a complete shard; `file` is its size and checksum.

        Raises:
            DamageError: They are damaged, or those of another shard or of other work.
        """
        return unseal(read_bytes(self.counts_path(shard)), work=f"{self.work} {shard}")

    def write_counts(self, shard: str, counts: Counts) -> None:
        """Write the counts of a complete shard as JSON, sealed for this work and shard."""
        sealed = seal(counts, work=f"{self.work} {shard}")
        write_bytes(self.counts_path(shard), json.dumps(sealed).encode())

    def is_complete(self, shard: str) -> bool:
        """Return whether a shard is made, and whole; damage is told.

        A local shard is read once to compare its checksum.
        """
        if not exists(self.counts_path(shard)):
            return False
        try:
            damage = find_stored_damage(self.shard_path(shard), self.read_counts(shard)["file"])
        except DamageError as error:
            damage = str(error)
        if damage:
            report_damage(self.shard_path(shard), damage, "this shard is built again")
        return damage is None

    @property
    def overlap_path(self) -> str:
        """Address of the index of the evaluation sets' n-grams."""
        return join(self.folder, "evaluation_ngrams.npz")

    def write_overlap_index(self) -> None:
        """Write the index of the evaluation sets, if there are any, once for all workers.

        An index already in the folder is replaced: to read the sets takes seconds, and so nothing
        that a killed run left must be trusted.

        Raises:
            InputError: A file of an evaluation set is missing or not in a known format.
        """
        if not self.cleaning.evaluation_sets:
            return
        index = OverlapIndex.build(self.cleaning.evaluation_sets, ngram=self.cleaning.overlap_ngram)
        with tempfile.TemporaryDirectory() as folder:
            index.save(self.overlap_path, scratch=Path(folder) / "index")

    def load_overlap_index(self) -> OverlapIndex | None:
        """Load what `write_overlap_index` wrote; None where there are no evaluation sets.

        Raises:
            InputError: There are sets, and it has not been called.
        """
        return OverlapIndex.load(self.overlap_path) if self.cleaning.evaluation_sets else None


def name_splits(splits: Sequence[CorpusSplit]) -> dict[str, CorpusSplit]:
    """Return the splits of a corpus by name, in their order; a name is a hash of the content.

    The bytes of all files are hashed. Splits of equal content get different names, by a number.
    """
    # By content, so that a resumed run finds its work when files were renamed or moved meanwhile.
    paths = {file.path for split in splits for file in split.ranges}
    hashes = {path: content_hash(path) for path in sorted(paths)}
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
    """Write the shards of all splits, and a JSON file of counts for each shard; wait for the end.

    Files in the context's folder that an earlier run finished are not made again. Where there are
    evaluation sets, `context.write_overlap_index` must have been called.

    Args:
        context: What every worker needs.
        splits: The corpus, as `name_splits` returns it.
        options: Options of Beam, which name the runner.

    Returns:
        Beam's result of the pipeline; with the option `no_wait_until_finish` while it runs.
    """
    # Create, ParDo and GroupByKey only, and one leaf: what every runner gets right. Reshuffle keeps
    # runners from fusing Create with EncodeSplit, which would put all splits on one worker.
    with beam.Pipeline(options=options) as pipeline:
        _ = (
            pipeline
            | "Splits" >> beam.Create(list(splits.items()))
            | "SpreadSplits" >> beam.Reshuffle()
            | "EncodeSplit" >> beam.ParDo(EncodeSplit(context))
            | "GroupByShard" >> beam.GroupByKey()
            | "BuildShard" >> beam.ParDo(BuildShard(context))
        )
    return pipeline.result


class EncodeSplit(beam.DoFn):
    """Turns a named split into pairs (shard, address of a file with documents of that shard)."""

    def __init__(self, context: WorkerContext) -> None:
        """Keep the context, which Beam pickles for the workers."""
        self.context = context

    def setup(self) -> None:
        """Load the document filter; Beam calls this before `process`, once for each copy."""
        self.context.storage.apply()
        self.document_filter = DocumentFilter(
            self.context.cleaning, self.context.load_overlap_index()
        )

    def process(self, element: tuple[str, CorpusSplit]) -> Iterator[tuple[str, str]]:
        """Encode a split, unless its files are whole, and yield each address for every shard.

        A file is named to all shards, also to those of which it holds no document.
        """
        name, split = element
        if not self.context.whole_parts(name):
            self._encode(name, split)
        for part in self.context.encoded_parts(name):
            for shard in shard_names(self.context.config):
                yield shard, part.path

    def _encode(self, name: str, split: CorpusSplit) -> None:
        """Write the encoded documents of a split into as many files as its size needs.

        One at least, also of a split without documents; files left by a killed run are replaced.
        The last file's counts hold those of reading the whole split, too, as `reading`.
        """
        reading = ReadCounts()
        documents = read_split(split, self.context.corpus, reading)
        for part in itertools.count():
            shards, counts = encode_documents(
                _first_characters(documents, _PART_CHARACTERS),
                tokenizer=self.context.tokenizer,
                document_filter=self.document_filter,
                config=self.context.config,
            )
            # Look ahead by one document, since a file says whether it is the last of its split.
            following = next(documents, None)
            if following is not None:
                documents = itertools.chain([following], documents)
            else:
                counts["reading"] = dataclasses.asdict(reading)
            with tempfile.TemporaryDirectory() as folder:
                write_encoded(
                    self.context.encoded_path(name, part),
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
        """Make the builder with its tables of the vocabulary; Beam calls this before `process`."""
        self.context.storage.apply()
        self.builder = ShardBuilder.from_tokenizer(
            self.context.tokenizer,
            self.context.config,
            deduplicate=self.context.cleaning.deduplicate,
        )

    def process(self, element: tuple[str, Iterable[str]]) -> None:
        """Build a shard and write it, then its counts; does nothing where it is made and whole.

        Yields nothing to later stages.

        Args:
            element: Name of the shard, and the addresses of all encoded files, in any order.
        """
        shard, paths = element
        if self.context.is_complete(shard):
            return
        counts: Counts = {}
        with tempfile.TemporaryDirectory() as folder:
            scratch = Path(folder) / "records"
            # Sorted: runners group in any order, and equal documents are merged in that of paths.
            records = self.builder.records(merge_documents(sorted(paths), shard), counts)
            counts["num_records"] = write_tfrecords(scratch, records)
            counts["file"] = describe_file(scratch)
            write_file(self.context.shard_path(shard), scratch)
        # The counts last: where they are, the shard is complete.
        self.context.write_counts(shard, counts)
