"""The memory that training a vocabulary takes, for samples of several sizes.

    python -m tests.benchmarks.vocab_memory CORPUS --memory_gb 0.3 0.9 2.7

Trains a vocabulary of 30,000 pieces on each sample of the corpus, in a process of its own. Prints a
row for each: size of the sample, the largest memory until it was chosen and until the end, above
that of the process when it began, in MB and in bytes for a byte of the sample; CPU seconds, and
the beginning of the model's sha256.
"""

import argparse
import multiprocessing
import resource
import tempfile
import time
from pathlib import Path

from albert_core.corpus import CorpusConfig
from albert_core.tokenization.config import VocabConfig
from albert_core.tokenization.kinds import TOKENIZER_KINDS
from components.vocab.step import train_vocab


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("corpus")
    parser.add_argument("--memory_gb", type=float, nargs="+", default=[0.3, 0.9, 2.7])
    parser.add_argument("--kind", choices=tuple(TOKENIZER_KINDS), default="sentencepiece")
    parser.add_argument("--size", type=int, default=30_000)
    arguments = parser.parse_args()
    print("| sample, MB | chosen | trained | bytes a byte | CPU s | sha256 |")
    print("|---|---|---|---|---|---|", flush=True)
    processes = multiprocessing.get_context("spawn")
    for memory_gb in arguments.memory_gb:
        config = VocabConfig(kind=arguments.kind, size=arguments.size, memory_gb=memory_gb)
        process = processes.Process(target=measure, args=(arguments.corpus, config))
        process.start()
        process.join()


def measure(corpus: str, config: VocabConfig) -> None:
    """Train one vocabulary and print its row."""
    start, chosen = peak_megabytes(), 0.0

    def note_choice(_: float, __: float, text: str) -> None:
        nonlocal chosen
        if text.startswith("training"):
            chosen = peak_megabytes() - start

    with tempfile.TemporaryDirectory() as scratch:
        manifest = train_vocab(
            corpus=CorpusConfig(files=(corpus,)),
            config=config,
            output=Path(scratch) / "vocab",
            progress=note_choice,
        )
    trained = peak_megabytes() - start
    sample = float(config.memory_gb) * 1000 / 30  # the whole sample is used of a larger corpus
    name = next(name for name in manifest.files if name in ("spiece.model", "vocab.txt"))
    print(
        f"| {sample:.0f} | {chosen:.0f} | {trained:.0f} | {trained / sample:.1f} | "
        f"{time.process_time():.0f} | {manifest.files[name]['sha256'][:12]} |",
        flush=True,
    )


def peak_megabytes() -> float:
    """Return the largest memory that this process has had, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


if __name__ == "__main__":
    main()
