"""What is written beside its place: taken over from killed processes, never by two at once."""

import errno
import multiprocessing
import os
import shutil
import threading
from pathlib import Path

import pytest

from albert_core.errors import InputError
from albert_core.files import partial_files
from albert_core.files.atomic import write_atomically
from albert_core.files.folders import flush_to_disk, make_empty
from albert_core.files.partial_files import (
    partial_file,
    partial_path,
    remove_leftovers,
    remove_staged,
    remove_whole_folder,
    replace_folder,
    replaced_path,
    staging_folder,
)
from albert_core.inference import output_files
from albert_core.inference.output_files import whole_file
from albert_core.processes.user_folder import (
    shared_folder_variables,
    temporary_files_in,
    user_folder,
)


def names_in(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def test_a_file_that_a_killed_writer_left_is_taken_over(tmp_path: Path) -> None:
    partial_path(tmp_path / "file").write_bytes(b"a longer text, half")
    write_atomically(tmp_path / "file", b"whole")
    assert (tmp_path / "file").read_bytes() == b"whole"
    assert names_in(tmp_path) == ["file"]


def test_writers_of_one_file_wait_for_each_other(tmp_path: Path) -> None:
    texts = [bytes([65 + number]) * 100_000 for number in range(8)]
    threads = [
        threading.Thread(target=write_atomically, args=(tmp_path / "file", text)) for text in texts
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (tmp_path / "file").read_bytes() in texts
    assert names_in(tmp_path) == ["file"]


def test_a_failed_writer_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text("earlier")

    def fail() -> None:
        with whole_file(str(tmp_path / "labels.csv")) as partial:
            partial.write_text("half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert (tmp_path / "labels.csv").read_text() == "earlier"
    assert names_in(tmp_path) == ["labels.csv"]


def test_the_file_that_a_link_leads_to_is_written(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "labels.csv").symlink_to("disk/labels.csv")
    with whole_file(str(tmp_path / "labels.csv")) as partial:
        partial.write_text("whole")
    assert (tmp_path / "labels.csv").is_symlink()
    assert (tmp_path / "disk/labels.csv").read_text() == "whole"


def test_a_second_writer_of_hours_is_refused(tmp_path: Path) -> None:
    refused = "another process is writing there; wait for it or stop it"
    with whole_file(str(tmp_path / "labels.csv")) as partial:
        partial.write_text("whole")
        with pytest.raises(InputError, match=refused), whole_file(str(tmp_path / "labels.csv")):
            pass
    with staging_folder(tmp_path / ".out.partial") as folder:
        (folder / "file").touch()
        with pytest.raises(InputError, match=refused), staging_folder(tmp_path / ".out.partial"):
            pass
        replace_folder(folder, tmp_path / "out")
    assert names_in(tmp_path) == ["labels.csv", "out", "out/file"]


def test_folders_that_a_killed_process_left_are_removed(tmp_path: Path) -> None:
    partial_path(tmp_path / "out").mkdir()
    (partial_path(tmp_path / "out") / "half").touch()
    replaced_path(tmp_path / "out").mkdir()
    (tmp_path / "out").mkdir()
    with staging_folder(partial_path(tmp_path / "out")) as folder:
        assert not list(folder.iterdir())
        (folder / "whole").touch()
        replace_folder(folder, tmp_path / "out")
    assert names_in(tmp_path) == ["out", "out/whole"]
    (tmp_path / "deep/.a.removed/x").mkdir(parents=True)
    (tmp_path / "deep/.b.partial").mkdir()
    (tmp_path / "deep/.c.replaced").write_text("a file of somebody's")
    remove_leftovers(tmp_path)
    assert names_in(tmp_path / "deep") == [".c.replaced"]
    remove_whole_folder(tmp_path / "out")
    assert names_in(tmp_path) == ["deep", "deep/.c.replaced"]


def test_a_folder_of_a_lower_layer_is_removed_where_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(source: Path, target: Path) -> None:
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    folder = tmp_path / "out"
    (folder / "deep").mkdir(parents=True)
    for name in ("a.txt", "deep/b.txt", "manifest.json"):
        (folder / name).touch()
    removed, remove = [], shutil.rmtree
    monkeypatch.setattr(os, "rename", refuse)
    monkeypatch.setattr(
        shutil, "rmtree", lambda path, **kw: (removed.append(names_in(folder)), remove(path, **kw))
    )
    remove_whole_folder(folder, last="manifest.json")
    assert ["manifest.json"] in removed
    assert names_in(tmp_path) == []


def test_a_folder_that_cannot_be_replaced_is_put_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename = os.rename
    for name in ("new", "out"):
        (tmp_path / name).mkdir()
        (tmp_path / name / f"{name}.txt").touch()
    expected = names_in(tmp_path)

    def refuse(source: Path, target: Path) -> None:
        if source.name == "new" and not target.exists():
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        rename(source, target)

    with monkeypatch.context() as patched:
        patched.setattr(os, "rename", refuse)
        with pytest.raises(OSError, match="cross-device"):
            replace_folder(tmp_path / "new", tmp_path / "out")
    assert names_in(tmp_path) == expected
    (tmp_path / ".out.replaced/of_root").mkdir(parents=True)
    with monkeypatch.context() as patched:
        patched.setattr(shutil, "rmtree", lambda *_, **__: None)
        with pytest.raises(InputError, match=r"\.out\.replaced: .*cannot be removed; remove it"):
            replace_folder(tmp_path / "new", tmp_path / "out")
    replace_folder(tmp_path / "new", tmp_path / "out")
    assert names_in(tmp_path) == ["out", "out/new.txt"]


def test_temporary_files_are_in_the_given_folder_and_those_of_the_user_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "shared"))
    monkeypatch.delenv("ALBERT_SHARED_TMPDIR", raising=False)
    (tmp_path / "shared").mkdir()
    (tmp_path / "work/left").mkdir(parents=True)
    with temporary_files_in(tmp_path / "work"):
        assert not list((tmp_path / "work").iterdir())
        assert user_folder("albert-fetched").parent == tmp_path / "shared"
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            assert pool.apply(shared_folder_variables) == shared_folder_variables()
    assert not (tmp_path / "work").exists()
    assert user_folder("albert-fetched").parent == tmp_path / "shared"


def test_what_cannot_be_removed_among_temporary_files_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "work/temporary"
    (folder / "of root").mkdir(parents=True)
    with monkeypatch.context() as context:
        context.setattr(shutil, "rmtree", lambda *_, **__: None)
        with temporary_files_in(folder):
            place = Path(os.environ["TMPDIR"])
            assert place.parent == folder
            assert not list(place.iterdir())
    with temporary_files_in(folder):
        assert os.environ["TMPDIR"] == str(folder)
    folder.touch()
    with pytest.raises(InputError, match="temporary: is no folder"), temporary_files_in(folder):
        pass


def test_a_file_that_cannot_be_removed_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "results/deep").mkdir(parents=True)
    (tmp_path / "results/deep/file").touch()
    (tmp_path / "results/other").touch()
    with monkeypatch.context() as context:
        context.setattr(shutil, "rmtree", lambda *_, **__: None)
        with pytest.raises(InputError, match=r"results/deep/file: .* cannot be removed; remove it"):
            make_empty(tmp_path / "results")
    assert names_in(tmp_path) == ["results", "results/deep", "results/deep/file"]
    make_empty(tmp_path / "results")
    assert names_in(tmp_path) == ["results"]


