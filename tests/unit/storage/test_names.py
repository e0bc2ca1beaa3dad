"""Addresses, globs and lists of them mean the same here and in buckets."""

import contextlib
import os
import tempfile
from pathlib import Path

import pytest

from albert_core import storage
from albert_core.errors import InputError
from albert_core.files.globs import match_names

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")


def test_there_is_no_file_whose_name_is_too_long(tmp_path):
    name = "x" * 300
    assert storage.find_below(tmp_path, name) == []
    with pytest.raises(InputError, match="no file matches"):
        storage.find_files(str(tmp_path / name))


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


@pytest.fixture
def open_folder():
    """A folder that everybody may read; pytest's are for the user who runs it alone."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@contextlib.contextmanager
def without_the_rights_of_root():
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(user)


@pytest.mark.parametrize("rights", [0o000, 0o444], ids=["nothing", "names alone"])
def test_a_folder_with_a_part_that_must_not_be_read_is_refused(open_folder, rights):
    for name in ("a.txt", "closed/b.txt", "lost+found/c.txt"):
        storage.write_bytes(storage.join(str(open_folder), name), b"12")
    (open_folder / "lost+found").chmod(0o000)
    with without_the_rights_of_root():
        assert len(storage.find_files(str(open_folder))) == 2
    (open_folder / "closed").chmod(rights)
    with (
        without_the_rights_of_root(),
        pytest.raises(InputError, match=r"closed.*Permission denied; expected a readable folder"),
    ):
        storage.find_files(str(open_folder))
    for name in ("closed", "lost+found"):
        (open_folder / name).chmod(0o755)  # so that it can be removed


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


@pytest.mark.parametrize("address", ["~", "~/runs/a.txt"])
def test_a_home_folder_that_no_shell_has_replaced_is_no_folder_here(address, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/ann")
    message = rf"begins with '~', .*; expected {address.replace('~', '/home/ann')}$"
    for path in (address, Path(address)):
        with pytest.raises(InputError, match=message):
            storage.write_bytes(path, b"1")
    with pytest.raises(InputError, match=message):
        storage.find_files(address)
    assert not list(tmp_path.iterdir())
    assert not storage.is_remote("~draft.txt")


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
