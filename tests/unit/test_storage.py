"""Files by their address: the same functions for local paths, gs:// and s3://, whole or not."""

import contextlib
import gzip
import os
import random
import shutil
import stat
import subprocess
import sys
import time
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest
import urllib3

from albert_core import storage
from albert_core.artifacts.step import run_step
from albert_core.corpus import (
    CorpusConfig,
    CorpusSplit,
    FileRange,
    corpus_documents,
    corpus_fingerprint,
    corpus_splits,
    list_corpus,
    read_split,
)
from albert_core.errors import InputError
from albert_core.globs import match_names
from albert_core.storage import addresses
from albert_core.user_folder import user_folder
from tests.helpers.object_storage import quick_bucket_of

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")


@pytest.fixture(scope="module")
def buckets():
    with contextlib.ExitStack() as stack:
        yield {name: stack.enter_context(quick_bucket_of(name)) for name in ("gs", "s3")}


@pytest.fixture(params=["gs", "s3"])
def bucket(request, buckets) -> str:
    return buckets[request.param]


@pytest.fixture(params=["local", "gs", "s3"])
def folder(request, buckets, tmp_path) -> str:
    return (
        str(tmp_path) if request.param == "local" else f"{buckets[request.param]}/{tmp_path.name}"
    )


def test_bytes_come_back(folder):
    path = storage.join(folder, "a/b.bin")
    assert not storage.exists(path)
    storage.write_bytes(path, b"\x00abc")
    assert storage.read_bytes(path) == b"\x00abc"
    assert storage.exists(path)


def test_there_is_no_file_whose_name_is_too_long(tmp_path):
    name = "x" * 300
    assert storage.find_below(tmp_path, name) == []
    with pytest.raises(InputError, match="no file matches"):
        storage.find_files(str(tmp_path / name))


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


@pytest.fixture
def requested_ranges(monkeypatch) -> list[str]:
    """The ranges of bytes that are requested from now on, as "0-9"; "" for a request of none."""
    call, ranges = urllib3.HTTPConnectionPool.urlopen, []

    def urlopen(*arguments, **options):
        headers = {name.lower(): value for name, value in options["headers"].items()}
        value = headers.get("range", "")  # botocore's are bytes
        value = value.decode() if isinstance(value, bytes) else value
        ranges.append(value.removeprefix("bytes="))
        return call(*arguments, **options)

    monkeypatch.setattr(urllib3.HTTPConnectionPool, "urlopen", urlopen)
    return ranges


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


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("", "abcd"),
        ("x", "abc"),
        ("x/*.txt", "a"),
        ("x/**/*.txt", "abc"),
        ("x/y/b.txt", "b"),
        ("*/*/b.t?t", "b"),
        ("x/y/[bc].txt", "bc"),
    ],
)
def test_files_are_found_by_folder_and_glob(folder, pattern, expected):
    for name in ("x/a.txt", "x/y/b.txt", "x/y/c.txt", "d.txt"):
        storage.write_bytes(storage.join(folder, name), b"12")
    found = storage.find_files(storage.join(folder, pattern) if pattern else folder)
    assert [Path(file.path).stem for file in found] == sorted(expected, key="dabc".index)
    assert {file.num_bytes for file in found} == {2}


