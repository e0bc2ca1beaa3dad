"""Near-duplicates in the Beam pipeline of the records step, as `albert_core.records` finds them."""

import dataclasses
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import apache_beam as beam
import numpy as np

from albert_core.records.compact import token_dtype
from albert_core.records.documents import choose_shard, shard_names
from albert_core.records.encoded import EncodedDocument, read_index
from albert_core.records.near_duplicates import (
    Example,
    find_near_duplicates,
    first_examples,
    join_examples,
    merge_left_out,
    pair_keys,
)
from albert_core.records.sorted_rows import write_rows
from albert_core.records.statistics import Counts
from components.records.worker_context import WorkerContext

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

    def process(self, element: tuple[str, Iterable[str]]) -> Iterator[tuple[str, str]]:
        """Search a partition, unless its file is whole, and yield (shard, address) of some files.

        Each partition passes its part of the encoded files on, to every shard.

        Args:
            element: Number of the partition, and the addresses of all encoded files, in any order.
        """
        partition, encoded = element
        paths = sorted(encoded)
        if not self.context.has_pairs(partition):
            self._search(partition, paths)
        for path in paths[int(partition) :: len(self.context.partitions)]:
            for shard in shard_names(self.context.config):
                yield shard, path

    def _search(self, partition: str, paths: Iterable[str]) -> None:
        """Write the partition's pairs, in a section for each shard, and then their index.

        Files that are there are replaced.

        Args:
            partition: Name of the partition.
            paths: Addresses of all encoded files, sorted.

        Raises:
            DamageError: An index or a file of signatures is damaged, or belongs to other work.
        """
        context = self.context
        minhasher = context.minhasher
        assert minhasher is not None
        signatures = {
            context.signatures_path(path): read_index(path, work=context.work).counts["signatures"]
            for path in paths
        }
        sections = {path: facts["sections"][partition] for path, facts in signatures.items()}
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
        """Yield the pairs of each shard, by its name, in the order given."""
        rows = defaultdict[str, list[int]](list)
        for row, key in enumerate(pair_keys(pairs)):
            rows[choose_shard(key, self.context.config)].append(row)
        for shard, numbers in rows.items():
            yield shard, [pairs[numbers]]


@dataclasses.dataclass(frozen=True)
class LeftOutDocuments:
    """What all partitions found together.

    Attributes:
        context: The settings.
        indexes: What `write_pairs_index` wrote for each partition.
    """

    context: WorkerContext
    indexes: Mapping[str, Mapping[str, Any]]

    @classmethod
    def read(cls, context: WorkerContext) -> "LeftOutDocuments":
        """Read the indexes of all partitions.

        Raises:
            DamageError: One is damaged.
        """
        return cls(context, {name: context.read_pairs_index(name) for name in context.partitions})

    @property
    def examples(self) -> list[Example]:
        """At most five documents that are left out, of the smallest keys, each with one like it."""
        return join_examples(index["examples"] for index in self.indexes.values())

    def keys(self, shard: str) -> Iterator[bytes]:
        """Yield the keys of a shard's documents that are left out, sorted; some several times.

        Raises:
            DamageError: A file of pairs is not what was written.
        """
        return merge_left_out(
            {
                self.context.pairs_path(partition): index["sections"][shard]
                for partition, index in self.indexes.items()
                if shard in index["sections"]
            }
        )

    def with_texts(
        self, documents: Iterable[EncodedDocument], counts: Counts
    ) -> Iterator[EncodedDocument]:
        """Yield documents as they come, and note how those begin that are among the examples.

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
