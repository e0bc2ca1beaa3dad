"""Estimate number and size of the records from a sample of the text, before any work is done."""

import dataclasses
import itertools
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from albert_core.corpus import CorpusSplit, FileRange, read_split
from albert_core.corpus.cleaning import DocumentFilter
from albert_core.corpus.file_names import is_stored_as_text
from albert_core.errors import InputError
from albert_core.records.documents import encode_documents
from albert_core.records.shards import ShardBuilder
from albert_core.records.signature_table import entry_dtype
from albert_core.storage import is_remote
from components.records.worker_context import WorkerContext

_SAMPLED_SPLITS = 4
_SAMPLE_CHARACTERS = 200_000  # of each sampled split
_COMPRESSION = 3.0  # bytes of text in a byte of such files, about


@dataclasses.dataclass(frozen=True, kw_only=True)
class SizeEstimate:
    """Estimated sizes; right to a few per cent where the files are of one kind.

    Attributes:
        num_text_bytes: Size of the text.
        num_records: Records, held-out ones included.
        num_record_bytes: Size of all shards.
        num_work_bytes: Size of the encoded documents and their signatures, kept until the shards
            are done.
    """

    num_text_bytes: int
    num_records: int
    num_record_bytes: int
    num_work_bytes: int

    @property
    def text(self) -> str:
        """The estimate in words."""
        return (
            f"estimate: about {self.num_records:,} records, {_megabytes(self.num_record_bytes)}, "
            f"from {_megabytes(self.num_text_bytes)} of text; "
            f"{_megabytes(self.num_work_bytes)} more while at work"
        )


def estimate_records(context: WorkerContext, splits: Sequence[CorpusSplit]) -> SizeEstimate:
    """Make the records of a small sample of the corpus in memory and scale their sizes up.

    Writes nothing. Documents that overlap with evaluation sets count as if they were kept. Number
    and size of the records are 0 where the sample gives none; so is the size of the work where no
    document of the sample is kept and near-duplicates are not looked for.

    Args:
        context: Settings and tokenizer.
        splits: All splits of the corpus.

    Raises:
        InputError: A file of the sample cannot be read, or is not what the settings say.
        ServiceError: The storage failed.
    """
    documents = list(_sample_documents(context, splits))
    num_sampled = sum(len(s.encode()) + 1 for document in documents for s in document)
    shards, _ = encode_documents(
        documents,
        tokenizer=context.tokenizer,
        document_filter=DocumentFilter(context.cleaning),
        config=context.config,
    )
    builder = ShardBuilder.from_tokenizer(context.tokenizer, context.config)
    # Not sorted by key, so repetitions are counted; in a small sample there are few.
    sizes = [len(record) for part in shards.values() for record in builder.records(part, {})]
    num_work = sum(
        len(d.token_ids) + len(d.sentence_lengths) for part in shards.values() for d in part
    )
    if minhasher := context.minhasher:
        entry_bytes = entry_dtype(minhasher.num_permutations).itemsize
        num_work += len(documents) * minhasher.num_bands * entry_bytes
    num_text = sum(_text_bytes(file) for split in splits for file in split.ranges)
    scale = num_text / max(1, num_sampled)
    framing = 16 * len(sizes)  # TFRecord's lengths and checksums
    return SizeEstimate(
        num_text_bytes=round(num_text),
        num_records=round(len(sizes) * scale),
        num_record_bytes=round((sum(sizes) + framing) * scale),
        num_work_bytes=round(num_work * scale),
    )


def refuse_full_disk(estimate: SizeEstimate, folder: Path, *, shared_folder: str = "") -> None:
    """Refuse work that a disk on this machine has no room for.

    Args:
        estimate: What is to be made.
        folder: An existing folder that receives the records.
        shared_folder: Folder of the workers' files, local or in a bucket, which need not exist;
            when empty these are in `folder`, too. In a bucket they need no room here.

    Raises:
        InputError: Less is free there than records and work in progress will need.
    """
    needed = {folder: estimate.num_record_bytes}
    if not shared_folder or not is_remote(shared_folder):
        # The shards, too, are made there, and then linked or copied.
        workers = Path(shared_folder) if shared_folder else folder
        needed[workers] = estimate.num_record_bytes + estimate.num_work_bytes
    for place, num_bytes in needed.items():
        existing = next(path for path in (place, *place.absolute().parents) if path.exists())
        free = shutil.disk_usage(existing).free
        if num_bytes > free:
            raise InputError(
                f"{place}: {_megabytes(free)} are free there, expected about "
                f"{_megabytes(num_bytes)} for records and work in progress; free some, or choose "
                "another disk"
            )


def _sample_documents(context: WorkerContext, splits: Sequence[CorpusSplit]) -> Iterator[list[str]]:
    """Yield the first documents of at most 4 splits, as they are read, before any cleaning.

    The splits are every n-th from the first on, n being a quarter of their number, rounded down,
    but 1 at least.
    Of each, documents are yielded until they have more than 200,000 characters together.
    """
    step = max(1, len(splits) // _SAMPLED_SPLITS)
    for split in itertools.islice(splits[::step], _SAMPLED_SPLITS):
        num_characters = 0
        for document in read_split(split, context.corpus):
            yield document
            num_characters += sum(map(len, document))
            if num_characters > _SAMPLE_CHARACTERS:
                break


def _text_bytes(file: FileRange) -> float:
    """Return the bytes of text in a range of a file; thrice as many as in it if compressed."""
    size = file.end - file.start
    is_plain = is_stored_as_text(file.path) and not file.path.lower().endswith(".parquet")
    return size if is_plain else size * _COMPRESSION


def _megabytes(num_bytes: int) -> str:
    """Format a size in MB with one decimal."""
    return f"{num_bytes / 1e6:,.1f} MB"
