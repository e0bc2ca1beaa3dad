"""Folders and files of buckets are fetched once, whole, and where no other user can reach."""

import os
import shutil
import stat

import pytest

from albert_core import storage
from albert_core.errors import InputError
from albert_core.processes.user_folder import user_folder

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")


def test_a_remote_folder_is_fetched_once(bucket):
    storage.write_bytes(f"{bucket}/model/sub/a.bin", b"123")
    fetched = storage.local_folder(f"{bucket}/model")
    assert (fetched / "sub" / "a.bin").read_bytes() == b"123"
    before = (fetched / "sub" / "a.bin").stat().st_mtime_ns
    assert storage.local_folder(f"{bucket}/model/") == fetched
    assert (fetched / "sub" / "a.bin").stat().st_mtime_ns == before
    storage.write_bytes(f"{bucket}/model/sub/a.bin", b"456")
    assert storage.local_folder(f"{bucket}/model") != fetched


def test_a_remote_file_is_fetched_and_a_local_one_is_not_looked_for(bucket, tmp_path):
    storage.write_bytes(f"{bucket}/model/config.json", b"{}")
    assert storage.local_file(f"{bucket}/model/config.json").read_bytes() == b"{}"
    assert storage.local_file(tmp_path / "none.json") == tmp_path / "none.json"


@pytest.mark.parametrize("how", ["flipped", "cut", "planted", "link"])
def test_a_download_that_was_changed_is_fetched_again(how, bucket, capsys):
    storage.write_bytes(f"{bucket}/weights/a.bin", b"weights")
    fetched = storage.local_folder(f"{bucket}/weights")
    if how == "planted":
        (fetched / "task.json").write_text("{}")
    elif how == "link":
        (fetched / "a.bin").rename(fetched.parent / "elsewhere")
        (fetched / "a.bin").symlink_to(fetched.parent / "elsewhere")
    else:
        (fetched / "a.bin").write_bytes({"flipped": b"heights", "cut": b"wei"}[how])
    assert storage.local_folder(f"{bucket}/weights") == fetched
    assert [path.name for path in fetched.iterdir()] == ["a.bin"]
    assert not (fetched / "a.bin").is_symlink()
    assert (fetched / "a.bin").read_bytes() == b"weights"
    assert f"{fetched}: damaged (" in capsys.readouterr().err


def test_a_download_whose_folder_became_a_link_is_fetched_again(bucket, tmp_path, capsys):
    storage.write_bytes(f"{bucket}/deep/part/a.bin", b"weights")
    fetched = storage.local_folder(f"{bucket}/deep")
    shutil.copytree(fetched / "part", tmp_path / "part")
    shutil.rmtree(fetched / "part")
    (fetched / "part").symlink_to(tmp_path / "part")
    assert storage.local_folder(f"{bucket}/deep") == fetched
    assert not (fetched / "part").is_symlink()
    assert (fetched / "part/a.bin").read_bytes() == b"weights"
    assert (tmp_path / "part/a.bin").read_bytes() == b"weights"
    assert f"{fetched}: damaged (part is a link)" in capsys.readouterr().err


def test_downloads_are_in_a_folder_that_only_this_user_can_open(bucket):
    storage.write_bytes(f"{bucket}/mine/a.bin", b"1")
    folder = storage.local_folder(f"{bucket}/mine").parent
    assert folder.name == f"albert-fetched-{os.getuid()}"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


@pytest.mark.parametrize("name", ["albert-fetched", "albert-work"])
@pytest.mark.parametrize("planted", ["a link", "no folder", "a folder of user", "a folder of mode"])
def test_a_folder_that_another_user_planted_is_refused(name, planted, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    folder = tmp_path / f"{name}-{os.getuid()}"
    if planted == "a link":
        (tmp_path / "theirs").mkdir(mode=0o700)
        folder.symlink_to(tmp_path / "theirs")
    elif planted == "no folder":
        folder.touch(mode=0o600)
    else:
        folder.mkdir(mode=0o700)
        if planted == "a folder of mode":
            folder.chmod(0o777)
        else:
            other = os.getuid() + 1
            monkeypatch.setattr(os, "getuid", lambda: other)
            folder.rename(tmp_path / f"{name}-{os.getuid()}")
    with pytest.raises(InputError, match=rf"{name}-\d+: got {planted}.* of mode 0700; remove it"):
        user_folder(name)
