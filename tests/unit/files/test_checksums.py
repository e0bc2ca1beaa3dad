"""Sealed JSON and checksums of files: whatever is not what was written is noticed."""

import json
from pathlib import Path

import google_crc32c
import pytest

from albert_core.files.checksums import (
    DamageError,
    describe_file,
    find_file_damage,
    read_sealed,
    seal,
    unseal,
    write_sealed,
)

VALUES = {"step": 3, "rows": [{"loss": 0.1, "name": "größer"}], "sizes": (1, 2), "by": {10: 1}}
WORK = "5f2a trial"


@pytest.fixture
def path(tmp_path) -> Path:
    path = tmp_path / "state.json"
    write_sealed(path, VALUES, work=WORK)
    return path


def test_what_was_sealed_is_read_again(path):
    assert read_sealed(path, work=WORK) == json.loads(json.dumps(VALUES))
    assert unseal(path.read_bytes(), work=None)["step"] == 3


def test_every_flipped_byte_and_every_cut_is_noticed(path):
    whole = path.read_bytes()
    expected = read_sealed(path, work=WORK)
    for place in range(len(whole)):
        for data in (whole[:place], whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :]):
            try:
                # White space may change: the values are the same then.
                assert unseal(data, work=WORK) == expected
            except DamageError:
                continue


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"[]", "it holds a list"),
        (b"\xff", "it is not JSON"),
        (b"{}", "it has no checksum"),
        (json.dumps(seal(VALUES, work="5f2b trial")).encode(), "it belongs to other work"),
    ],
)
def test_what_is_no_seal_of_this_work_is_refused_with_the_reason(data, reason):
    with pytest.raises(DamageError, match=reason):
        unseal(data, work=WORK)


def test_a_lost_file_is_damage(tmp_path):
    with pytest.raises(DamageError, match=r"state\.json: No such file"):
        read_sealed(tmp_path / "state.json", work=WORK)


def test_the_checksum_of_a_file_is_the_one_that_google_keeps_of_objects(tmp_path):
    (tmp_path / "file").write_bytes(b"123456789")
    facts = describe_file(tmp_path / "file")
    assert facts == {"bytes": 9, "crc32c": "4waSgw=="}  # the check value of CRC-32C
    assert google_crc32c.value(b"123456789") == 0xE3069283
    assert describe_file(tmp_path / "file", max_bytes=4) == describe_of(tmp_path, b"1234")


def describe_of(folder: Path, data: bytes) -> dict[str, object]:
    (folder / "other").write_bytes(data)
    return describe_file(folder / "other")


@pytest.mark.parametrize(
    ("data", "reason"),
    [(b"12345678", "has 8 bytes, expected 9"), (b"123456780", "holds something else")],
)
def test_a_changed_file_is_named(data, reason, tmp_path):
    facts = describe_of(tmp_path, b"123456789")
    assert find_file_damage(tmp_path / "other", facts) is None
    (tmp_path / "other").write_bytes(data)
    assert reason in find_file_damage(tmp_path / "other", facts)
    (tmp_path / "other").unlink()
    assert find_file_damage(tmp_path / "other", facts) == "other is missing"
