"""Inputs: a file that was lost or changed since its step wrote it is named, wherever it lies."""

import contextlib
from pathlib import Path

import pytest

from albert_core import storage
from albert_core.artifacts import inputs
from albert_core.artifacts.inputs import input_folder, verify_files
from albert_core.artifacts.step import run_step
from albert_core.errors import InputError
from tests.helpers.object_storage import strict_bucket_of

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")


@pytest.fixture(scope="module")
def buckets():
    with contextlib.ExitStack() as stack:
        yield {name: stack.enter_context(strict_bucket_of(name)) for name in ("gs", "s3")}


@pytest.fixture(params=["local", "gs", "s3"])
def artifact(request, buckets, tmp_path) -> str:
    def body(results: Path, _: Path) -> dict[str, int]:
        (results / "model.bin").write_bytes(b"weights")
        (results / "log.txt").write_text("line")
        return {}

    bucket = buckets.get(request.param)
    output = f"{bucket}/{tmp_path.name}" if bucket else str(tmp_path / "out")
    run_step("pretrain", config={}, inputs={}, output=output, body=body, work_root=tmp_path / "w")
    return output


def test_a_whole_artifact_is_taken(artifact):
    assert (input_folder(artifact) / "model.bin").read_bytes() == b"weights"


def test_a_lost_file_is_named_with_the_remedy(artifact):
    storage.remove_file(f"{artifact}/model.bin")
    message = f"{artifact}: model.bin is missing, .* delete this folder and run `albert pretrain`"
    with pytest.raises(InputError, match=message):
        input_folder(artifact)


def test_a_file_of_another_size_is_named(artifact):
    storage.write_bytes(f"{artifact}/model.bin", b"weigh")
    with pytest.raises(InputError, match=r"model.bin has 5 bytes, expected 7"):
        input_folder(artifact)


def test_a_changed_byte_is_named(artifact):
    storage.write_bytes(f"{artifact}/model.bin", b"heights")
    with pytest.raises(InputError, match=r"model.bin holds something else than was written"):
        input_folder(artifact)


@pytest.mark.parametrize("artifact", ["local"], indirect=True)
def test_a_large_local_folder_is_not_hashed(artifact, monkeypatch):
    monkeypatch.setattr(inputs, "_MAX_HASHED_BYTES", 0)
    storage.write_bytes(f"{artifact}/model.bin", b"heights")
    input_folder(artifact)


def test_what_no_step_wrote_is_taken_as_it_is(tmp_path):
    assert input_folder(tmp_path) == tmp_path
    assert input_folder(tmp_path / "folder" / "model.ckpt") == tmp_path / "folder" / "model.ckpt"


def test_names_that_lead_out_of_the_folder_are_refused(buckets, tmp_path, monkeypatch):
    bucket = buckets["gs"]
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    storage.write_bytes(f"{bucket}/hostile/../../evil", b"1")
    with pytest.raises(InputError, match="leads out of the folder"):
        input_folder(f"{bucket}/hostile")


def test_a_part_of_an_output_is_compared_with_the_manifest_above(tmp_path):
    def body(results: Path, _: Path) -> dict[str, int]:
        for name in ("cola/onnx/model.onnx", "cola/tf1/model.ckpt-best.index", "rte/onnx/x"):
            (results / name).parent.mkdir(parents=True)
            (results / name).write_bytes(b"weights")
        return {}

    export = tmp_path / "export"
    run_step("export", config={}, inputs={}, output=export, body=body)
    assert "2 files, 14 bytes, as `albert export`" in verify_files(export / "cola")
    (export / "rte/onnx/x").write_bytes(b"heights")
    assert input_folder(export / "cola/onnx") == export / "cola/onnx"
    for path in (export / "cola/onnx/model.onnx", export / "cola/tf1/model.ckpt-best.index"):
        path.write_bytes(b"heights")
    for part in ("cola", "cola/onnx", "cola/tf1/model.ckpt-best"):
        with pytest.raises(InputError, match=r"/cola\S*: cola/\S+ holds something else"):
            input_folder(export / part)


def test_what_is_verified_is_read_whatever_its_size(tmp_path, monkeypatch):
    def body(results: Path, _: Path) -> dict[str, int]:
        (results / "model.bin").write_bytes(b"weights")
        return {}

    run_step("pretrain", config={}, inputs={}, output=tmp_path / "out", body=body)
    (tmp_path / "out/model.bin").write_bytes(b"heights")
    monkeypatch.setattr(inputs, "_MAX_HASHED_BYTES", 0)
    with pytest.raises(InputError, match=r"model\.bin holds something else"):
        verify_files(tmp_path / "out")
    with pytest.raises(InputError, match="without a manifest nothing can be verified"):
        verify_files(tmp_path)
