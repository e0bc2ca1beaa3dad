"""Objects of S3 against a server: parts, checksums, conditions, and objects that others wrote."""

from pathlib import Path

import pytest

from albert_core import storage
from albert_core.errors import InputError, ServiceError
from albert_core.object_storage.interface import ObjectFacts
from albert_core.object_storage.s3 import parts as s3_parts
from albert_core.object_storage.s3 import reading as s3_reading
from albert_core.object_storage.s3 import storage as s3_storage
from albert_core.object_storage.s3.client import s3_client
from albert_core.processes.user_folder import user_folder
from tests.helpers.object_storage import BUCKET, s3_bucket

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")

MIB = 1 << 20
DATA = bytes(range(256)) * 4096 * 11  # two whole parts and a smaller one


@pytest.fixture(scope="module")
def bucket():
    with s3_bucket() as address:
        yield address


@pytest.fixture
def small_parts(monkeypatch):
    monkeypatch.setattr(s3_storage, "_PART_BYTES", 5 * MIB)  # the least that S3 takes
    monkeypatch.setattr(s3_storage, "_LARGEST_COPY_BYTES", 6 * MIB)
    monkeypatch.setattr(s3_storage, "_COPY_PART_BYTES", 5 * MIB)


@pytest.fixture
def source(tmp_path) -> Path:
    (tmp_path / "source").write_bytes(DATA)
    return tmp_path / "source"


def test_large_objects_go_in_parts_with_the_checksum_of_the_whole(
    bucket, small_parts, source, tmp_path
):
    storage.write_bytes(f"{bucket}/once", DATA)
    storage.write_file(f"{bucket}/parts", source)
    storage.copy_to_bucket(f"{bucket}/parts", f"{bucket}/copied")
    for name in ("parts", "copied"):
        assert storage.content_hash(f"{bucket}/{name}") == storage.content_hash(f"{bucket}/once")
        storage.fetch_file(f"{bucket}/{name}", tmp_path / name)
        assert (tmp_path / name).read_bytes() == DATA
    etags = [storage.generation(f"{bucket}/{name}") for name in ("once", "parts")]
    assert [str(etag).strip('"').partition("-")[2] for etag in etags] == ["", "3"]


def test_an_upload_that_fails_leaves_nothing(bucket, small_parts, source, monkeypatch):
    def fail(**_):
        raise InputError("no")

    monkeypatch.setattr(s3_client(), "upload_part", fail)
    with pytest.raises(InputError, match="no"):
        storage.write_file(f"{bucket}/failed", source)
    assert not storage.exists(f"{bucket}/failed")
    assert "Uploads" not in s3_client().list_multipart_uploads(Bucket=BUCKET)


def test_there_are_ten_thousand_parts_at_most():
    assert s3_parts.part_ranges(0, 5) == []
    assert s3_parts.part_ranges(11, 5) == [(0, 5), (5, 5), (10, 1)]
    ranges = s3_parts.part_ranges(1_000_001, 5)
    assert len(ranges) <= 10_000
    assert sum(size for _, size in ranges) == 1_000_001


