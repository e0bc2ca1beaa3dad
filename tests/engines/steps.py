"""The records step as a process, which a test starts, disturbs and whose results it compares."""

import contextlib
import json
import os
import signal
from collections.abc import Callable, Mapping
from pathlib import Path

from albert_core.corpus import CorpusConfig, corpus_splits
from albert_core.storage import find_files, read_bytes
from albert_core.tokenization.config import VocabConfig
from components.vocab.step import train_vocab
from tests.engines.clusters import RunningCluster
from tests.engines.processes import wait_for
from tests.helpers.tiny_run import write_corpus
from tests.helpers.zygote import Fork, Zygote

MARK = f"-Dtests.engines={os.getpid()}"
"""An option of Java by which the job servers of this process's steps are known."""

NUM_SHARDS = 8
"""Shards that a step makes: 7 for training, and that of the held-out documents."""

_SPLIT_BYTES = 10_000
_started: list[Fork] = []
_STEP = """
import functools, json, os, sys
from albert_core.corpus import CorpusConfig, corpus_splits
from albert_core.corpus.cleaning import CleaningConfig
from albert_core.records.config import RecordsConfig
from albert_core.settings import parse_settings
from albert_core.processes.stops import answered_stops
from components.records import step
from components.records.runners import BeamConfig
if __name__ == "__main__":
    folder, output, split_bytes, beam, cleaning, place = sys.argv[1:]
    os.chdir(place)
    step.corpus_splits = functools.partial(corpus_splits, target_bytes=int(split_bytes))
    with answered_stops(ends_process=True):
        step.make_records(
            corpus=CorpusConfig(files=(folder + "/corpus",)),
            vocab=folder + "/vocab",
            config=RecordsConfig(sequence_length=24, held_out_fraction=0.2, num_shards=7),
            output=output,
            cleaning=parse_settings(CleaningConfig, json.loads(cleaning), source="cleaning"),
            beam=parse_settings(BeamConfig, json.loads(beam), source="beam"),
            progress=lambda *report: print(report[2], file=sys.stderr, flush=True),
        )
"""


def make_expected_records(zygote: Zygote, folder: Path) -> None:
    """Write a corpus of some 40 splits, its vocabulary, and its records by the local runner."""
    write_corpus(folder / "corpus", num_documents=4_000)
    corpus = CorpusConfig(files=(str(folder / "corpus"),))
    assert len(corpus_splits(corpus, target_bytes=_SPLIT_BYTES)) > 20
    train_vocab(corpus=corpus, config=VocabConfig(size=60), output=folder / "vocab")
    make_locally(zygote, folder, folder / "whole", {})


def make_locally(
    zygote: Zygote, folder: Path, output: Path, cleaning: Mapping[str, object]
) -> None:
    """Make records by the local runner, with these settings of `cleaning`."""
    process = start_with(zygote, folder, output, {"mode": "in_memory"}, cleaning=cleaning)
    errors = process.wait(timeout=100)
    assert process.returncode == 0, errors


def start(
    zygote: Zygote,
    folder: Path,
    output: Path,
    cluster: RunningCluster,
    *,
    cleaning: Mapping[str, object] | None = None,
    **settings: object,
) -> Fork:
    """Start the step on a cluster in a process; `settings` are further ones of `beam`."""
    shared = {"shared_folder": str(output.parent / "shared")}
    beam = {**cluster.settings, **shared, **settings}
    return start_with(zygote, folder, output, beam, cleaning=cleaning)


def start_with(
    zygote: Zygote,
    folder: Path | str,
    output: Path | str,
    beam: Mapping[str, object],
    *,
    cleaning: Mapping[str, object] | None = None,
    environment: Mapping[str, str] | None = None,
    place: Path = Path(),
) -> Fork:
    """Start the step with settings of `beam` and `cleaning`, and further variables.

    Both folders may be in a bucket; the work for an output there is in `place`.
    """
    arguments = [str(folder), str(output), str(_SPLIT_BYTES), json.dumps(beam)]
    arguments += [json.dumps(cleaning or {}), str(place)]
    process = zygote.start(arguments, environment or {}, _STEP)
    _started.append(process)
    return process


def finish(process: Fork, folder: Path, output: Path, *, expected: str = "whole") -> None:
    """Wait for a step; its records must be those of the local runner, and nothing else be left.

    Args:
        process: The step.
        folder: Has the corpus and the records of the local runner.
        output: What it makes.
        expected: Name of those records in the folder.
    """
    errors = process.wait(timeout=400)
    assert process.returncode == 0, errors
    assert read_records(output) == read_records(folder / expected)
    wait_for(lambda: not running_job_servers(), within_s=10)
    assert not list((output.parent / "shared").iterdir())
    assert sorted(path.name for path in output.parent.iterdir()) == ["records", "shared"]


def read_records(place: Path | str) -> dict[str, bytes]:
    """Read what a step made, which may be in a bucket; but not the manifest, which has times."""
    files = [file.path for file in find_files(str(place))]
    made = {path.removeprefix(f"{place}/"): read_bytes(path) for path in files}
    del made["manifest.json"]
    return made


def finish_after_failure(
    process: Fork, output: Path, again: Callable[[], Fork], folder: Path
) -> None:
    """Wait for a disturbed step; if it failed, it must say what to do, which is then done."""
    errors = process.wait(timeout=300)
    if process.returncode:
        assert "the same command goes on" in errors.splitlines()[-1], errors
        assert not output.exists()
        process = again()
    finish(process, folder, output)


def wait_for_work(process: Fork, output: Path, num_files: int = 6) -> None:
    """Wait until some files of the work are there; the step must still run then."""

    def is_begun() -> bool:
        files = [files for _, _, files in os.walk(output.parent / "shared")]
        return sum(map(len, files)) >= num_files

    wait_while_running(process, is_begun, poll_s=0.01)


def wait_while_running(
    process: Fork, condition: Callable[[], object], *, poll_s: float = 0.2
) -> None:
    """Wait until something holds; the step must still run then."""
    wait_for(lambda: condition() or process.returncode is not None, within_s=400, poll_s=poll_s)
    assert process.returncode is None, process.wait(timeout=1)


def running_job_servers() -> list[int]:
    """Return the ids of the job servers that the steps of this process have started."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if MARK.encode() in path.read_bytes().split(b"\0"):
                found.append(int(path.parent.name))
    return found


def end_all() -> None:
    """Kill all steps and their job servers that still run."""
    while _started:
        _started.pop().kill()
    for server in running_job_servers():
        with contextlib.suppress(ProcessLookupError):
            os.kill(server, signal.SIGKILL)
