"""One corpus on this machine, Dask, Flink and Spark: bytes, time, memory.

    python -m tests.engines.benchmark FOLDER --megabytes 20 200

FOLDER holds the wikiextractor files of a Wikipedia, of which the documents of a corpus are joined
at random (seeded). Prints a row for each size, runner and number of workers: wall seconds of
`albert records`, CPU seconds of it and of the cluster meanwhile, the largest memory of the
command's own process and of any other process, and the sha256 of all records.
"""

import argparse
import contextlib
import dataclasses
import hashlib
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path

from tests.engines.clusters import RunningCluster, dask_cluster, flink_cluster, spark_cluster
from tests.engines.installation import engines_folder, find_job_server
from tests.engines.processes import Processes, worker_pool

_ALBERT = "import sys; from pipeline.cli.main import main; sys.exit(main())"
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_CLUSTERS: Mapping[str, Callable[[Path, int], AbstractContextManager[RunningCluster]]] = {
    "dask": lambda folder, number: dask_cluster(folder, num_workers=number),
    "flink": lambda folder, number: flink_cluster(
        engines_folder() / "flink", folder, num_workers=number
    ),
    "spark": lambda folder, number: spark_cluster(
        engines_folder() / "spark", folder, num_workers=number
    ),
}


@dataclasses.dataclass
class Usage:
    """What processes have used since a moment.

    Attributes:
        cpu_s: CPU seconds of all of them.
        command_mib: The largest memory of the command's process.
        other_mib: The largest memory of any other.
    """

    cpu_s: float = 0.0
    command_mib: int = 0
    other_mib: int = 0


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path, help="wikiextractor files")
    parser.add_argument("--megabytes", type=int, nargs="+", default=[20, 200])
    parser.add_argument("--runners", nargs="+", default=["local", "dask", "flink", "spark"])
    parser.add_argument("--workers", type=int, nargs="+", default=[2, 1])
    arguments = parser.parse_args()
    print("| MB | runner | workers | wall s | CPU s | command MiB | other MiB | sha256 |")
    print("|---|---|---|---|---|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        scratch, vocab = Path(folder), Path(folder) / "vocab"
        documents = read_documents(arguments.folder)
        train_vocabulary(write_corpus(documents, scratch / "sample", 1), vocab)
        for megabytes in arguments.megabytes:
            corpus = write_corpus(documents, scratch / f"corpus-{megabytes}", megabytes)
            for runner in arguments.runners:
                for number in arguments.workers:
                    place = scratch / f"{megabytes}-{runner}-{number}"
                    row = measure(runner, number, corpus, vocab, place)
                    print(f"| {megabytes} | {runner} | {number} | {row} |", flush=True)


def read_documents(source: Path) -> list[list[str]]:
    """Read the sentences of documents that have some."""
    from albert_core.corpus import CorpusConfig, corpus_documents

    corpus = CorpusConfig(files=(str(source),), format="wikiextractor")
    return [document for document in corpus_documents(corpus) if len(document) > 3]


def write_corpus(
    documents: list[list[str]], target: Path, megabytes: int, *, seed: int = 12345
) -> Path:
    """Write documents of which each is the beginning of a given one and the end of another.

    They come one sentence a line, in files of some 32 MB.
    """
    generator = random.Random(seed)
    target.mkdir()
    left, number = megabytes * 1_000_000, 0
    while left > 0:
        with (target / f"text-{number:05}.txt").open("wb") as file:
            while left > 0 and file.tell() < 32_000_000:
                first, second = generator.choice(documents), generator.choice(documents)
                lines = first[: generator.randint(1, len(first))]
                lines += second[generator.randint(0, len(second) - 1) :]
                left -= file.write("\n".join([*lines, "", ""]).encode())
        number += 1
    return target


def train_vocabulary(corpus: Path, output: Path) -> None:
    """Train the vocabulary that all runs use."""
    command = ["vocab", "--corpus", str(corpus), "--vocab.size", "8000", "--output", str(output)]
    subprocess.run([sys.executable, "-c", _ALBERT, *command], check=True, capture_output=True)


def measure(runner: str, num_workers: int, corpus: Path, vocab: Path, place: Path) -> str:
    """Make the records once; return the cells of the row for it.

    Args:
        runner: Where.
        num_workers: How many workers do it.
        corpus: The text.
        vocab: Its vocabulary.
        place: Folder to make for the cluster, its work and the records.
    """
    place.mkdir()
    config, records = place / "config.yaml", place / "records"
    with _settings(runner, num_workers, place) as beam, Processes(place) as commands:
        config.write_text(json.dumps({"beam": beam}))  # which is YAML, too
        command = ["records", "--config", str(config), "--corpus", str(corpus)]
        command += ["--vocab_dir", str(vocab), "--output", str(records)]
        before = time.monotonic()
        process = commands.start("command", [sys.executable, "-c", _ALBERT], command)
        usage = watch_usage(process, Processes.sessions)
        wall = time.monotonic() - before
    digest = hashlib.sha256()
    for path in sorted(records.glob("*.tfrecord")):
        digest.update(path.read_bytes())
    return (
        f"{wall:.1f} | {usage.cpu_s:.1f} | {usage.command_mib} | {usage.other_mib} | "
        f"{digest.hexdigest()[:16]}"
    )


@contextlib.contextmanager
def _settings(runner: str, num_workers: int, place: Path) -> Iterator[dict[str, object]]:
    """Start what a runner needs; yield the settings of `beam`."""
    if runner == "local":
        mode = "in_memory" if num_workers == 1 else "multi_processing"
        yield {"mode": mode, "num_workers": num_workers}
        return
    with contextlib.ExitStack() as stack:
        running = stack.enter_context(_CLUSTERS[runner](place / "cluster", num_workers))
        beam: dict[str, object] = {**running.settings}
        if runner != "dask":
            java = ["-Xmx512m", "-XX:TieredStopAtLevel=1"]
            java += ["-Dspark.executor.memory=512m"] if runner == "spark" else []
            beam |= {
                "environment_type": "EXTERNAL",
                "environment_config": stack.enter_context(worker_pool(place / "pool")).address,
                "job_server_jar": str(find_job_server(engines_folder(), runner)),
                "java_options": java,
                "shared_folder": str(place / "shared"),
            }
        yield beam


def watch_usage(process: subprocess.Popen, sessions: set[int]) -> Usage:
    """Wait for a command; return what all processes of some sessions used meanwhile.

    They are looked at every fifth of a second, so that little of a process that ends is missed.

    Raises:
        SystemExit: The command fails.
    """
    first, usage = _cpu_seconds(sessions), Usage()
    last: dict[tuple[int, str], float] = {}
    while process.poll() is None:
        last |= _cpu_seconds(sessions)
        for pid, _ in last:
            size = _peak_mib(pid)
            if pid == process.pid:
                usage.command_mib = max(usage.command_mib, size)
            else:
                usage.other_mib = max(usage.other_mib, size)
        time.sleep(0.2)
    if process.returncode:
        raise SystemExit(f"albert records ended with status {process.returncode}")
    usage.cpu_s = sum(seconds - first.get(pid, 0.0) for pid, seconds in last.items())
    return usage


def _cpu_seconds(sessions: set[int]) -> dict[tuple[int, str], float]:
    """Return the CPU seconds of the processes of sessions, by their ids and moments of start."""
    return {
        (pid, fields[19]): (int(fields[11]) + int(fields[12])) / _TICKS_PER_S
        for pid, fields in _statistics()
        if int(fields[3]) in sessions
    }


def _statistics() -> Iterator[tuple[int, list[str]]]:
    """Yield the id of each process and its fields of /proc/PID/stat from the third on."""
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            text = path.read_text()
            yield int(path.parent.name), text[text.rindex(")") + 2 :].split()


def _peak_mib(pid: int) -> int:
    """Return the largest memory that a process has had, in MiB; 0 if it has ended."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) >> 10
    return 0


if __name__ == "__main__":
    main()
