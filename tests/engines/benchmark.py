"""One corpus on this machine, Dask, Flink and Spark: bytes, time, memory, and what grows with it.

    python -m tests.engines.benchmark FOLDER --megabytes 20 200

FOLDER holds the wikiextractor files of a Wikipedia, of which the documents of a corpus are joined
at random (seeded). Prints a row for each size, runner and number of workers: wall seconds of
`albert records`, CPU seconds of it and of the cluster meanwhile, the largest memory of the
command's own process, of another process of Python and of one of Java, the most files that a
process had open and that lay in the workers' folder, the bytes that tasks sent to one another, and
the sha256 of all records. `--cleaning` takes settings of `cleaning` as JSON.
"""

import argparse
import contextlib
import hashlib
import json
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path

from tests.engines.clusters import RunningCluster, dask_cluster, flink_cluster, spark_cluster
from tests.engines.installation import engines_folder, find_job_server
from tests.engines.pools import worker_pool
from tests.engines.processes import Processes
from tests.engines.usage import flink_shuffle_bytes, spark_shuffle_bytes, watch_usage

_ALBERT = "import sys; from pipeline.cli.main import main; sys.exit(main())"
_COLUMNS = (
    "wall s",
    "CPU s",
    "command MiB",
    "Python MiB",
    "Java MiB",
    "open files",
    "files of the work",
    "bytes between tasks",
    "sha256",
)
_CLUSTERS: Mapping[str, Callable[[Path, int], AbstractContextManager[RunningCluster]]] = {
    "dask": lambda folder, number: dask_cluster(folder, num_workers=number),
    "flink": lambda folder, number: flink_cluster(
        engines_folder() / "flink", folder, num_workers=number
    ),
    "spark": lambda folder, number: spark_cluster(
        engines_folder() / "spark", folder, num_workers=number
    ),
}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path, help="wikiextractor files")
    parser.add_argument("--megabytes", type=int, nargs="+", default=[20, 200])
    parser.add_argument("--runners", nargs="+", default=["local", "dask", "flink", "spark"])
    parser.add_argument("--workers", type=int, nargs="+", default=[2, 1])
    parser.add_argument("--cleaning", type=json.loads, default={}, help="settings as JSON")
    arguments = parser.parse_args()
    print(f"| MB | runner | workers | {' | '.join(_COLUMNS)} |")
    print("|---" * (3 + len(_COLUMNS)) + "|", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        scratch, vocab = Path(folder), Path(folder) / "vocab"
        documents = read_documents(arguments.folder)
        train_vocabulary(write_corpus(documents, scratch / "sample", 1), vocab)
        for megabytes in arguments.megabytes:
            corpus = write_corpus(documents, scratch / f"corpus-{megabytes}", megabytes)
            for runner in arguments.runners:
                for number in arguments.workers:
                    place = scratch / f"{megabytes}-{runner}-{number}"
                    command = ["--corpus", str(corpus), "--vocab_dir", str(vocab)]
                    row = measure(runner, number, command, arguments.cleaning, place)
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


def measure(
    runner: str, num_workers: int, arguments: list[str], cleaning: dict[str, object], place: Path
) -> str:
    """Make the records once; return the cells of the row for it.

    Args:
        runner: Where.
        num_workers: How many workers do it.
        arguments: Corpus and vocabulary, as options of `albert records`.
        cleaning: Settings of `cleaning`.
        place: Folder to make for the cluster, its work and the records.
    """
    place.mkdir()
    config, records = place / "config.yaml", place / "records"
    with _settings(runner, num_workers, place) as (beam, shuffle_bytes):
        with Processes(place) as commands:
            # JSON is YAML, too.
            config.write_text(json.dumps({"beam": beam, "cleaning": cleaning}))
            command = ["records", "--config", str(config), "--output", str(records), *arguments]
            process = commands.start("command", [sys.executable, "-c", _ALBERT], command)
            usage = watch_usage(process, Processes.sessions, place / "shared")
        shuffled = shuffle_bytes()
    digest = hashlib.sha256()
    for path in sorted(records.glob("*.tfrecord")):
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    shutil.rmtree(records)
    return (
        f"{usage.wall_s:.1f} | {usage.cpu_s:.1f} | {usage.command_mib} | {usage.python_mib} | "
        f"{usage.java_mib} | {usage.num_open_files} | {usage.num_work_files} | {shuffled} | "
        f"{digest.hexdigest()[:16]}"
    )


@contextlib.contextmanager
def _settings(
    runner: str, num_workers: int, place: Path
) -> Iterator[tuple[dict[str, object], Callable[[], int | str]]]:
    """Start what a runner needs.

    Yields the settings of `beam`, and what returns the bytes that were sent between tasks; that
    returns an empty text where the runner does not tell.
    """
    beam: dict[str, object] = {"shared_folder": str(place / "shared")}
    if runner == "local":
        mode = "in_memory" if num_workers == 1 else "multi_processing"
        yield {**beam, "mode": mode, "num_workers": num_workers}, str
        return
    with contextlib.ExitStack() as stack:
        running = stack.enter_context(_CLUSTERS[runner](place / "cluster", num_workers))
        if runner == "dask":
            yield beam | running.settings, str
            return
        pool = stack.enter_context(worker_pool(place / "pool"))
        beam |= running.with_pool(pool.address).settings
        events = place / "events"
        events.mkdir()
        java = ["-Xmx512m", "-XX:TieredStopAtLevel=1"]
        if runner == "spark":
            java += ["-Dspark.executor.memory=512m", "-Dspark.eventLog.enabled=true"]
            java += [f"-Dspark.eventLog.dir=file://{events}", "-Dspark.eventLog.compress=false"]
        beam |= {
            "job_server_jar": str(find_job_server(engines_folder(), runner)),
            "java_options": java,
        }
        if runner == "flink":
            yield beam, lambda: flink_shuffle_bytes(running.page)
        else:
            yield beam, lambda: spark_shuffle_bytes(events)


if __name__ == "__main__":
    main()
