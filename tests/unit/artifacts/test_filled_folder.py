"""Outputs that change while a step works, or hold what is somebody's: nothing there is lost."""

import errno
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from albert_core.artifacts import output_folder
from albert_core.artifacts.filled_folder import (
    end_filling,
    fill_folder,
    find_foreign_file,
    remove_empty,
)
from albert_core.artifacts.manifest import Manifest
from albert_core.artifacts.output_folder import PRIVATE_NAME, is_replaceable
from albert_core.artifacts.step import run_step, work_fingerprint
from albert_core.errors import InputError

FILES = ["deep", "deep/result.txt", "manifest.json"]


def do_work(
    output: Path, meanwhile: Callable[[], object] = lambda: None, **changes: Any
) -> Manifest:
    """Run a small step whose metrics tell the progress that it took up; publishes one file."""

    def body(results: Path, progress: Path) -> dict[str, Any]:
        meanwhile()
        (results / "deep").mkdir()
        (results / "deep/result.txt").write_text("whole")
        return {"progress": sorted(path.name for path in progress.iterdir())}

    return run_step("vocab", **{"config": {}, "inputs": {}, **changes}, output=output, body=body)


def refuse_to_work() -> None:
    pytest.fail("the work is done once more")


def names_in(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def make_older(output: Path, **changes: Any) -> None:
    """Have an output look as if other code had made it, so that it is published again."""
    path = output / "manifest.json"
    values = {**json.loads(path.read_text()), "code_version": "older", **changes}
    del values["checksum"]
    path.write_text(json.dumps(values))


@pytest.fixture
def volume(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is a mount point by the system's list."""
    folder = tmp_path / "volume"
    folder.mkdir()
    line = f"22 1 8:1 / {folder.resolve()} rw,relatime - ext4 /dev/sda1 rw\n"
    (tmp_path / "mounts").write_text(line)
    monkeypatch.setattr(output_folder, "_MOUNTS", tmp_path / "mounts")
    return folder


@pytest.mark.parametrize("is_volume", [False, True])
def test_a_file_written_into_the_output_while_the_step_works_stays(
    is_volume: bool, volume: Path, tmp_path: Path
) -> None:
    output = volume if is_volume else tmp_path / "out"

    def write() -> None:
        output.mkdir(exist_ok=True)
        (output / "mine.txt").write_text("mine")

    with pytest.raises(InputError, match=r"it holds mine\.txt.* The finished results are kept"):
        do_work(output, write)
    (output / "mine.txt").unlink()
    do_work(output, refuse_to_work)
    assert names_in(output) == FILES
    assert not (tmp_path / ".out.work").exists()


@pytest.mark.parametrize("is_volume", [False, True])
def test_results_of_another_configuration_published_meanwhile_stay(
    is_volume: bool, volume: Path, tmp_path: Path
) -> None:
    output = volume if is_volume else tmp_path / "out"
    output.mkdir(exist_ok=True)
    with pytest.raises(InputError, match="belongs to another configuration"):
        do_work(output, lambda: do_work(output, config={"size": 2}))
    assert do_work(output, refuse_to_work, config={"size": 2}).config == {"size": 2}
    work_root = output / PRIVATE_NAME if is_volume else tmp_path / ".out.work"
    do_work(tmp_path / "elsewhere", refuse_to_work, work_root=work_root)


def test_the_same_work_published_meanwhile_is_taken(tmp_path: Path) -> None:
    first: list[Manifest] = []
    output = tmp_path / "out"
    second = do_work(output, lambda: first.append(do_work(output, work_root=tmp_path / "work")))
    assert [second] == first


def test_what_is_in_an_ordinary_folder_under_a_name_of_volumes_stays(tmp_path: Path) -> None:
    (tmp_path / "out/lost+found").mkdir(parents=True)
    for _ in range(2):
        with pytest.raises(InputError, match=r"out: exists and was not .* \(it holds lost\+found"):
            do_work(tmp_path / "out")
        (tmp_path / "out/lost+found/file").touch()
    assert names_in(tmp_path / "out") == ["lost+found", "lost+found/file"]


def test_the_work_of_a_container_is_taken_up_where_its_volume_is_an_ordinary_folder(
    tmp_path: Path,
) -> None:
    private = tmp_path / "out" / PRIVATE_NAME
    progress = private / f"vocab-{work_fingerprint('vocab', {}, {})[:12]}" / "progress"
    progress.mkdir(parents=True)
    (progress / "checkpoint").touch()
    (private / "mine.txt").write_text("mine")
    assert do_work(tmp_path / "out").metrics == {"progress": ["checkpoint"]}
    assert names_in(tmp_path / "out") == [PRIVATE_NAME, f"{PRIVATE_NAME}/mine.txt", *FILES]


def test_only_a_note_in_the_private_folder_hinders_no_rename(tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    (tmp_path / "source/file").touch()
    folder = tmp_path / "out"
    folder.mkdir()
    fill_folder(tmp_path / "source", folder, last="file")
    assert is_replaceable(folder)
    assert find_foreign_file(folder, is_replaced=True) is None
    end_filling(folder)
    assert names_in(folder) == ["file"]
    assert find_foreign_file(folder, is_replaced=True) == "file"


def test_a_full_disk_while_the_manifest_is_copied_leaves_none(
    volume: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def copy_half(source: Path, target: Path) -> None:
        if Path(source).name == "manifest.json":
            Path(target).write_text("{")
            raise OSError(errno.ENOSPC, "No space left on device")
        shutil.copyfile(source, target)

    def refuse_to_link(*_: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    with monkeypatch.context() as patched:
        patched.setattr(os, "link", refuse_to_link)
        patched.setattr(shutil, "copy2", copy_half)
        with pytest.raises(OSError, match="No space left"):
            do_work(volume)
    assert "manifest.json" not in names_in(volume)
    # As versions that wrote it in place left it.
    (volume / "manifest.json").write_text("{")
    do_work(volume, refuse_to_work)
    assert names_in(volume) == FILES


def test_no_link_and_no_name_leads_out_of_a_filled_folder(tmp_path: Path) -> None:
    (tmp_path / "source/deep").mkdir(parents=True)
    (tmp_path / "source/deep/file").write_text("new")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/file").write_text("mine")
    folder = tmp_path / "out"
    folder.mkdir()
    for name in ("../elsewhere/file", f"{tmp_path}/elsewhere/file"):
        with pytest.raises(InputError, match=r"file, listed there .* leads out of the"):
            fill_folder(tmp_path / "source", folder, earlier=[name], last="deep/file")
    (folder / "deep").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InputError, match="out: deep is a link, expected a folder"):
        fill_folder(tmp_path / "source", folder, last="deep/file")
    assert (tmp_path / "elsewhere/file").read_text() == "mine"
    (tmp_path / "elsewhere/file").unlink()
    remove_empty(folder / "deep")
    assert names_in(folder) == ["deep"]
    assert (tmp_path / "elsewhere").is_dir()


def test_a_folder_of_results_that_is_a_link_now_is_refused(volume: Path, tmp_path: Path) -> None:
    do_work(volume)
    make_older(volume)
    (volume / "deep").rename(tmp_path / "elsewhere")
    (volume / "deep").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InputError, match="would remove deep, not made by this program"):
        do_work(volume, refuse_to_work)
    assert (tmp_path / "elsewhere/result.txt").read_text() == "whole"


def test_files_of_others_beside_a_damaged_manifest_stay(tmp_path: Path) -> None:
    do_work(tmp_path / "out")
    path = tmp_path / "out/manifest.json"
    path.write_text(path.read_text().replace('"seconds": 0', '"seconds": 9'))
    (tmp_path / "out/mine.txt").write_text("mine")
    with pytest.raises(InputError, match=r"would remove mine\.txt, not made by this program"):
        do_work(tmp_path / "out", refuse_to_work)
    (tmp_path / "out/mine.txt").unlink()
    do_work(tmp_path / "out")
    assert names_in(tmp_path / "out") == FILES


@pytest.mark.parametrize("number", [errno.EXDEV, errno.EBUSY, errno.EPERM])
def test_a_folder_that_the_system_does_not_rename_is_filled(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output, rename = tmp_path / "out", os.rename

    def refuse(source: Path, target: Path) -> None:
        if output in (Path(source), Path(target)):
            raise OSError(number, os.strerror(number))
        rename(source, target)

    do_work(output)
    (output / "older.txt").touch()
    make_older(output, files={"older.txt": {}, "deep/result.txt": {}})
    monkeypatch.setattr(os, "rename", refuse)
    inode = output.stat().st_ino
    do_work(output)
    assert (names_in(output), output.stat().st_ino) == (FILES, inode)
    assert names_in(tmp_path)[0] == "out"


def test_the_current_folder_is_filled_and_one_of_others_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "out").mkdir()
    monkeypatch.chdir(tmp_path / "out")
    for path in ("..", "/"):
        with pytest.raises(InputError, match="was not made by this program"):
            do_work(Path(path), refuse_to_work)
    inode = (tmp_path / "out").stat().st_ino
    do_work(Path())
    do_work(Path(), refuse_to_work)
    assert (names_in(tmp_path / "out"), Path.cwd().stat().st_ino) == (FILES, inode)


def test_a_folder_that_must_not_be_entered_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(InputError, match="loop is a link that leads to no folder, expected a fol"):
        do_work(tmp_path / "loop/out")

    def refuse(path: Path) -> bool:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(Path, "is_file", refuse)
    with pytest.raises(InputError, match=r"out: .*manifest\.json: Permission denied; choose anoth"):
        do_work(tmp_path / "out", refuse_to_work)