def test_a_file_that_is_replaced_keeps_its_mode(tmp_path: Path) -> None:
    for mode in (0o600, 0o440, 0o664):
        (tmp_path / "file").unlink(missing_ok=True)
        (tmp_path / "file").touch()
        (tmp_path / "file").chmod(mode)
        write_atomically(tmp_path / "file", b"new")
        assert (tmp_path / "file").stat().st_mode & 0o777 == mode


def test_the_names_of_a_new_file_and_of_a_tree_are_flushed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushed = []
    monkeypatch.setattr(os, "fsync", lambda d: flushed.append(os.readlink(f"/proc/self/fd/{d}")))
    write_atomically(tmp_path / "file", b"new")
    assert flushed == [str(partial_path(tmp_path / "file")), str(tmp_path)]
    flushed.clear()
    (tmp_path / "partial/deep").mkdir(parents=True)
    (tmp_path / "partial/deep/file").touch()
    flush_to_disk(tmp_path / "partial")
    replace_folder(tmp_path / "partial", tmp_path / "out")
    names = ("partial/deep", "partial/deep/file", "partial")
    assert flushed == [*(str(tmp_path / name) for name in names), str(tmp_path)]


def test_a_link_is_not_emptied(tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs/file").touch()
    partial_path(tmp_path / "out").symlink_to("theirs")
    with (
        pytest.raises(InputError, match="got a link, expected a folder"),
        staging_folder(partial_path(tmp_path / "out")),
    ):
        pass
    assert names_in(tmp_path / "theirs") == ["file"]


def test_a_link_is_not_written_through(tmp_path: Path) -> None:
    (tmp_path / "theirs").write_text("kept", encoding="utf-8")
    partial_path(tmp_path / "out").symlink_to("theirs")
    with (
        pytest.raises(InputError, match="got a link, expected a file or nothing; remove it"),
        partial_file(tmp_path / "out"),
    ):
        pass
    assert (tmp_path / "theirs").read_text(encoding="utf-8") == "kept"


def test_an_upload_keeps_its_file_while_a_second_one_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uploaded = []

    def upload(path: str, source: Path) -> None:
        with pytest.raises(InputError, match="another process is writing there"):
            whole_file(path).__enter__()
        uploaded.append((path, source.read_text()))

    monkeypatch.setattr(output_files, "user_folder", lambda _: tmp_path)
    monkeypatch.setattr(output_files, "write_file", upload)
    with whole_file("gs://bucket/labels.csv") as file:
        file.write_text("whole")
    assert uploaded == [("gs://bucket/labels.csv", "whole")]
    assert names_in(tmp_path) == []


@pytest.mark.usefixtures("no_locks")
def test_without_locks_writers_have_names_of_their_own(tmp_path: Path) -> None:
    path = str(tmp_path / "labels.csv")
    with whole_file(path) as first, whole_file(path) as second:
        assert first != second
        first.write_text("first")
        second.write_text("second")
    assert (tmp_path / "labels.csv").read_text() == "first"
    staging = partial_path(tmp_path / "out")
    with staging_folder(staging) as first:
        (first / "file").touch()
        with staging_folder(staging) as second:
            assert first != second
        remove_staged(staging)
        replace_folder(first, tmp_path / "out")
    assert names_in(tmp_path) == ["labels.csv", "out", "out/file"]


def enter_often(path: Path) -> int:
    for _ in range(60):
        with partial_files.staging_folder(path, waits=True) as folder:
            (folder / "file").touch()
    return 60


def test_processes_that_begin_and_end_at_once_wait_without_errors(tmp_path: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(3) as pool:
        paths = [tmp_path / "deep/.out.partial"] * 3
        assert pool.map_async(enter_often, paths).get(60) == [60] * 3
    assert names_in(tmp_path) == ["deep"]