NAMES = [
    "a.txt",
    "b.txt",
    "^.txt",
    "[ab].txt",
    "x[1]/c.txt",
    "x1/d.txt",
    "one, two.txt",
    ".hidden.txt",
    ".git/e.txt",
    "deep/.git/f.txt",
    "deep/down/g.txt",
    "new\nline.txt",
]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("[!b].txt", ["^.txt", "a.txt"]),
        ("[^b].txt", ["^.txt", "b.txt"]),
        ("[ab].txt", ["[ab].txt"]),
        ("[a-b].txt", ["a.txt", "b.txt"]),
        ("[]a].txt", ["a.txt"]),
        ("[z-a].txt", None),
        ("[.txt", None),
        ("[a.txt", None),
        ("[!]*.txt", None),
        ("x[1]/*.txt", ["x[1]/c.txt"]),
        ("x[1]", ["x[1]/c.txt"]),
        ("x[1-9]/*.txt", ["x1/d.txt"]),
        ("x[[]1]/*.txt", ["x[1]/c.txt"]),
        ("one, two.txt", ["one, two.txt"]),
        ("one,*", ["one, two.txt"]),
        ("n*", ["new\nline.txt"]),
        (".h*", [".hidden.txt"]),
        ("*e*/*.txt", None),
        ("deep/**", ["deep/down/g.txt"]),
        ("deep/**/*.txt", ["deep/down/g.txt"]),
        ("**/[c-g].txt", ["deep/down/g.txt", "x1/d.txt", "x[1]/c.txt"]),
        ("d**p/*/g.txt", ["deep/down/g.txt"]),
        ("*", ["[ab].txt", "^.txt", "a.txt", "b.txt", "new\nline.txt", "one, two.txt"]),
    ],
)
def test_globs_mean_the_same_everywhere_and_an_exact_name_wins(folder, pattern, expected):
    # The server of S3 here does not take names of two lines.
    names = [name for name in NAMES if "\n" not in name or not folder.startswith("s3://")]
    expected = [name for name in expected or () if name in names]
    for name in names:
        storage.write_bytes(storage.join(folder, name), b"1")
    if not expected:
        with pytest.raises(InputError, match="no file matches"):
            storage.find_files(storage.join(folder, pattern))
        return
    files = storage.find_files(storage.join(folder, pattern))
    assert [file.path.removeprefix(f"{folder}/") for file in files] == expected


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("a.txt", ["a.txt"]),
        ("*.txt", ["[ab].txt", "^.txt", "a.txt", "b.txt", "new\nline.txt", "one, two.txt"]),
        ("[!b].txt", ["^.txt", "a.txt"]),
        ("[ab].txt", ["[ab].txt"]),
        ("x[1]/*", ["x[1]/c.txt"]),
        ("missing", []),
    ],
)
def test_files_of_a_task_are_matched_by_the_same_rules_here_and_in_a_listing(
    tmp_path, pattern, expected
):
    folder = tmp_path / "data [ab]"
    for name in NAMES:
        storage.write_bytes(str(folder / name), b"1")
    assert storage.find_below(folder, pattern) == [folder / name for name in expected]
    assert match_names(pattern, NAMES) == expected


def test_a_link_to_a_folder_around_it_is_walked_once(tmp_path):
    storage.write_bytes(str(tmp_path / "a" / "b.txt"), b"1")
    (tmp_path / "a" / "up").symlink_to(tmp_path)
    files = storage.find_files(f"{tmp_path}/**/*.txt")
    assert [file.path for file in files] == [str(tmp_path / "a" / "b.txt")]


def test_commas_split_a_list_but_for_names_that_exist(folder):
    for name in ("a.txt", "b.txt", "one, two.txt", "x,y/c.txt"):
        storage.write_bytes(storage.join(folder, name), b"1")
    names = ["a.txt", "one, two.txt", "x,y/*.txt", "b.txt", "missing"]
    addresses = [storage.join(folder, name) for name in names]
    assert storage.split_addresses(",".join(addresses)) == addresses
    assert storage.split_addresses("cola,rte") == ["cola", "rte"]
    assert storage.split_addresses(",".join(["long"] * 999)) == ["long"] * 999


def test_what_is_not_there_is_named(folder):
    with pytest.raises(InputError, match="no file matches"):
        storage.find_files(storage.join(folder, "*.nothing"))
    with pytest.raises(InputError, match=r"missing"):
        storage.open_file(storage.join(folder, "missing"))


@pytest.mark.parametrize(
    "address",
    ["hf://datasets/x", "file:///tmp/x", "https://x.org/y", "az://b", "HF://b/x", "hf:/b/x",
     "hf:user/x", "file:x", " az://b/x", "custom:/x"],
)  # fmt: skip
def test_other_kinds_of_storage_are_refused(address):
    functions = [storage.find_files, storage.open_file, storage.local_folder, storage.exists]
    for function in functions:
        with pytest.raises(
            InputError, match=r"got an address of \w+://, expected a local path or gs:// or s3://"
        ):
            function(address)


@pytest.mark.parametrize(
    "address",
    ["gs:/b/x", "gs:b/x", "GS://b/x", "Gs:/b", " gs://b/x", "gs:", "gcs://b/x", "s3:/b/x", "s3:b",
     "S3://b/x", "s3a://b/x", "s3n://b/x", " s3://b/x"],
)  # fmt: skip
def test_a_misspelt_address_is_no_folder_here(address, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for path in (address, Path(address)):
        with pytest.raises(InputError, match=r"expected (gs|s3)://bucket/name; a local folder"):
            storage.write_bytes(path, b"1")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["note:1.txt", "./gs:/x", "C:/x", "a/s3:/b", "10:30/x"])
def test_other_names_with_a_colon_are_local(name):
    assert not storage.is_remote(name)
    assert storage.local_path(name, "output") == Path(name)


