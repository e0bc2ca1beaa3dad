"""Outputs that cannot be replaced by a rename: mount points, links, folders of others."""

import os
from pathlib import Path
from typing import Any

import pytest

from albert_core.artifacts import output_folder
from albert_core.artifacts.output_folder import PRIVATE_NAME, is_replaceable, refuse_unwritable
from albert_core.artifacts.step import run_step
from albert_core.errors import InputError

FILES = ["deep", "deep/result.txt", "manifest.json"]


def do_work(output: Path) -> list[str]:
    """Run a small step; return the paths of the work root that its body saw."""
    seen = []

    def body(results: Path, _: Path) -> dict[str, Any]:
        seen.append(str(results.parents[1]))
        (results / "deep").mkdir()
        (results / "deep/result.txt").write_text("whole")
        return {}

    run_step("vocab", config={}, inputs={}, output=output, body=body)
    return seen


def names_in(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


@pytest.fixture
def volume(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is a mount point by the system's list, with a blank in its name."""
    folder = tmp_path / "a volume"
    folder.mkdir()
    name = str(folder.resolve()).replace(" ", "\\040")
    (tmp_path / "mounts").write_text(f"22 1 8:1 / {name} rw,relatime - ext4 /dev/sda1 rw\n")
    monkeypatch.setattr(output_folder, "_MOUNTS", tmp_path / "mounts")
    return folder


def test_a_mount_point_is_filled_and_the_work_is_in_it(volume: Path) -> None:
    (volume / "lost+found").mkdir()  # as every new ext4 volume has it
    inode = volume.stat().st_ino
    assert not is_replaceable(volume)
    assert do_work(volume) == [str(volume / PRIVATE_NAME)]
    assert names_in(volume) == sorted([*FILES, "lost+found"])
    assert volume.stat().st_ino == inode
    assert do_work(volume) == []


@pytest.mark.parametrize("name", ["mine.txt", "mine/deep.txt", "mine/"])
def test_a_mount_point_with_files_of_others_is_refused(name: str, volume: Path) -> None:
    path = volume / name
    (path if name.endswith("/") else path.parent).mkdir(exist_ok=True)
    if not name.endswith("/"):
        path.write_text("mine")
    with pytest.raises(InputError, match="was not made by this program"):
        do_work(volume)
    assert names_in(volume)[0] == name.split("/")[0]


@pytest.mark.parametrize("exists", [True, False])
def test_the_folder_that_a_link_leads_to_gets_the_results(exists: bool, tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    if exists:
        (tmp_path / "disk/out").mkdir()
    (tmp_path / "out").symlink_to("disk/out")
    assert do_work(tmp_path / "out") == [str(tmp_path / "disk/.out.work")]
    assert (tmp_path / "out").is_symlink()
    assert names_in(tmp_path / "disk/out") == FILES
    assert names_in(tmp_path / "disk") == ["out", *(f"out/{name}" for name in FILES)]


def test_a_link_in_a_circle_is_refused(tmp_path: Path) -> None:
    (tmp_path / "out").symlink_to("out")
    with pytest.raises(InputError, match="out: is a link that leads in a circle"):
        do_work(tmp_path / "out")


def forbid(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a folder that this user must not write; the tests may run as root, who may."""
    access = os.access
    monkeypatch.setattr(
        os, "access", lambda path, mode: Path(path) != folder and access(path, mode)
    )


def test_a_folder_below_one_that_cannot_be_written_is_filled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "out").mkdir()
    forbid(tmp_path, monkeypatch)
    assert do_work(tmp_path / "out") == [str(tmp_path / "out" / PRIVATE_NAME)]
    assert names_in(tmp_path / "out") == FILES


def test_an_output_that_cannot_be_written_is_refused_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"deep/out: .*file is a file, expected a folder"):
        do_work(tmp_path / "file/deep/out")
    forbid(tmp_path, monkeypatch)
    with pytest.raises(InputError, match=f"deep/out: {tmp_path} cannot be written; choose"):
        do_work(tmp_path / "deep/out")
    assert names_in(tmp_path) == ["file"]


def test_an_entry_of_another_user_in_a_folder_like_tmp_cannot_be_renamed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "out").mkdir()
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    assert is_replaceable(tmp_path / "out")
    tmp_path.chmod(0o1777)
    assert not is_replaceable(tmp_path / "out")
    refuse_unwritable(tmp_path / "out")
