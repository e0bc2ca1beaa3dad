"""Work folders in a bucket: another machine continues from a whole snapshot, and only one at once.

The emulators check generations and ETags, as Google and Amazon do. An empty folder for temporary
files stands for a machine that has seen nothing.
"""

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from albert_core import storage
from albert_core.artifacts import work_sync
from albert_core.artifacts.step import run_step, run_step_as_follower
from albert_core.artifacts.work_sync import INDEX_NAME, synchronized_progress
from albert_core.errors import InputError, StepFailedError
from albert_core.object_storage.errors import WriteConflictError
from albert_core.object_storage.interface import Generation
from tests.helpers.object_storage import strict_bucket_of

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module", params=["gs", "s3"])
def bucket(request):
    with strict_bucket_of(request.param) as address:
        yield address


@pytest.fixture
def short_lease(bucket, monkeypatch) -> float:
    """Let leases end early: in S3, whose times are whole seconds, later than in Google's."""
    monkeypatch.setattr(work_sync, "LEASE_S", 2.0 if bucket.startswith("s3") else 0.5)
    return work_sync.LEASE_S


@pytest.fixture
def root(bucket, tmp_path) -> str:
    return f"{bucket}/{tmp_path.name}/work"


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """Give a function that makes this process one on a new machine."""

    def new(name: str) -> None:
        (tmp_path / name).mkdir()
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / name))

    new("first")
    return new


class Work:
    """A body that counts its runs in `progress`, and fails with a given exception."""

    def __init__(self, failure: BaseException | None = None) -> None:
        self.failure = failure
        self.counts: list[int] = []

    def __call__(self, results: Path, progress: Path) -> dict[str, Any]:
        path = progress / "checkpoints" / "number"
        number = int(path.read_text()) if path.exists() else 0
        self.counts.append(number)
        path.parent.mkdir(exist_ok=True)
        path.write_text(str(number + 1))
        (progress / "log").open("a").write("line\n")
        (progress / ".unfinished").touch()
        if self.failure:
            raise self.failure
        (results / "number.txt").write_text("whole")
        return {"number": number + 1}


def run(root: str, output: Path | str, body) -> Any:
    return run_step("train", config={}, inputs={}, output=output, body=body, work_root=root)


def names_in(root: str) -> list[str]:
    if not storage.has_files(root):
        return []
    return [file.path.removeprefix(root).split("/", 2)[2] for file in storage.find_files(root)]


def test_failed_work_continues_elsewhere_from_its_progress(root, machine, tmp_path):
    with pytest.raises(RuntimeError):
        run(root, tmp_path / "out", Work(RuntimeError("out of memory")))
    assert not list((tmp_path / "first" / "albert-work").rglob("number"))
    machine("second")
    body = Work()
    assert run(root, tmp_path / "out", body).metrics == {"number": 2}
    assert body.counts == [1]
    assert (tmp_path / "out" / "number.txt").read_text() == "whole"


def test_only_the_results_stay_and_are_published_again_without_being_computed(
    root, machine, tmp_path
):
    manifest = run(root, tmp_path / "out", Work())
    assert names_in(root) == ["results/manifest.json", "results/number.txt"]
    machine("second")
    body = Work()
    assert run(root, tmp_path / "again", body) == manifest
    assert run(root, f"{root}-outputs/again", body) == manifest
    assert body.counts == []
    assert (tmp_path / "again" / "number.txt").read_text() == "whole"
    assert storage.read_bytes(f"{root}-outputs/again/number.txt") == b"whole"
    assert not list(tmp_path.glob("*/albert-work/*/*"))


def test_results_that_were_damaged_in_the_work_folder_are_made_anew(root, machine, tmp_path):
    run(root, tmp_path / "out", Work())
    (path,) = [f.path for f in storage.find_files(root) if f.path.endswith("number.txt")]
    storage.write_bytes(path, b"other")
    machine("second")
    body = Work()
    run(root, tmp_path / "again", body)
    assert body.counts == [0]
    assert storage.read_bytes(path) == b"whole"


def test_bad_input_leaves_nothing_in_the_bucket(root, machine, tmp_path):
    with pytest.raises(InputError):
        run(root, tmp_path / "out", Work(InputError("empty")))
    assert names_in(root) == []


def test_bad_input_found_late_keeps_the_progress_of_earlier_runs(root, machine, tmp_path):
    with pytest.raises(RuntimeError):
        run(root, tmp_path / "out", Work(RuntimeError()))
    machine("second")
    with pytest.raises(InputError):
        run(root, tmp_path / "out", Work(InputError("a file has gone")))
    machine("third")
    body = Work()
    run(root, tmp_path / "out", body)
    assert body.counts == [2]


