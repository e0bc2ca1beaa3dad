"""A file to write is refused where something is that this program did not make."""

import os
from pathlib import Path

import pytest

from albert_core.artifacts import output_folder
from albert_core.artifacts.output_file import refuse_foreign_file
from albert_core.errors import InputError
from albert_core.storage import write_bytes
from tests.helpers.object_storage import quick_bucket_of


def check(path: Path | str) -> None:
    refuse_foreign_file(str(path), lambda data: data == b"ours", what="a card")


def test_a_new_file_and_one_of_this_program_are_written(tmp_path: Path) -> None:
    check(tmp_path / "new/README.md")
    (tmp_path / "card.md").write_bytes(b"ours")
    check(tmp_path / "card.md")


def test_a_file_of_others_a_folder_and_a_file_for_a_folder_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "spiece.model"
    file.write_bytes(b"vocabulary")
    for path, reason in (
        (file, r"spiece\.model: exists and is not a card as this program wrote it"),
        (tmp_path, "got a folder, expected the name of a file"),
        (file / "card.md", r"spiece\.model is a file, expected a folder"),
    ):
        with pytest.raises(InputError, match=reason):
            check(path)
    assert file.read_bytes() == b"vocabulary"


def test_devices_mount_points_and_what_cannot_be_written_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    card = tmp_path / "card.md"
    card.write_bytes(b"ours")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link.md").symlink_to(os.devnull)
    devices = {"/dev/null": "device", tmp_path / "link.md": "device", tmp_path / "pipe": "pipe"}
    for path, kind in devices.items():
        with pytest.raises(InputError, match=f"^output .*: got a {kind}, expected a file"):
            check(path)
    (tmp_path / "mounts").write_text(f"22 1 8:1 / {card.resolve()} rw - ext4 /dev/sda1 rw\n")
    with monkeypatch.context() as patch:
        patch.setattr(output_folder, "_MOUNTS", tmp_path / "mounts")
        with pytest.raises(InputError, match=r"card\.md: got a mount point"):
            check(card)
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(InputError, match=r"cannot be written; choose another folder"):
        check(card)


@pytest.mark.parametrize("scheme", ["gs", "s3"])
def test_an_object_of_others_is_refused(scheme: str) -> None:
    with quick_bucket_of(scheme) as bucket:
        write_bytes(f"{bucket}/model/vocab", b"vocabulary")
        with pytest.raises(InputError, match="exists and is not a card"):
            check(f"{bucket}/model/vocab")
        check(f"{bucket}/model/card.md")