@pytest.mark.parametrize(
    ("address", "command"), [("gs://b/x", "gcloud storage cp"), ("s3://b/x", "aws s3 cp")]
)
def test_a_setting_that_must_be_local_is_refused_in_the_cloud(address, command):
    said = f"destination {address}: got an address in the cloud.* `{command}`"
    with pytest.raises(InputError, match=said):
        storage.local_path(address, "destination")


def test_a_missing_bucket_is_named(bucket):
    missing = bucket.replace("albert-test", "no-such-bucket")
    with pytest.raises(InputError, match=f"{missing}/.*: no such bucket or object"):
        storage.find_files(f"{missing}/*")


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


def test_a_corpus_is_read_from_a_bucket(bucket, tmp_path):
    text = "One.\nTwo.\n\nThree.\n"
    storage.write_bytes(f"{bucket}/text/plain.txt", text.encode())
    storage.write_bytes(f"{bucket}/text/packed.txt.gz", gzip.compress(b"Four.\n"))
    corpus = CorpusConfig(files=(f"{bucket}/text/*",))
    assert list(corpus_documents(corpus)) == [["Four."], ["One.", "Two."], ["Three."]]
    assert sum(split.num_bytes for split in corpus_splits(corpus)) > len(text)
    before = corpus_fingerprint(corpus)
    storage.write_bytes(f"{bucket}/text/plain.txt", b"Five.\n")
    assert corpus_fingerprint(corpus) != before


def test_of_the_beginning_of_a_file_in_a_bucket_little_is_fetched(bucket, requested_ranges):
    """To tell what it is, when a corpus is listed and when a range of it is read."""
    storage.write_bytes(f"{bucket}/heads/text.part", b"A line.\n\n" * 10_000)
    corpus = CorpusConfig(files=(f"{bucket}/heads",), format="sentences")
    (file,) = list_corpus(corpus).files
    assert list(filter(None, requested_ranges)) == ["0-4095"]
    requested_ranges.clear()
    split = CorpusSplit((FileRange(file.path, 89_900, 90_000),))
    assert list(read_split(split, corpus))[-1] == ["A line."]
    first, *others = filter(None, requested_ranges)
    assert first == "0-65535"
    assert all(int(each.partition("-")[0]) > 70_000 for each in others)


def test_parquet_is_read_from_a_bucket(bucket):
    table = pyarrow.table({"text": [f"Row {n} is here." for n in range(5000)]})
    sink = pyarrow.BufferOutputStream()
    pyarrow.parquet.write_table(table, sink, row_group_size=1000)
    storage.write_bytes(f"{bucket}/rows/part.parquet", sink.getvalue().to_pybytes())
    corpus = CorpusConfig(files=(f"{bucket}/rows",), format="parquet")
    assert list(corpus_documents(corpus)) == [[text] for text in table["text"].to_pylist()]


def work(output, calls, *, figure=1, fail=False):
    def body(results, progress):
        calls.append(1)
        (results / "data.bin").write_bytes(b"data" * figure)
        if fail:
            raise InputError("bad")
        return {"figure": figure}

    return run_step("step", config={"figure": figure}, inputs={}, output=output, body=body)


def test_a_step_publishes_to_a_bucket_once(bucket, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    calls: list[int] = []
    output = f"{bucket}/published"
    manifest = work(output, calls)
    assert work(output, calls) == manifest
    assert len(calls) == 1
    names = [Path(file.path).name for file in storage.find_files(output)]
    assert names == ["data.bin", "manifest.json"]
    assert not list(tmp_path.iterdir())


def test_a_failed_step_leaves_nothing_in_the_bucket(bucket, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="bad"):
        work(f"{bucket}/failed", [], fail=True)
    assert not storage.has_files(f"{bucket}/failed")
    assert not list(tmp_path.iterdir())


def test_a_remote_folder_of_something_else_is_refused(bucket, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    work(f"{bucket}/other", [])
    with pytest.raises(InputError, match="belongs to another configuration"):
        work(f"{bucket}/other", [], figure=2)
    storage.write_bytes(f"{bucket}/foreign/file", b"1")
    with pytest.raises(InputError, match="was not made by this program"):
        work(f"{bucket}/foreign", [])
    assert storage.read_bytes(f"{bucket}/foreign/file") == b"1"


def test_a_half_done_upload_is_done_again(bucket, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    output = f"{bucket}/half"
    storage.write_bytes(f"{output}/uploading.txt", b"")
    storage.write_bytes(f"{output}/data.bin", b"da")
    work(output, [])
    assert storage.read_bytes(f"{output}/data.bin") == b"data"
    assert not storage.exists(f"{output}/uploading.txt")


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
