"""Locks that NFS has, too, and what is done where there are none."""

import fcntl
import os
import stat
from pathlib import Path

import pytest

from albert_core.artifacts.work_folder import (
    exclusive_lock,
    remove_work_folder,
    temporary_folder,
)
from albert_core.errors import InputError
from albert_core.files.locks import LOCK_NAME, hold_lock, is_at, is_locked
from components.runtime import _is_at_work


def test_the_lock_is_of_a_regular_file_that_is_open_for_writing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock_file = fcntl.flock

    def lock_as_nfs(descriptor: int, kind: int) -> None:
        assert stat.S_ISREG(os.fstat(descriptor).st_mode)
        if kind & fcntl.LOCK_EX:
            assert fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_RDWR
        lock_file(descriptor, kind)

    monkeypatch.setattr(fcntl, "flock", lock_as_nfs)
    with hold_lock(tmp_path / "file", timeout_s=0, refusal="held") as lock:
        assert lock.has_lock
        assert is_locked(tmp_path / "file")
        with (
            pytest.raises(InputError, match="held"),
            hold_lock(tmp_path / "file", timeout_s=0, refusal="held"),
        ):
            pass
    assert is_locked(tmp_path / "file") is False
    assert is_locked(tmp_path / "missing") is False


def test_a_lock_whose_file_was_removed_is_taken_anew(tmp_path: Path) -> None:
    with hold_lock(tmp_path / "file", timeout_s=0, refusal="held") as first:
        (tmp_path / "file").unlink()
        assert not is_at(first.descriptor, tmp_path / "file")
        with hold_lock(tmp_path / "file", timeout_s=0, refusal="held") as second:
            assert is_at(second.descriptor, tmp_path / "file")


def test_a_folder_that_vanishes_before_its_lock_is_opened_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_file, tries = os.open, []

    def vanish(path: Path, *arguments: int) -> int:
        tries.append(path)
        if len(tries) < 3:
            path.parent.rmdir()
        return open_file(path, *arguments)

    monkeypatch.setattr(os, "open", vanish)
    with exclusive_lock(tmp_path / "root/work") as has_waited:
        assert not has_waited
    assert len(tries) == 3


def test_a_file_in_place_of_a_locks_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "work").touch()
    with (
        pytest.raises(InputError, match="work: is no folder, expected one; remove it"),
        exclusive_lock(tmp_path / "work"),
    ):
        pass


def test_the_lock_is_the_last_thing_that_goes(tmp_path: Path) -> None:
    work = tmp_path / "root/work"
    with exclusive_lock(work):
        (work / "progress").mkdir()
        remove_work_folder(work)
        assert [path.name for path in work.iterdir()] == [LOCK_NAME]
        assert is_locked(work / LOCK_NAME)
    assert not list(tmp_path.iterdir())
    with exclusive_lock(work):
        (work / "progress").mkdir()
    assert sorted(path.name for path in work.iterdir()) == [LOCK_NAME, "progress"]


@pytest.mark.usefixtures("no_locks")
def test_without_locks_work_goes_on_and_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with exclusive_lock(tmp_path / "work"):
        (tmp_path / "work/lock").write_text("this run")
        assert is_locked(tmp_path / "work/lock") is None
        assert _is_at_work(tmp_path / "work/lock", "this run")
        assert not _is_at_work(tmp_path / "work/lock", "another run")
    assert "work: this file system has no locks" in capsys.readouterr().err


def test_temporary_files_have_a_short_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.delenv("ALBERT_SHARED_TMPDIR", raising=False)
    assert temporary_folder(Path("/data/.out.work/vocab-1")) == Path(
        "/data/.out.work/vocab-1/temporary"
    )
    shared = tmp_path / f"albert-temporary-{os.getuid()}"
    for work in (Path("/out/.albert-work/vocab-1"), Path("/data") / ("long" * 20) / "vocab-1"):
        assert temporary_folder(work).parent == shared
        assert temporary_folder(work) == temporary_folder(work)
