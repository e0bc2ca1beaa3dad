"""Near-duplicates in the Beam pipeline of the records step, as `albert_core.records` finds them."""

import dataclasses
import itertools
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import apache_beam as beam
import numpy as np

from albert_core.records.compact import token_dtype
from albert_core.records.documents import choose_shard, shard_names
from albert_core.records.encoded import EncodedDocument, Section, read_index
from albert_core.records.near_duplicates import (
    Example,
    SearchCounts,
    find_near_duplicates,
    first_examples,
    join_examples,
    merge_left_out,
    pair_keys,
)
from albert_core.records.sorted_rows import write_rows
from albert_core.records.statistics import Counts
from components.records.worker_context import WorkerContext

_BLOCK_PAIRS = 1 << 16
_TEXT_TOKENS = 60  # of the beginning of an example


class FindNearDuplicates(beam.DoFn):
    """Writes a partition's documents that are left out, and passes encoded files on to the shards.

    All partitions are done before the first shard is built: GroupByKey waits for them.
    """

    def __init__(self, context: WorkerContext) -> None:
        """Keep the context, which Beam pickles for the workers."""
        self.context = context

    def setup(self) -> None:
        """Have buckets called as in the process that made the context."""
        self.context.storage.apply()

    def process(
        self, element: tuple[str, Iterable[tuple[str, Section]]]
    ) -> Iterator[tuple[str, tuple[str, Section]]]:
        """Search a partition, unless its file of pairs is whole; yield sections of some files.

        Each partition passes on its part of the encoded files: of each, every shard gets a section.

        Args:
            element: Name of the partition, which is its number; and, in any order, the address of
                each encoded file with the partition's section of the file that has the signatures
                of its documents.

        Yields:
            Name of a shard, and address of an encoded file with the shard's section of it.

        Raises:
            DamageError: An index or a file of signatures is damaged, or belongs to other work.
            ServiceError: The storage failed.
            InputError: A file is missing, or cannot be read or written.
        """
        partition, sections = element
        by_path = dict(sorted(sections))
        if not self.context.has_pairs(partition):
            self._search(partition, by_path)
        # Every partition has all encoded files, and a shard must get each of them once.
        for path in [*by_path][int(partition) :: len(self.context.partitions)]:
            encoded = read_index(path, work=self.context.work)
            for shard in shard_names(self.context.config):
                yield shard, (path, encoded.section(shard))

    def _search(self, partition: str, by_path: Mapping[str, Section]) -> None:
        """Find a partition's near-duplicates, write their pairs to a file, and then its index.

        A pair is a document that is left out and one that is like it. It is in the section of the
        shard that the document left out belongs to; a shard without pairs has no section. Files
        that are there are replaced. The settings must ask for near-duplicates (asserted).

        Args:
            partition: Name of the partition.
            by_path: For each encoded file, by its own address, the partition's section of the file
                with the signatures of its documents. Sorted by address.

        Raises:
            DamageError: A file of signatures is damaged.
            InputError: A file is missing, or cannot be read or written.
            ServiceError: The storage failed.
        """
        context = self.context
        minhasher = context.minhasher
        assert minhasher is not None
        sections = {context.signatures_path(path): section for path, section in by_path.items()}
        pairs, counts = find_near_duplicates(sections, minhasher)
        with tempfile.TemporaryDirectory() as folder:
            written = write_rows(
                context.pairs_path(partition),
                self._by_shard(pairs),
                scratch=Path(folder) / "pairs",
            )
        index = {**written, **dataclasses.asdict(counts), "examples": first_examples(pairs)}
        context.write_pairs_index(partition, index)

    def _by_shard(self, pairs: np.ndarray) -> Iterator[tuple[str, list[np.ndarray]]]:
        """Yield each shard that has pairs: its name, and one array of its pairs, in their order.

        A pair belongs to the shard of the document that is left out.
        """
        config = self.context.config
        names = shard_names(config)
        numbers = {name: number for number, name in enumerate(names)}
        # Block by block: the keys of all pairs as bytes would take more memory than the pairs.
        begins = range(0, len(pairs), _BLOCK_PAIRS)
        blocks = (pair_keys(pairs[begin : begin + _BLOCK_PAIRS]) for begin in begins)
        keys = itertools.chain.from_iterable(blocks)
        chosen = (numbers[choose_shard(key, config)] for key in keys)
        shards = np.fromiter(chosen, np.int32, len(pairs))
        order = np.argsort(shards, kind="stable")
        bounds = np.searchsorted(shards[order], np.arange(len(names) + 1))
        for name, (begin, end) in zip(names, itertools.pairwise(bounds.tolist()), strict=True):
            if begin < end:
                yield name, [pairs[order[begin:end]]]


