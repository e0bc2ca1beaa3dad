"""What every worker of the records step knows: settings, and the addresses of the shared files."""

import dataclasses
import functools
import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from albert_core.corpus import CorpusConfig
from albert_core.corpus.cleaning import CleaningConfig
from albert_core.corpus.minhash import MinHasher
from albert_core.corpus.overlap import OverlapIndex
from albert_core.files.checksums import DamageError, report_damage, seal, unseal
from albert_core.object_storage.settings import StorageConfig
from albert_core.records.config import RecordsConfig
from albert_core.records.encoded import EncodedFile, Section, index_path, read_index
from albert_core.records.statistics import Counts
from albert_core.storage import exists, find_stored_damage, join, read_bytes, write_bytes
from albert_core.tokenization import Tokenizer

# Part of the names of intermediate files. Change it with their content: files of a killed run that
# older code wrote are then not found, and made again, instead of being misread.
_WORK_FORMAT = "v3"
_ENCODED, _SIGNATURES, _PAIRS = f"encoded-{_WORK_FORMAT}-", "signatures-v2-", "pairs-v1-"


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
    storage: StorageConfig = dataclasses.field(default_factory=StorageConfig.from_environment)

    def encoded_path(self, split: str, part: int) -> str:
        """Return the address of the file with a part of a split's encoded documents, from 0 on."""
        return join(self.folder, f"{_ENCODED}{split}-{part}")

    def signatures_path(self, encoded_path: str) -> str:
        """Return the address of the signatures of the documents in an encoded file."""
        name = encoded_path.rpartition("/")[2].removeprefix(_ENCODED)
        return join(self.folder, _SIGNATURES + name)

    def write_signatures_index(self, encoded_path: str, index: Mapping[str, Any]) -> None:
        """Write the index of the signatures of an encoded file, once their file is complete.

        Args:
            encoded_path: Address of the file of encoded documents.
            index: What `SignatureTable.write` has returned for the file of signatures.
        """
        path = self.signatures_path(encoded_path)
        self._write_sealed(index_path(path), path.rpartition("/")[2], index)

    def signature_sections(self, encoded_path: str) -> dict[str, Section]:
        """Return each partition's section of the file of signatures of an encoded file.

        Raises:
            DamageError: Its index is damaged, or that of another file or of other work.
            InputError: The index is missing, or cannot be read.
            ServiceError: The storage failed.
        """
        path = self.signatures_path(encoded_path)
        index = self._read_sealed(index_path(path), path.rpartition("/")[2])
        return {
            partition: (begin, end, checksum)
            for partition, (begin, end, checksum) in index["sections"].items()
        }

    def _has_signatures(self, encoded_path: str) -> bool:
        """Return whether the file of signatures of an encoded file is whole; report damage."""
        path = self.signatures_path(encoded_path)
        name, remedy = path.rpartition("/")[2], "this split is encoded again"
        return self._is_whole(path, index_path(path), name, remedy)

    def encoded_parts(self, split: str) -> list[EncodedFile]:
        """Read the indexes of a split's encoded files, in order.

        Empty unless all files exist, up to the one that says it is the last.

        Raises:
            DamageError: An index is damaged or belongs to other work.
            InputError: An index cannot be read.
            ServiceError: The storage failed.
        """
        parts: list[EncodedFile] = []
        while not parts or not parts[-1].is_last:
            path = self.encoded_path(split, len(parts))
            if not exists(index_path(path)):
                return []
            parts.append(read_index(path, work=self.work))
        return parts

    def whole_parts(self, split: str) -> list[EncodedFile]:
        """Return `encoded_parts`; empty, with a report on standard error, if one is damaged.

        Where near-duplicates are looked for, the files of signatures must be whole, too: empty if
        one is missing or damaged. Local files are read once to compare their checksums, at some
        2.5 GB a second.

        Raises:
            InputError: A file cannot be read.
            ServiceError: The storage failed.
        """
        try:
            parts = self.encoded_parts(split)
            for part in parts:
                if damage := find_stored_damage(part.path, part.file):
                    raise DamageError(damage)
                if self.minhasher and not self._has_signatures(part.path):
                    return []
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
            InputError: They are missing, or cannot be read.
            ServiceError: The storage failed.
        """
        return self._read_sealed(self.counts_path(shard), shard)

    def write_counts(self, shard: str, counts: Counts) -> None:
        """Write the counts of a complete shard as JSON, with a checksum and the name of this work.

        Counts that are there are replaced. The shard's file must have been written before.
        """
        self._write_sealed(self.counts_path(shard), shard, counts)

    def is_complete(self, shard: str) -> bool:
        """Return whether a shard is made, and whole; report damage on standard error.

        A local shard is read once to compare its checksum.

        Raises:
            InputError: Its files cannot be read.
            ServiceError: The storage failed.
        """
        path, counts_path = self.shard_path(shard), self.counts_path(shard)
        return self._is_whole(path, counts_path, shard, "this shard is built again")

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
            ServiceError: The storage failed.
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
            ServiceError: The storage failed.
        """
        return OverlapIndex.load(self.overlap_path) if self.cleaning.evaluation_sets else None

    @functools.cached_property
    def minhasher(self) -> MinHasher | None:
        """The signer of documents, or None where near-duplicates are not looked for."""
        if self.cleaning.near_duplicate_threshold is None:
            return None
        return MinHasher(
            threshold=self.cleaning.near_duplicate_threshold,
            ngram=self.cleaning.near_duplicate_ngram,
            num_permutations=self.cleaning.num_minhash_permutations,
            seed=self.config.seed,
        )

    @property
    def partitions(self) -> list[str]:
        """Names of the partitions of the buckets of signatures, as many as training shards."""
        return [str(number) for number in range(self.config.num_shards)]

    def pairs_path(self, partition: str) -> str:
        """Return the address of the file with a partition's documents that are left out."""
        return join(self.folder, f"{_PAIRS}{partition}")

    def write_pairs_index(self, partition: str, index: Mapping[str, Any]) -> None:
        """Write the index of a partition's file of pairs, once that file is complete.

        An index that is there is replaced.

        Args:
            partition: One of `partitions`.
            index: What `sorted_rows.write_rows` has returned for the file of pairs, the fields of
                `SearchCounts`, and `examples`, as `first_examples` returns them.
        """
        self._write_sealed(index_path(self.pairs_path(partition)), partition, index)

    def read_pairs_index(self, partition: str) -> dict[str, Any]:
        """Return the index that `write_pairs_index` wrote.

        Raises:
            DamageError: It is damaged, or that of another partition or of other work.
            InputError: It is missing, or cannot be read.
            ServiceError: The storage failed.
        """
        return self._read_sealed(index_path(self.pairs_path(partition)), partition)

    def has_pairs(self, partition: str) -> bool:
        """Return whether a partition's file of pairs is made, and whole; report damage."""
        path = self.pairs_path(partition)
        remedy = "its near-duplicates are looked for again"
        return self._is_whole(path, index_path(path), partition, remedy)

    def _is_whole(self, path: str, description_path: str, name: str, remedy: str) -> bool:
        """Return whether a file is there as its description, written later, says; tell damage.

        Returns False, and reports nothing, where there is no description.

        Args:
            path: The file.
            description_path: Sealed JSON with size and checksum of the file as `file`.
            name: What the description belongs to, beside the work.
            remedy: What is done about damage.
        """
        if not exists(description_path):
            return False
        try:
            facts = self._read_sealed(description_path, name)["file"]
            damage = find_stored_damage(path, facts)
        except DamageError as error:
            damage = str(error)
        if damage:
            report_damage(path, damage, remedy)
        return damage is None

    def _write_sealed(self, path: str, name: str, values: Mapping[str, Any]) -> None:
        """Write JSON with a checksum and the name of the part of this work that it belongs to."""
        write_bytes(path, json.dumps(seal(values, work=f"{self.work} {name}")).encode())

    def _read_sealed(self, path: str, name: str) -> dict[str, Any]:
        """Return the JSON object that `_write_sealed` wrote.

        Raises:
            DamageError: It is damaged, or that of another part or of other work.
            InputError: It is missing, or cannot be read.
            ServiceError: The storage failed.
        """
        return unseal(read_bytes(path), work=f"{self.work} {name}")
