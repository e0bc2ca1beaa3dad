"""Files by their address: the same functions for local paths, gs:// and s3://, whole or not."""

import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from albert_core import storage
from albert_core.errors import InputError
from albert_core.storage import addresses

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")


def test_bytes_come_back(folder):
    path = storage.join(folder, "a/b.bin")
    assert not storage.exists(path)
    storage.write_bytes(path, b"\x00abc")
    assert storage.read_bytes(path) == b"\x00abc"
    assert storage.exists(path)


def test_large_files_come_back_and_can_be_sought_in(folder, tmp_path):
    data = bytes(range(256)) * 40_000
    (tmp_path / "source").write_bytes(data)
    path = storage.join(folder, "large")
    storage.write_file(path, tmp_path / "source")
    storage.fetch_file(path, tmp_path / "target")
    assert (tmp_path / "target").read_bytes() == data
    with storage.open_file(path) as file:
        assert file.seek(0, 2) == len(data)
        file.seek(5_000_001)
        assert file.read(3) == data[5_000_001:5_000_004]


def test_a_range_of_a_file_is_read_and_no_more_is_fetched(folder, requested_ranges):
    data = bytes(range(256)) * 4_000
    path = storage.join(folder, "ranges")
    storage.write_bytes(path, data)
    requested_ranges.clear()
    assert storage.read_range(path, 1_000, 1_003) == data[1_000:1_003]
    assert requested_ranges == (["1000-1002"] if storage.is_remote(path) else [])
    assert storage.read_range(path, len(data) - 2, len(data) + 9) == data[-2:]
    with pytest.raises(InputError, match=r"missing"):
        storage.read_range(storage.join(folder, "missing"), 0, 5)


def test_behind_the_end_of_a_file_there_are_no_bytes(folder):
    path = storage.join(folder, "short")
    storage.write_bytes(path, b"abc")
    assert storage.read_range(path, 3, 9) == b""


def test_content_hashes_tell_content(folder):
    first, second, third = (storage.join(folder, name) for name in "abc")
    for path, data in ((first, b"one"), (second, b"one"), (third, b"two")):
        storage.write_bytes(path, data)
    assert storage.content_hash(first) == storage.content_hash(second)
    assert storage.content_hash(first) != storage.content_hash(third)


def test_a_folder_is_removed_whole(folder):
    storage.write_bytes(storage.join(folder, "gone/a"), b"1")
    storage.write_bytes(storage.join(folder, "gone/b/c"), b"1")
    storage.write_bytes(storage.join(folder, "gone_not"), b"1")
    storage.remove_folder(storage.join(folder, "gone"))
    assert not storage.has_files(storage.join(folder, "gone"))
    assert storage.exists(storage.join(folder, "gone_not"))


@pytest.mark.parametrize("end", ["", "/", "//"])
def test_a_whole_bucket_is_not_removed(bucket, end):
    storage.write_bytes(f"{bucket}/kept/a", b"1")
    with pytest.raises(InputError, match=r"got a whole bucket to remove.*nothing was removed"):
        storage.remove_folder(bucket + end)
    assert storage.exists(f"{bucket}/kept/a")


@pytest.mark.parametrize(("limit", "names"), [(None, ["a", "b"]), (0, []), (1, ["a"])])
def test_a_listing_has_as_many_objects_as_it_is_asked_for(bucket, limit, names):
    for name in "ab":
        storage.write_bytes(f"{bucket}/limited/{name}", b"1")
    address = f"{bucket}/limited"
    prefix = addresses.storage_of(bucket).bucket_and_name(address)[1] + "/"
    found = addresses.storage_of(bucket).list_objects(address, prefix, limit=limit)
    assert [each.name.removeprefix(prefix) for each in found] == names


def test_a_taken_address_is_refused(tmp_path):
    path = str(tmp_path / "manifest.json")
    storage.write_bytes(path, b"first", only_new=True)
    with pytest.raises(InputError, match="exists already"):
        storage.write_bytes(path, b"second", only_new=True)
    assert storage.read_bytes(path) == b"first"


def test_uploads_draw_no_random_numbers_that_a_training_has_seeded(bucket):
    random.seed(1)
    expected = random.random()
    random.seed(1)
    storage.write_bytes(f"{bucket}/drawing", b"1")
    assert storage.read_version(f"{bucket}/drawing").data == b"1"
    assert random.random() == expected


def test_a_killed_writer_leaves_no_half_file(tmp_path):
    code = (
        "import sys, pathlib; from albert_core import storage\n"
        "data = b'x' * 50_000_000\n"
        "while True: storage.write_bytes(sys.argv[1], data)"
    )
    path = tmp_path / "file"
    writer = subprocess.Popen([sys.executable, "-c", code, str(path)], cwd=Path.cwd())
    while not path.exists():
        time.sleep(0.01)
    time.sleep(0.2)
    writer.kill()
    writer.wait()
    assert path.stat().st_size == 50_000_000