def test_empty_files_come_back(bucket, tmp_path):
    (tmp_path / "empty").touch()
    storage.write_file(f"{bucket}/empty", tmp_path / "empty")
    storage.fetch_file(f"{bucket}/empty", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == storage.read_bytes(f"{bucket}/empty") == b""


def test_what_is_written_while_a_folder_is_removed_stays(bucket, monkeypatch):
    for name in "abc":
        storage.write_bytes(f"{bucket}/gone/{name}", b"old")
    remove = s3_storage.S3Storage.remove

    def remove_late(self, path, *, generation=None):
        if path.endswith("/a"):
            storage.write_bytes(f"{bucket}/gone/b", b"new")
            remove(self, f"{bucket}/gone/c")  # by somebody who removes the folder, too
        remove(self, path, generation=generation)

    monkeypatch.setattr(s3_storage.S3Storage, "remove", remove_late)
    storage.remove_folder(f"{bucket}/gone")
    (left,) = storage.find_files(f"{bucket}/gone")
    assert (left.path, storage.read_bytes(left.path)) == (f"{bucket}/gone/b", b"new")


def test_a_listing_has_all_pages(bucket):
    for number in range(5):
        storage.write_bytes(f"{bucket}/pages/{number}", b"1")
    events, event = s3_client().meta.events, "provide-client-params.s3.ListObjectsV2"
    calls = []

    def ask_for_two(params, **_):
        calls.append(params)
        return {**params, "MaxKeys": 2}

    events.register(event, ask_for_two)
    try:
        assert len(storage.find_files(f"{bucket}/pages")) == 5
    finally:
        events.unregister(event, ask_for_two)
    assert len(calls) == 3


def test_a_writer_that_was_overtaken_writes_nothing(bucket):
    path = f"{bucket}/accepted.json"
    storage.write_bytes(path, b"one", only_new=True)
    seen = storage.generation(path)
    with pytest.raises(InputError, match="another run was faster"):
        storage.write_bytes(path, b"two", only_new=True)
    storage.write_bytes(path, b"two", replaces=seen)
    with pytest.raises(InputError, match="another run was faster"):
        storage.write_bytes(path, b"three", replaces=seen)
    seen = storage.generation(path)
    storage.remove_file(path)
    with pytest.raises(InputError, match="another run was faster"):
        storage.write_bytes(path, b"three", replaces=seen)
    assert not storage.exists(path)


def test_an_object_that_is_replaced_while_it_is_read(bucket, monkeypatch):
    monkeypatch.setattr(s3_reading, "_READ_AHEAD_BYTES", 2 * MIB)
    storage.write_bytes(f"{bucket}/read", DATA)
    with storage.open_file(f"{bucket}/read") as file:
        assert file.read(3) == DATA[:3]
        storage.write_bytes(f"{bucket}/read", DATA[::-1])
        with pytest.raises(InputError, match="replaced while it was read; run again"):
            file.read()


def put_without_checksum(name: str, data: bytes) -> None:
    """Write an object as other programs do."""
    s3_client().put_object(Bucket=BUCKET, Key=name, Body=data)


def test_objects_of_others_without_a_checksum_are_known_by_their_etag(bucket, capsys):
    put_without_checksum("theirs/a.bin", b"weights")
    path = f"{bucket}/theirs/a.bin"
    assert storage.content_hash(path) == f"generation:{storage.generation(path)}"
    assert storage.find_stored_damage(path, {"bytes": 7, "crc32c": "any"}) is None
    assert storage.find_stored_damage(path, {"bytes": 8, "crc32c": "any"})
    fetched = storage.local_folder(f"{bucket}/theirs")
    before = (fetched / "a.bin").stat().st_mtime_ns
    assert storage.local_folder(f"{bucket}/theirs") == fetched
    assert (fetched / "a.bin").stat().st_mtime_ns == before
    for damage in ("changed", "unknown"):
        if damage == "changed":
            (fetched / "a.bin").write_bytes(b"heights")
        else:
            (user_folder("albert-fetched") / f"{fetched.name}.json").unlink()
        assert storage.local_folder(f"{bucket}/theirs") == fetched
        assert (fetched / "a.bin").read_bytes() == b"weights"
        assert f"{fetched}: damaged (" in capsys.readouterr().err
    put_without_checksum("theirs/a.bin", b"heights")
    assert storage.local_folder(f"{bucket}/theirs") != fetched


def test_a_download_of_other_bytes_is_an_error(bucket, tmp_path, monkeypatch):
    storage.write_bytes(f"{bucket}/whole", b"weights")
    monkeypatch.setattr(s3_storage, "read_range", lambda *_: b"heights")
    with pytest.raises(ServiceError, match="other bytes came than S3 keeps"):
        storage.fetch_file(f"{bucket}/whole", tmp_path / "file")


class Dropping:
    """A client whose first answers end early."""

    def __init__(self, num_dropped: int) -> None:
        self.num_dropped, self.num_calls = num_dropped, 0

    def get_object(self, **_):
        self.num_calls += 1
        return {"Body": self}

    def read(self) -> bytes:
        from botocore.exceptions import IncompleteReadError

        if self.num_calls <= self.num_dropped:
            raise IncompleteReadError(actual_bytes=1, expected_bytes=7)
        return b"weights"


def test_a_connection_that_drops_while_an_object_comes(monkeypatch):
    monkeypatch.setattr("time.sleep", lambda _: None)
    facts = ObjectFacts(num_bytes=7, crc32c=None, generation="1")
    client = Dropping(4)
    monkeypatch.setattr(s3_reading, "s3_client", lambda: client)
    assert s3_reading.read_range("s3://b/x", {}, facts, 0, 7) == b"weights"
    assert client.num_calls == 5
    client = Dropping(9)
    with pytest.raises(ServiceError, match="the connection to S3 was lost: 1 read, but total"):
        s3_reading.read_range("s3://b/x", {}, facts, 0, 7)