def listed(address: str) -> list[str]:
    version = storage.read_version(f"{address}/{INDEX_NAME}")
    return sorted(work_sync._object_names(version)) if version else []


def index_generation(address: str) -> Generation:
    version = storage.read_version(f"{address}/{INDEX_NAME}")
    assert version
    return version.generation


def wait_until(condition) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_files_appear_and_vanish_while_the_work_goes_on(root, tmp_path, monkeypatch):
    monkeypatch.setattr(work_sync, "SYNC_EVERY_S", 0.05)
    progress = tmp_path / "progress"
    with synchronized_progress(progress, root):
        (progress / "checkpoint-1").mkdir()
        (progress / "checkpoint-1" / "state").write_text("1")
        wait_until(lambda: listed(root) == ["checkpoint-1/state"])
        (progress / ".checkpoint-2").mkdir()
        (progress / ".checkpoint-2" / "state").write_text("2")
        (progress / ".checkpoint-2").rename(progress / "checkpoint-2")
        (progress / "checkpoint-1" / "state").unlink()
        wait_until(lambda: listed(root) == ["checkpoint-2/state"])
    objects = [file.path for file in storage.find_files(f"{root}/progress")]
    assert [storage.read_bytes(path) for path in objects] == [b"2"]


def test_unchanged_files_are_not_uploaded_again(root, tmp_path, monkeypatch):
    monkeypatch.setattr(work_sync, "SYNC_EVERY_S", 0.02)
    progress = tmp_path / "progress"
    with synchronized_progress(progress, root):
        (progress / "shard").write_text("1")
        wait_until(lambda: listed(root) == ["shard"])
    first = storage.find_files(f"{root}/progress")
    with synchronized_progress(tmp_path / "elsewhere" / "progress", root):
        seen = {index_generation(root)}
        wait_until(lambda: len(seen) > 3 or seen.add(index_generation(root)))
    assert storage.find_files(f"{root}/progress") == first


def test_a_second_worker_is_refused_while_the_first_is_alive(
    root, tmp_path, monkeypatch, short_lease
):
    monkeypatch.setattr(work_sync, "SYNC_EVERY_S", 0.05)
    with (
        synchronized_progress(tmp_path / "one", root),
        pytest.raises(InputError, match="another process is doing this very work"),
        synchronized_progress(tmp_path / "two", root),
    ):
        pass
    with synchronized_progress(tmp_path / "two", root):  # released
        pass


def test_a_worker_that_lost_its_lease_stops_and_harms_nothing(
    root, tmp_path, monkeypatch, short_lease
):
    # It does not renew in time.
    monkeypatch.setattr(work_sync, "SYNC_EVERY_S", 2 * short_lease + 2.0)
    first, second = tmp_path / "one" / "progress", tmp_path / "two" / "progress"

    def work() -> None:
        with synchronized_progress(first, root):
            (first / "number").write_text("stale")
            with synchronized_progress(second, root):
                (second / "number").write_text("fresh")
            threading.Event().wait(20)

    with pytest.raises(StepFailedError, match="another process has taken over"):
        work()
    (file,) = storage.find_files(f"{root}/progress")
    assert storage.read_bytes(file.path) == b"fresh"


def test_a_lost_lease_interrupts_a_process_that_has_ctrl_c_blocked(tmp_path, monkeypatch):
    def lose(_: Any) -> None:
        raise WriteConflictError("taken")

    monkeypatch.setattr(work_sync, "SYNC_EVERY_S", 0.01)
    monkeypatch.setattr(work_sync._ProgressSync, "_update", lose)
    sync = work_sync._ProgressSync(tmp_path, "gs://bucket/work")
    thread = threading.Thread(target=sync.update_until, args=(threading.Event(),))
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # as `albert run` does

    def work() -> None:
        thread.start()
        for _ in range(100):
            time.sleep(0.05)

    try:
        with pytest.raises(KeyboardInterrupt):
            work()
    finally:
        thread.join()
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def test_a_lease_that_is_lost_in_the_last_upload_only_is_an_error_too(
    root, tmp_path, monkeypatch, short_lease
):
    monkeypatch.setattr(work_sync, "SYNC_EVERY_S", 30.0)  # nothing is written before the end
    first, second = tmp_path / "one" / "progress", tmp_path / "two" / "progress"

    def work() -> None:
        with synchronized_progress(first, root):
            (first / "number").write_text("stale")
            with synchronized_progress(second, root):
                (second / "number").write_text("fresh")

    with pytest.raises(StepFailedError, match="another process has taken over"):
        work()
    with synchronized_progress(second, root):
        assert (second / "number").read_text() == "fresh"


