"""Pointers to accepted models: one for each date, never changed, the newest told apart."""

import contextlib
import dataclasses
import http.server
import json
import threading
from pathlib import Path
from typing import ClassVar

import pytest

from albert_core import storage
from albert_core.artifacts.manifest import Manifest
from albert_core.artifacts.step import run_step
from albert_core.errors import InputError
from albert_core.files.checksums import without_checksum
from components.promote.model_registry import (
    AcceptedModel,
    ComparableScore,
    accept,
    accepted_before,
    accepted_dates,
    read_accepted,
)
from tests.helpers.object_storage import quick_bucket_of

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")

SCORES = {"cola": ComparableScore(metric="matthews_correlation", score=0.5, data="d1")}


@pytest.fixture(scope="module")
def buckets():
    with contextlib.ExitStack() as stack:
        yield {name: stack.enter_context(quick_bucket_of(name)) for name in ("gs", "s3")}


@pytest.fixture(params=["local", "gs", "s3"])
def folder(request, buckets, tmp_path) -> str:
    return (
        str(tmp_path) if request.param == "local" else f"{buckets[request.param]}/{tmp_path.name}"
    )


def make_model(address: str, text: str) -> Manifest:
    def body(results: Path, _: Path) -> dict[str, int]:
        (results / "model.safetensors").write_text(text)
        return {}

    return run_step("pretrain", config={}, inputs={"text": text}, output=address, body=body)


def model_of(folder: str, date: str) -> AcceptedModel:
    """Make a model below a folder and return the pointer to it."""
    address = storage.join(folder, f"models/{date}")
    manifest = make_model(address, date)
    return AcceptedModel(
        date=date,
        address=address,
        content_hash=manifest.content_hash,
        run=f"news {date}",
        scores=SCORES,
    )


def pointer_of(folder: str) -> dict:
    """Return what the pointer says, whose checksum is right."""
    path = storage.join(folder, "accepted.json")
    return without_checksum(json.loads(storage.read_bytes(path)))


def test_a_run_goes_on_from_the_last_model_of_an_earlier_date(folder, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert accepted_before(folder, "2026-11-01") is None
    first, second = (model_of(folder, date) for date in ("2026-11-01", "2026-11-03"))
    for model in (first, second):
        accept(folder, model)
        assert pointer_of(folder) == dataclasses.asdict(model)
    assert accepted_dates(folder) == ["2026-11-01", "2026-11-03"]
    assert accepted_before(folder, "2026-11-01") is None
    assert accepted_before(folder, "2026-11-03") == first
    assert accepted_before(folder, "2026-11-04") == second


def test_a_date_is_accepted_once_and_an_older_one_never_takes_the_pointer(
    folder, monkeypatch, tmp_path
):
    monkeypatch.chdir(tmp_path)
    first, second = (model_of(folder, date) for date in ("2026-11-01", "2026-11-02"))
    accept(folder, first)
    accept(folder, second)
    accept(folder, first)
    accept(folder, dataclasses.replace(second, run="another"))
    assert read_accepted(folder, "2026-11-02") == second
    assert pointer_of(folder) == dataclasses.asdict(second)


def test_a_model_that_is_gone_or_another_one_is_not_gone_on_from(folder, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    model = model_of(folder, "2026-11-01")
    accept(folder, model)
    storage.remove_folder(model.address)
    with pytest.raises(InputError, match="is gone; put it back"):
        accepted_before(folder, "2026-11-02")
    make_model(model.address, "another")
    with pytest.raises(InputError, match="is another one now"):
        accepted_before(folder, "2026-11-02")


def test_a_damaged_pointer_is_named(folder, monkeypatch, tmp_path):
    path = storage.join(folder, "history/2026-11-01.json")
    storage.write_bytes(path, b"{")
    with pytest.raises(InputError, match=r"2026-11-01\.json: damaged .*not JSON"):
        accepted_before(folder, "2026-11-02")


@pytest.mark.parametrize("folder", ["local", "s3"], indirect=True)  # Google's emulator is lax
def test_a_slower_writer_does_not_replace_what_it_has_not_read(folder):
    path = storage.join(folder, "accepted.json")
    assert storage.generation(path) == 0
    storage.write_bytes(path, b"one", replaces=0)
    seen = storage.generation(path)
    storage.write_bytes(path, b"two", replaces=seen)
    with pytest.raises(InputError, match="another run was faster"):
        storage.write_bytes(path, b"three", replaces=seen)
    assert storage.read_bytes(path) == b"two"


class Overtaken(http.server.BaseHTTPRequestHandler):
    """Google Cloud Storage where the object is of another generation than every writer thinks."""

    asked: ClassVar[list[str]] = []

    def do_POST(self) -> None:
        self.asked.append(self.path)
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(412)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


def test_the_cloud_is_told_which_generation_is_replaced(monkeypatch):
    server = http.server.ThreadingHTTPServer(("localhost", 0), Overtaken)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", f"http://localhost:{server.server_port}")
    monkeypatch.setenv("NO_PROXY", "localhost")
    try:
        with pytest.raises(InputError, match="another run was faster"):
            storage.write_bytes("gs://bucket/accepted.json", b"{}", replaces=17)
    finally:
        server.shutdown()
        server.server_close()
    (asked,) = Overtaken.asked
    assert "ifGenerationMatch=17" in asked
