"""Times of the data side: text to records, and records to batches.

    python tests/benchmarks/data.py FOLDER

FOLDER holds the wikiextractor files of Simple English Wikipedia. 50 MB of them are used, one
sentence a line, with a vocabulary of 8,000 pieces trained on them. Times are CPU seconds on one
core without start-up, medians of five. Limits are ratios: to SentencePiece alone, measured in
the same run, and to the original's speed as it was once measured on such text (dupe_factor 1).
"""

import argparse
import dataclasses
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

TEXT_BYTES = 50_000_000
LIBRARY_BYTES = 5_000_000  # of which the library's own time is taken
ORIGINAL_MB_PER_S = {128: 0.30, 512: 0.27}
READING_LIMIT = {128: 60_000, 512: 20_000}
LITTLE_BYTES = 1_000_000  # timed to take the start-up off
REPETITIONS = 5
STEP_REPETITIONS = 3  # of a whole step that is compared with another


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", nargs="?", help="wikiextractor files of Simple English Wikipedia")
    parser.add_argument("--only", choices=tuple(PARTS))
    parser.add_argument("--read", help=argparse.SUPPRESS)  # what `time_reading` starts
    parser.add_argument("--vocab", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.read:
        read_records(arguments.read, arguments.vocab)
        return
    with tempfile.TemporaryDirectory() as scratch:
        text = write_sentences(arguments.folder, Path(scratch) / "text.txt", TEXT_BYTES)
        vocab = train_vocabulary(text, Path(scratch) / "vocab")
        for name, part in PARTS.items():
            if arguments.only in (None, name):
                part(text, vocab)


def write_sentences(folder: str, target: Path, num_bytes: int) -> Path:
    """Write the first documents of a corpus, one sentence a line, blank lines between."""
    from albert_core.corpus import CorpusConfig, corpus_documents

    corpus = CorpusConfig(files=(folder,), format="wikiextractor")
    with target.open("w", encoding="utf-8") as file:
        for document in corpus_documents(corpus):
            file.write("\n".join(document) + "\n\n")
            if file.tell() > num_bytes:
                break
    return target


def train_vocabulary(text: Path, output: Path) -> Path:
    """Train the vocabulary that all measurements use."""
    from albert_core.corpus import CorpusConfig
    from albert_core.tokenization.config import VocabConfig
    from components.vocab.step import train_vocab

    corpus = CorpusConfig(files=(str(text),))
    train_vocab(corpus=corpus, config=VocabConfig(size=8_000, memory_gb=0.5), output=output)
    return output


def cpu_seconds(*functions: Callable[[], Any]) -> list[float]:
    """Return the CPU seconds of calls, the medians of a few, taken in turn."""
    seconds: list[list[float]] = [[] for _ in functions]
    for _ in range(REPETITIONS):
        for function, own in zip(functions, seconds, strict=True):
            started = time.process_time()
            function()
            own.append(time.process_time() - started)
    return list(map(statistics.median, seconds))


def report(
    name: str, value: float, unit: str, limit: float | None = None, *, most: bool = False
) -> None:
    """Print a figure and whether it keeps its limit."""
    verdict = ""
    if limit is not None:
        kept = value <= limit if most else value >= limit
        bound = "at most" if most else "at least"
        verdict = f"   {bound} {limit:,g}: {'met' if kept else 'MISSED'}"
    print(f"{name:58s} {value:12,.2f} {unit}{verdict}", flush=True)


def time_library(text: Path, vocab: Path) -> None:
    """Time the transform without Beam: read, encode, cut, mask, serialise, write."""
    from albert_core.records.config import RecordsConfig
    from albert_core.tokenization import load_tokenizer

    tokenizer: Any = load_tokenizer(vocab)
    part = part_of(text, LIBRARY_BYTES)
    lines = [tokenizer.preprocess(line) for line in part.read_text("utf-8").splitlines()]
    for length in (128, 512):
        for kind in ("compact", "static"):
            config = RecordsConfig(format=kind, sequence_length=length)
            transform(part, tokenizer, config)  # compiles
            alone, seconds = cpu_seconds(
                lambda: tokenizer._processor.EncodeAsIds(lines, num_threads=1),
                lambda config=config: transform(part, tokenizer, config),
            )
            name = f"library, {kind}, length {length}"
            speed = LIBRARY_BYTES / 1e6 / seconds
            report("sentencepiece, batches, alone", LIBRARY_BYTES / 1e6 / alone, "MB/s")
            report(name, speed, "MB/s")
            report(f"{name}: times the original", speed / ORIGINAL_MB_PER_S[length], "x", 20)
            report(f"{name}: times sentencepiece alone", seconds / alone, "x", 2.5, most=True)


def transform(text: Path, tokenizer: Any, config: Any) -> None:
    """Make the records of a file in this process."""
    from albert_core.corpus import CorpusConfig, read_documents
    from albert_core.corpus.cleaning import CleaningConfig, DocumentFilter
    from albert_core.records.documents import encode_documents
    from albert_core.records.encoded import merge_documents, read_index, write_encoded
    from albert_core.records.shards import ShardBuilder
    from albert_core.records.tfrecord import write_tfrecords

    encoded, shard = text.with_name("encoded"), text.with_name("shard")
    documents, counts = encode_documents(
        read_documents(str(text), CorpusConfig(files=(str(text),))),
        tokenizer=tokenizer,
        document_filter=DocumentFilter(CleaningConfig()),
        config=config,
    )
    write_encoded(str(encoded), documents, counts, scratch=text.with_name("scratch"))
    builder = ShardBuilder.from_tokenizer(tokenizer, config)
    for name in documents:
        section = {str(encoded): read_index(str(encoded)).section(name)}
        write_tfrecords(shard, builder.records(merge_documents(section, name), {}))


def time_beam(text: Path, vocab: Path) -> None:
    """Time the whole step in a process of its own, less the time that little text takes."""
    little = part_of(text, LITTLE_BYTES)
    for length in (128, 512):
        for kind in ("compact", "static"):
            start = run_step(little, vocab, length, kind, "in_memory", 1)
            whole = run_step(text, vocab, length, kind, "in_memory", 1)
            num_bytes = text.stat().st_size - little.stat().st_size
            speed = num_bytes / 1e6 / (whole.cpu_seconds - start.cpu_seconds)
            name = f"in Beam, {kind}, length {length}"
            report(name, speed, "MB/s")
            report(f"{name}: times the original", speed / ORIGINAL_MB_PER_S[length], "x", 10)


def time_processes(text: Path, vocab: Path) -> None:
    """Time one worker process and two, in turn, of text enough to be worth them."""
    large = repeated(text, 8)

    def seconds(num_workers: int) -> float:
        mode = "multi_processing"
        return run_step(large, vocab, 128, "static", mode, num_workers).seconds

    pairs = [(seconds(1), seconds(2)) for _ in range(STEP_REPETITIONS)]
    one, two = map(statistics.median, zip(*pairs, strict=True))
    report("one process", one, "s")
    report("two processes", two, "s")
    report("two processes, times one (wall time)", one / two, "x", 1.6)


def time_near_duplicates(text: Path, vocab: Path) -> None:
    """Time the step without and with a search for near-duplicates, in turn, and what it removes."""
    searching = ("--cleaning.near_duplicate_threshold", "0.8")
    output = text.with_name("near-duplicates")
    without, searched = [], []
    for repetition in range(STEP_REPETITIONS):
        without.append(run_step(text, vocab, 128, "compact", "in_memory", 1))
        kept = output if repetition == 0 else None
        searched.append(
            run_step(text, vocab, 128, "compact", "in_memory", 1, output=kept, options=searching)
        )
    for name, runs in (("without", without), ("with", searched)):
        medians = [
            statistics.median(getattr(run, field) for run in runs)
            for field in ("cpu_seconds", "seconds", "peak_gb")
        ]
        for value, unit in zip(medians, ("CPU s", "s", "GB"), strict=True):
            report(f"{name} near-duplicates", value, unit)
    metrics = json.loads((output / "records_report.json").read_text())
    cleaning = json.loads((output / "cleaning_report.json").read_text())["near_duplicates"]
    for name in ("num_documents", "num_duplicate_documents", "num_near_duplicate_documents"):
        report(name, metrics[name], "")
    for name in ("num_comparisons", "largest_bucket"):
        report(name, cleaning[name], "")
    print(json.dumps(cleaning["examples"], indent=1, ensure_ascii=False))


def measure_memory(text: Path, vocab: Path) -> None:
    """Measure the largest memory of the step and its workers together."""
    for copies in (1, 10):
        made = run_step(repeated(text, copies), vocab, 512, "static", "auto", 0)
        size = text.stat().st_size * copies / 1e6
        limit = 1.5 if copies == 10 else None
        report(f"peak memory, {size:.0f} MB", made.peak_gb, "GB", limit, most=True)
        report(f"    wall time, {size:.0f} MB", made.seconds, "s")


def time_reading(text: Path, vocab: Path) -> None:
    """Time tf.data with dynamic masks: batches of 256, one epoch after another, on one core."""
    for length in (128, 512):
        output = text.with_name(f"records-{length}")
        run_step(text, vocab, length, "compact", "in_memory", 1, output=output)
        command = [sys.executable, __file__, "--read", str(output), "--vocab", str(vocab)]
        speeds = [
            float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
            for _ in range(REPETITIONS)
        ]
        name = f"reading with dynamic masks, length {length}"
        report(name, statistics.median(speeds), "examples/s a core", READING_LIMIT[length])


def read_records(records: str, vocab: str) -> None:
    """Print how many examples a CPU second are read."""
    from albert_core.pretraining.dataset import PretrainingData
    from albert_core.records.config import MaskingConfig
    from albert_core.records.description import describe_records
    from albert_core.tokenization import load_tokenizer

    data = PretrainingData.from_records(
        describe_records(records), masking=MaskingConfig(), tokenizer=load_tokenizer(vocab), seed=1
    )
    batches = iter(data.train_batches(256))
    for _ in range(40):  # fills the shuffle buffer, compiles
        next(batches)
    started, count = time.process_time(), 0
    while time.process_time() - started < 5:
        next(batches)
        count += 256
    print(count / (time.process_time() - started))


def part_of(text: Path, num_bytes: int) -> Path:
    """Return a file of the first bytes of a text."""
    part = text.with_name(f"first-{num_bytes}.txt")
    beginning = text.read_bytes()[:num_bytes]
    part.write_bytes(beginning[: beginning.rindex(b"\n") + 1])
    return part


def repeated(text: Path, copies: int) -> Path:
    """Return a file of copies of a text, their documents told apart by a last sentence."""
    path = text.with_name(f"repeated-{copies}.txt")
    documents = text.read_text("utf-8").split("\n\n")
    with path.open("w", encoding="utf-8") as file:
        for copy in range(copies):
            file.writelines(f"{document}\nCopy {copy}.\n\n" for document in documents if document)
    return path


@dataclasses.dataclass(frozen=True)
class Run:
    """What a step took: wall-clock and CPU seconds, and its largest memory, with its workers."""

    seconds: float
    cpu_seconds: float
    peak_gb: float


def run_step(
    text: Path,
    vocab: Path,
    length: int,
    kind: str,
    mode: str,
    num_workers: int,
    *,
    output: Path | None = None,
    options: Sequence[str] = (),
) -> Run:
    """Make records in a new process; the records are kept if `output` is given."""
    with tempfile.TemporaryDirectory(dir=text.parent) as scratch:
        command = [
            *(str(Path(sys.executable).with_name("albert")), "records", "--corpus", str(text)),
            *("--vocab_dir", str(vocab), "--output", str(output or Path(scratch) / "records")),
            *("--records.format", kind, "--records.sequence_length", str(length)),
            *("--beam.mode", mode, "--beam.num_workers", str(num_workers), *options),
        ]
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        started = time.monotonic()
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        process = subprocess.Popen(command, **quiet)
        peak = 0
        while process.poll() is None:
            peak = max(peak, memory_of_tree(process.pid))
            time.sleep(0.05)
        if process.returncode:
            raise SystemExit(f"failed: {' '.join(command)}")
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Run(time.monotonic() - started, cpu, peak / 1e9)


def memory_of_tree(pid: int) -> int:
    """Return the resident bytes of a process and its descendants, shared ones counted once."""
    total, waiting = 0, [pid]
    while waiting:
        own = Path(f"/proc/{waiting.pop()}")
        try:
            rollup = (own / "smaps_rollup").read_text()
            children = [(task / "children").read_text() for task in (own / "task").iterdir()]
        except (FileNotFoundError, ProcessLookupError):
            continue
        total += int(rollup.partition("Pss:")[2].split()[0]) * 1024
        waiting += [int(child) for listed in children for child in listed.split()]
    return total


PARTS: dict[str, Callable[[Path, Path], None]] = {
    "library": time_library,
    "beam": time_beam,
    "processes": time_processes,
    "reading": time_reading,
    "memory": measure_memory,
    "near_duplicates": time_near_duplicates,
}

if __name__ == "__main__":
    main()