@pytest.mark.parametrize("how", ["flipped", "cut", "swapped"])
def test_work_with_a_damaged_index_begins_anew_with_a_line(
    how, root, tmp_path, short_lease, capsys
):
    # Its holder is not known, and may live: that takes a lease.
    with synchronized_progress(tmp_path / "one", root):
        (tmp_path / "one" / "number").write_text("1")
    path = f"{root}/{INDEX_NAME}"
    data = storage.read_bytes(path)
    damaged = {"flipped": data.replace(b"number", b"nember"), "cut": data[:40], "swapped": b"[]"}
    storage.write_bytes(path, damaged[how])
    with synchronized_progress(tmp_path / "two", root):
        assert list((tmp_path / "two").iterdir()) == []
    assert capsys.readouterr().err.count("progress.json: damaged (") == 1


def test_a_follower_starts_from_the_progress_that_the_leader_found(root, machine, tmp_path):
    with pytest.raises(RuntimeError):
        run(root, tmp_path / "out", Work(RuntimeError()))
    found, has_begun = [], threading.Event()

    def lead(results: Path, progress: Path) -> dict[str, Any]:
        assert has_begun.wait(20)
        return {}

    def follow(results: Path, progress: Path) -> dict[str, Any]:
        found.append((progress / "checkpoints" / "number").read_text())
        has_begun.set()
        return {}

    leader = threading.Thread(target=run, args=(root, tmp_path / "out", lead))
    leader.start()
    manifest = run_step_as_follower(
        "train", config={}, inputs={}, output=tmp_path / "out", body=follow, work_root=root
    )
    leader.join()
    assert found == ["1"]
    assert manifest.step == "train"


SCRIPT = """
import pathlib, sys, time
from albert_core.artifacts import work_sync
from albert_core.artifacts.step import run_step
work_sync.SYNC_EVERY_S = 0.05

def body(results, progress):
    for number in range(10**6):
        partial = progress / ".partial"
        partial.mkdir()
        for name in "ab":
            (partial / name).write_text(str(number))
        partial.rename(progress / f"checkpoint-{number:06}")
        if number:
            old = progress / f"checkpoint-{number - 1:06}"
            (old / "b").unlink()
            (old / "a").unlink()
            old.rmdir()
        time.sleep(0.001)

run_step("train", config={}, inputs={}, output=sys.argv[2], body=body, work_root=sys.argv[1])
"""


def start_endless_work(root: str, folder: Path) -> subprocess.Popen:
    folder.mkdir()
    environment = {**os.environ, "TMPDIR": str(folder), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", SCRIPT, root, str(folder / "out")]
    return subprocess.Popen(command, env=environment)


@pytest.mark.parametrize("kind", [signal.SIGKILL, signal.SIGTERM])
def test_whenever_a_worker_is_killed_a_whole_checkpoint_is_listed(
    kind, root, machine, tmp_path, short_lease
):
    numbers = []

    def body(results: Path, progress: Path) -> dict[str, Any]:
        states = {path.read_text() for path in progress.glob("checkpoint-*/*")}
        last = max(progress.glob("checkpoint-*"))
        assert sorted(path.name for path in last.iterdir()) == ["a", "b"]
        numbers.append(max(map(int, states)))
        raise RuntimeError

    for attempt in range(2):
        process = start_endless_work(root, tmp_path / f"killed-{attempt}")
        wait_until(lambda: listed_below(root))
        time.sleep(0.2)
        process.send_signal(kind)
        assert process.wait() == {signal.SIGKILL: -9, signal.SIGTERM: 143}[kind]
        with pytest.raises(RuntimeError):
            run(root, tmp_path / "out", body)
        storage.remove_folder(root)
    assert len(numbers) == 2
    assert min(numbers) > 0


def listed_below(root: str) -> list[str]:
    indices = storage.find_files(root) if storage.has_files(root) else []
    return [name for file in indices for name in listed(file.path.rpartition("/")[0])]


def test_only_the_index_that_gave_the_lease_back_is_removed(root, tmp_path, monkeypatch):
    removed = []

    def note(path: str, generation: Generation) -> None:
        removed.append((path, generation == storage.generation(path)))

    monkeypatch.setattr(work_sync, "remove_version", note)
    with synchronized_progress(tmp_path / "progress", root):
        pass
    assert removed == [(f"{root}/{INDEX_NAME}", True)]


def test_an_index_that_leads_out_of_the_folder_is_refused(root, tmp_path):
    index = b'{"holder": "", "write": 1, "files": {"../../evil": "progress/1"}}'
    storage.write_bytes(f"{root}/{INDEX_NAME}", index)
    storage.write_bytes(f"{root}/progress/1", b"1")
    with (
        pytest.raises(InputError, match="leads out of the folder"),
        synchronized_progress(tmp_path / "p" / "q", root),
    ):
        pass
    assert not (tmp_path / "evil").exists()
