"""The records step on its runners: the same bytes from all, and whatever is killed meanwhile."""

import functools
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from albert_core.corpus import CorpusConfig, corpus_splits
from albert_core.corpus.cleaning import CleaningConfig
from albert_core.errors import InputError
from albert_core.records.config import RecordsConfig
from albert_core.tokenization.config import VocabConfig
from components.records import step
from components.records.runners import BeamConfig
from components.vocab.step import train_vocab
from tests.helpers.object_storage import emulated_bucket
from tests.helpers.reaching import NO_HOST, isolate
from tests.helpers.tiny_run import write_corpus
from tests.helpers.zygote import Fork

CONFIG = RecordsConfig(sequence_length=24, held_out_fraction=0.2, num_shards=3)
SPLIT_BYTES = 4_000
# Beam and Dask leave sockets and files to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runners")
    write_corpus(folder / "corpus", num_documents=400)
    corpus = corpus_config(folder)
    train_vocab(corpus=corpus, config=VocabConfig(size=60), output=folder / "vocab")
    step.make_records(corpus=corpus, vocab=folder / "vocab", config=CONFIG, output=folder / "whole")
    return folder


@pytest.fixture(autouse=True)
def small_splits(monkeypatch):
    splits = functools.partial(corpus_splits, target_bytes=SPLIT_BYTES)
    monkeypatch.setattr(step, "corpus_splits", splits)


def corpus_config(folder):
    return CorpusConfig(files=(str(folder / "corpus"),))


def make(folder, output, beam, **options):
    return step.make_records(
        corpus=corpus_config(folder),
        vocab=folder / "vocab",
        config=CONFIG,
        output=output,
        beam=beam,
        **options,
    )


def contents(folder):
    """Return the bytes of every file but the manifest, which tells the time."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "manifest.json"
    }


def test_there_are_several_splits(folder):
    assert len(step.corpus_splits(corpus_config(folder))) > 5


@pytest.mark.parametrize(
    ("mode", "num_workers"),
    [("in_memory", 1), ("multi_threading", 2), ("multi_processing", 2)],
)
def test_local_workers_of_every_kind_give_the_same_bytes(folder, tmp_path, mode, num_workers):
    make(folder, tmp_path / "records", BeamConfig(mode=mode, num_workers=num_workers))
    assert contents(tmp_path / "records") == contents(folder / "whole")


@pytest.fixture(scope="module")
def dask_cluster(tmp_path_factory) -> Iterator[tuple[str, list]]:
    """Start a scheduler and two workers as processes; yield its address and the workers.

    The last test with it kills one of them.
    """
    folder, num_workers = tmp_path_factory.mktemp("dask"), 2
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{probe.getsockname()[1]}"
    dask = [sys.executable, "-m", "dask"]
    quiet = {"cwd": folder, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    scheduler = subprocess.Popen(
        [*dask, "scheduler", "--host", address, "--no-dashboard", "--no-show"], **quiet
    )
    worker = [*dask, "worker", address, "--nthreads=1", "--no-dashboard", "--no-nanny"]
    workers = [subprocess.Popen(worker, **quiet) for _ in range(num_workers)]
    try:
        wait_for_workers(address, num_workers)
        yield address, workers
    finally:
        for process in [*workers, scheduler]:
            process.kill()
            process.wait()


def wait_for_workers(address: str, num_workers: int) -> None:
    import distributed

    with distributed.Client(address, timeout=60) as client:
        client.wait_for_workers(num_workers, timeout=60)


def test_two_dask_workers_give_the_same_bytes(folder, dask_cluster, tmp_path):
    address, _ = dask_cluster
    make(folder, tmp_path / "records", BeamConfig(runner="dask", dask_scheduler=address))
    assert contents(tmp_path / "records") == contents(folder / "whole")


def test_two_dask_workers_find_the_same_near_duplicates(folder, dask_cluster, tmp_path):
    cleaning = CleaningConfig(near_duplicate_threshold=0.5, near_duplicate_ngram=2)
    make(folder, tmp_path / "here", BeamConfig(mode="in_memory"), cleaning=cleaning)
    beam = BeamConfig(runner="dask", dask_scheduler=dask_cluster[0])
    metrics = make(folder, tmp_path / "there", beam, cleaning=cleaning).metrics
    assert contents(tmp_path / "there") == contents(tmp_path / "here")
    assert metrics["num_near_duplicate_documents"] > 0


STEP = """
import sys, functools
from albert_core.corpus import CorpusConfig, corpus_splits
from albert_core.records.config import RecordsConfig
from components.records import step
from components.records.runners import BeamConfig
if __name__ == "__main__":
    folder, output, dask = sys.argv[1:]
    step.corpus_splits = functools.partial(corpus_splits, target_bytes=4_000)
    step.make_records(
        corpus=CorpusConfig(files=(folder + "/corpus",)),
        vocab=folder + "/vocab",
        config=RecordsConfig(sequence_length=24, held_out_fraction=0.2, num_shards=3),
        output=output,
        beam=BeamConfig(runner="dask" if dask else "local", dask_scheduler=dask),
    )
