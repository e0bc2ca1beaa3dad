"""A shard of a corpus too large for this machine: memory and time of the worker that builds it.

    python -m tests.benchmarks.large_shard VOCAB --splits 64 1560 15600

Writes encoded documents of random tokens, of each split as many for one shard as text of 64 MB has
where there are 1,000 shards (32 kB), and builds that shard in a process of its own. Prints a row
for each number of splits: size of the records, CPU seconds, the process's largest memory.
"""

import argparse
import multiprocessing
import resource
import tempfile
import time
from pathlib import Path

import numpy as np

from albert_core.records.config import RecordsConfig
from albert_core.records.documents import shard_names
from albert_core.records.encoded import (
    EncodedDocument,
    encode_document,
    merge_documents,
    read_index,
    write_encoded,
)
from albert_core.records.shards import ShardBuilder
from albert_core.records.tfrecord import write_tfrecords
from albert_core.tokenization import load_tokenizer

CONFIG = RecordsConfig(num_shards=1_000)
SHARD = shard_names(CONFIG)[-1]
SECTION_BYTES, SENTENCE_TOKENS = 32_000, 20


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("vocab")
    parser.add_argument("--splits", type=int, nargs="+", default=[64, 1_560, 15_600])
    arguments = parser.parse_args()
    print("| splits | records, MB | CPU s | memory, MiB |\n|---|---|---|---|", flush=True)
    processes = multiprocessing.get_context("spawn")
    for num_splits in arguments.splits:
        with tempfile.TemporaryDirectory() as folder:
            write_splits(Path(folder), num_splits, len(load_tokenizer(arguments.vocab)))
            process = processes.Process(target=build, args=(Path(folder), arguments.vocab))
            process.start()
            process.join()


def write_splits(folder: Path, num_splits: int, vocab_size: int) -> None:
    """Write the encoded documents of splits, those of one shard only."""
    generator = np.random.default_rng(12345)
    for number in range(num_splits):
        documents: list[EncodedDocument] = []
        while sum(len(document.token_ids) for document in documents) < SECTION_BYTES:
            lengths = np.full(generator.integers(10, 100), SENTENCE_TOKENS)
            tokens = generator.integers(0, vocab_size, lengths.sum())
            key = generator.bytes(16)
            documents.append(encode_document(key, tokens, lengths, np.dtype("uint16")))
        path = str(folder / f"encoded-{number:05}")
        write_encoded(path, {SHARD: documents}, {}, scratch=folder / "scratch")


def build(folder: Path, vocab: str) -> None:
    """Build the shard and print its row."""
    paths = sorted(str(path) for path in folder.glob("encoded-*[0-9]"))
    sections = {path: read_index(path).section(SHARD) for path in paths}
    builder = ShardBuilder.from_tokenizer(load_tokenizer(vocab), CONFIG)
    before = time.process_time()
    write_tfrecords(folder / "records", builder.records(merge_documents(sections, SHARD), {}))
    seconds = time.process_time() - before
    megabytes = (folder / "records").stat().st_size / 1e6
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    print(f"| {len(paths)} | {megabytes:.1f} | {seconds:.1f} | {memory} |", flush=True)


if __name__ == "__main__":
    main()