@dataclasses.dataclass(frozen=True)
class LeftOutDocuments:
    """The documents of a shard that are left out, as all partitions found them.

    Attributes:
        context: The settings.
        sections: The shard's section of each partition's file of pairs, by the file's address.
        examples: At most five documents of all shards that are left out, of the smallest keys, each
            with one like it.
    """

    context: WorkerContext
    sections: Mapping[str, Section]
    examples: list[Example]

    @classmethod
    def read(cls, context: WorkerContext, shard: str) -> "LeftOutDocuments":
        """Read what the indexes of all partitions have of a shard, one after the other.

        Raises:
            DamageError: An index is damaged, or belongs to other work.
            ServiceError: The storage failed.
            InputError: An index is missing, or cannot be read.
        """
        sections, examples = {}, []
        for partition in context.partitions:
            index = context.read_pairs_index(partition)
            if shard in index["sections"]:
                sections[context.pairs_path(partition)] = index["sections"][shard]
            examples.append(index["examples"])
        return cls(context, sections, join_examples(examples))

    def keys(self) -> Iterator[bytes]:
        """Yield the keys of the documents that are left out, sorted; some several times.

        Raises:
            DamageError: A file of pairs is not what was written.
            InputError: A file is missing, or cannot be read.
            ServiceError: The storage failed.
        """
        return merge_left_out(self.sections)

    def with_texts(
        self, documents: Iterable[EncodedDocument], counts: Counts
    ) -> Iterator[EncodedDocument]:
        """Yield documents as they come, and note the beginnings of the examples among them.

        Their first 60 tokens as text, by key, are added to `near_duplicate_texts` of `counts` as
        the documents are taken.
        """
        wanted = {bytes.fromhex(key) for example in self.examples for key in example[:2]}
        texts = counts.setdefault("near_duplicate_texts", {})
        for document in documents:
            if document.key in wanted:
                texts[document.key.hex()] = self._beginning(document)
            yield document

    def _beginning(self, document: EncodedDocument) -> str:
        """Return the first 60 tokens of a document as text, as the vocabulary sees it."""
        tokenizer = self.context.tokenizer
        ids = np.frombuffer(document.token_ids, token_dtype(len(tokenizer)))[:_TEXT_TOKENS]
        is_first = tokenizer.word_starts()
        return "".join(
            " " * bool(is_first[token]) + tokenizer.without_mark(tokenizer.pieces[token])
            for token in ids.tolist()
        ).strip()


def summarize_search(context: WorkerContext) -> tuple[SearchCounts, list[Example]]:
    """Return the counts of all partitions together, and examples of what they left out.

    These are at most five documents, those with the smallest keys, each with a similar one.

    Raises:
        DamageError: The index of a partition is damaged, or belongs to other work.
        ServiceError: The storage failed.
        InputError: An index is missing, or cannot be read.
    """
    num_entries = num_comparisons = largest_bucket = 0
    examples = []
    for partition in context.partitions:
        index = context.read_pairs_index(partition)
        num_entries += index["num_entries"]
        num_comparisons += index["num_comparisons"]
        largest_bucket = max(largest_bucket, index["largest_bucket"])
        examples.append(index["examples"])
    return SearchCounts(num_entries, num_comparisons, largest_bucket), join_examples(examples)


def left_out_keys(context: WorkerContext) -> set[bytes]:
    """Return the keys of the documents of all shards that are left out; all are held in memory.

    Raises:
        DamageError: A partition's index or file of pairs is damaged, or belongs to other work.
        ServiceError: The storage failed.
        InputError: An index or file is missing, or cannot be read.
    """
    return {
        key
        for partition in context.partitions
        for section in context.read_pairs_index(partition)["sections"].values()
        for key in merge_left_out({context.pairs_path(partition): section})
    }