"""


@pytest.fixture(scope="module")
def start(folder, run_zygote) -> Callable[..., Fork]:
    """Start the step in a process with an output folder and the address of a Dask scheduler."""
    return lambda output, dask="": run_zygote.start([str(folder), str(output), dask], {}, STEP)


def wait_until(condition: Callable[[], bool], process: Fork) -> None:
    deadline = time.monotonic() + 60
    while not condition() and process.returncode is None:
        assert time.monotonic() < deadline
        time.sleep(0.005)


def work_files(output: Path) -> int:
    # Not `rglob`, which fails on a folder that the step removes meanwhile.
    work = output.with_name(f".{output.name}.work")
    return sum(len(files) for _, _, files in os.walk(work))


@pytest.mark.slow
def test_a_dask_worker_killed_during_the_run_changes_nothing(folder, start, dask_cluster, tmp_path):
    """The work of the lost worker is done by the other one, or the run fails and says so."""
    address, workers = dask_cluster
    process = start(tmp_path / "records", address)
    wait_until(lambda: work_files(tmp_path / "records") >= 3, process)
    workers[0].kill()
    errors = process.wait(timeout=120)
    if process.returncode:
        assert "Error" in errors.splitlines()[-1]
        assert not (tmp_path / "records").exists()
        make(folder, tmp_path / "records", BeamConfig(mode="in_memory"))
    assert contents(tmp_path / "records") == contents(folder / "whole")


@pytest.mark.slow
def test_a_step_killed_at_ten_moments_ends_with_the_same_bytes(folder, start, tmp_path):
    """Each time it is killed when some more files are there, now and then mid-write."""
    rng, output, num_kills = random.Random(1), tmp_path / "records", 0
    for kill in range(10):
        process = start(output)
        wait_until(lambda wanted=1 + 2 * kill: work_files(output) >= wanted, process)
        time.sleep(rng.random() * 0.02)
        process.kill()
        process.wait(timeout=60)
        num_kills += process.returncode == -signal.SIGKILL
    assert num_kills >= 8
    last = start(output)
    errors = last.wait(timeout=120)
    assert last.returncode == 0, errors
    assert contents(output) == contents(folder / "whole")
    assert [path.name for path in tmp_path.iterdir()] == ["records"]


@pytest.mark.slow
def test_a_second_run_into_the_same_folder_is_refused(folder, start, tmp_path, monkeypatch):
    monkeypatch.setattr("albert_core.artifacts.work_folder.LOCK_TIMEOUT_S", 0.2)
    output = tmp_path / "records"
    first = start(output)
    wait_until(lambda: work_files(output) >= 2, first)
    first.send_signal(signal.SIGSTOP)
    try:
        with pytest.raises(InputError, match="another process is doing this very work"):
            make(folder, output, BeamConfig())
    finally:
        first.send_signal(signal.SIGCONT)
        errors = first.wait(timeout=120)
    assert first.returncode == 0, errors
    assert contents(output) == contents(folder / "whole")


def test_corpus_work_and_results_in_a_bucket(folder, tmp_path, monkeypatch):
    from albert_core import storage

    monkeypatch.chdir(tmp_path)
    with emulated_bucket() as bucket:
        text = (folder / "corpus" / "text.txt").read_bytes()
        storage.write_bytes(f"{bucket}/corpus/text.txt", text)
        step.make_records(
            corpus=CorpusConfig(files=(f"{bucket}/corpus",)),
            vocab=folder / "vocab",
            config=CONFIG,
            output=f"{bucket}/records",
            beam=BeamConfig(mode="in_memory", shared_folder=f"{bucket}/work"),
        )
        published = storage.local_folder(f"{bucket}/records")
        assert contents(published) == contents(folder / "whole")
        assert not storage.has_files(f"{bucket}/work")
    assert not list(tmp_path.iterdir())


def test_lost_documents_are_noticed(folder, tmp_path, monkeypatch):
    """What a runner drops without an error must not be published."""
    from albert_core.errors import StepFailedError
    from components.records import beam_pipeline

    whole = beam_pipeline.merge_documents

    def without_first_file(sections, shard):
        return whole(dict([*sections.items()][1:]), shard)

    monkeypatch.setattr(beam_pipeline, "merge_documents", without_first_file)
    with pytest.raises(StepFailedError, match=r"documents were encoded and .* are in the shards"):
        make(folder, tmp_path / "records", BeamConfig(mode="in_memory"))
    assert not (tmp_path / "records").exists()
    monkeypatch.setattr(beam_pipeline, "merge_documents", whole)
    make(folder, tmp_path / "records", BeamConfig(mode="in_memory"))
    assert contents(tmp_path / "records") == contents(folder / "whole")


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("tcp://127.0.0.1:{free}", "nothing listens there; check host and port; expected a runni"),
        (f"tcp://{NO_HOST}:8786", "its name cannot be resolved"),
        ("tcp://127.0.0.1", "expected one such as tcp://host:8786"),
        ("http://127.0.0.1:8786", "expected one such as tcp://host:8786"),
        ("tcp://127.0.0.1:{mute}", "nobody answers in time; expected a running one"),
    ],
)
def test_a_dask_scheduler_that_is_not_there_is_told_in_seconds(
    folder, tmp_path, monkeypatch, address, said
):
    import distributed  # noqa: F401  # before the clock starts

    isolate(monkeypatch)
    monkeypatch.setattr("components.records.dask_cluster._ANSWER_WITHIN_S", 1.0)
    with socket.socket() as unused, socket.socket() as mute:
        unused.bind(("127.0.0.1", 0))
        mute.bind(("127.0.0.1", 0))
        mute.listen()
        address = address.format(free=unused.getsockname()[1], mute=mute.getsockname()[1])
        before = time.monotonic()
        with pytest.raises(InputError) as caught:
            make(folder, tmp_path / "records", BeamConfig(runner="dask", dask_scheduler=address))
    assert time.monotonic() - before < 10
    assert str(caught.value).startswith(f"beam.dask_scheduler {address}: ")
    assert said in str(caught.value)


def test_a_split_too_large_for_memory_gives_the_same_bytes(folder, tmp_path, monkeypatch):
    from albert_core.records import encoded
    from components.records import beam_pipeline

    monkeypatch.setattr(beam_pipeline, "_PART_CHARACTERS", 1_000)
    for name in ("_MERGE_BYTES", "_SMALLEST_BLOCK"):
        monkeypatch.setattr(encoded, name, 100)
    parts = []
    write = beam_pipeline.write_encoded
    monkeypatch.setattr(
        beam_pipeline,
        "write_encoded",
        lambda path, *a, **k: (parts.append(path), write(path, *a, **k)),
    )
    make(folder, tmp_path / "records", BeamConfig(mode="in_memory"))
    assert contents(tmp_path / "records") == contents(folder / "whole")
    assert len(parts) > 2 * len(step.corpus_splits(corpus_config(folder)))


OLD_NAMES = {
    "num_tokens": "num_pieces",
    "num_unknown_tokens": "num_unknown_pieces",
    "num_record_tokens": "num_record_pieces",
    "num_most_frequent_tokens": "num_most_frequent_pieces",
    "num_unchanged": "num_kept",
}


def make_as_old_code_did(work: Path) -> None:
    """Give intermediate files the file names, and the names of counts, of earlier versions."""
    files = [path for path in work.rglob("*") if path.name.startswith("encoded-v3-")]
    counts = list(work.rglob("*.v3.json"))
    assert len(files) > 5
    assert len(counts) == CONFIG.num_shards + 1
    for path in (*files, *counts):
        data = path.read_bytes()
        # In the index of an encoded file names of equal length keep it whole.
        for name, old_name in OLD_NAMES.items():
            data = data.replace(f'"{name}"'.encode(), f'"{old_name}"'.encode())
        path.with_name(path.name.replace("-v3-", "-").replace(".v3.json", ".json")).write_bytes(
            data
        )
        path.unlink()


def test_a_killed_run_of_earlier_code_is_resumed(folder, tmp_path, monkeypatch):
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    remake = functools.partial(
        make, folder, tmp_path / "records", BeamConfig(mode="in_memory"), work_root=tmp_path / "w"
    )
    with monkeypatch.context() as patched:
        patched.setattr(step, "describe_records", stop)
        with pytest.raises(KeyboardInterrupt):
            remake()
    make_as_old_code_did(tmp_path / "w")
    remake()
    assert contents(tmp_path / "records") == contents(folder / "whole")
