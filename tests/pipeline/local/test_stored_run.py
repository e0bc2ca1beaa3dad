"""A run whose folder is in a bucket: its results are at their places there, whole, and its own."""

from pathlib import Path

import pytest

from albert_core import storage
from albert_core.artifacts.manifest import MANIFEST_NAME
from albert_core.errors import InputError
from components.promote.config import RetrainingConfig
from pipeline.cli.main import main
from pipeline.config import RunConfig
from pipeline.local import stored_run
from pipeline.local.run import RunResult
from pipeline.local.run_folder import format_configuration
from pipeline.local.run_state import describe_stored_run, is_stored_run
from pipeline.local.stored_run import run_to_bucket
from tests.helpers.object_storage import s3_bucket
from tests.helpers.run_folders import FIRST, FakeRun

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")

CONFIG = RunConfig(title="first", tasks=("cola",))


@pytest.fixture(scope="module")
def bucket():
    with s3_bucket() as address:
        yield address


@pytest.fixture
def address(bucket, tmp_path) -> str:
    return f"{bucket}/{tmp_path.name}"


@pytest.fixture
def runs(monkeypatch, tmp_path) -> list[str]:
    """Let runs make a folder of results without training; return their work roots so far."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    roots: list[str] = []

    def run(config: RunConfig, folder: Path, *, work_root: str, **_: object) -> RunResult:
        roots.append(work_root)
        if config.title == "bad":
            raise InputError("bad")
        if not folder.exists():
            fake = FakeRun(folder)
            start, cola = fake.write_start(FIRST), fake.write_task(FIRST, 0, "cola")
            fake.write_report(FIRST, [*start, *cola])
        (folder / "index.html").write_text(config.title)
        page = folder / "index.html"
        return RunResult(folder=folder, page=page, summary={}, steps_run=frozenset())

    monkeypatch.setattr(stored_run, "run_locally", run)
    return roots


def test_an_accepted_model_needs_a_place_that_stays(bucket, address, runs):
    retraining = RetrainingConfig(accepted=f"{bucket}/accepted")
    config = RunConfig(tasks=("cola",), retraining=retraining)
    with pytest.raises(InputError, match=r"retraining\.accepted: .*, expected a run in a local"):
        run_to_bucket(config, address)
    assert not runs
    assert not storage.has_files(address)


def test_results_are_at_their_places_and_are_not_uploaded_again(address, runs):
    run_to_bucket(CONFIG, address)
    assert runs == [f"{address}/work"]
    assert is_stored_run(address)
    assert storage.read_bytes(f"{address}/index.html") == b"first"
    manifest = f"{address}/models/cola/{MANIFEST_NAME}"
    names = {file.path for file in storage.find_files(address)}
    assert {manifest, f"{address}/config.yaml", f"{address}/scores.json"} <= names
    (before,) = storage.find_files(f"{address}/models/cola/model.safetensors")
    storage.remove_file(before.path)
    run_to_bucket(CONFIG, f"{address}/")
    assert not storage.exists(before.path)  # the manifest is the same
    storage.write_bytes(manifest, b"{}")
    storage.write_bytes(f"{address}/models/cola/stale", b"1")
    run_to_bucket(CONFIG, address)
    assert storage.exists(before.path)
    assert not storage.exists(f"{address}/models/cola/stale")
    assert storage.read_bytes(manifest) != b"{}"


def test_work_in_progress_is_no_result(address, runs):
    run_to_bucket(CONFIG, address)
    steps = [step.name for step in describe_stored_run(address).steps]
    data = storage.read_bytes(f"{address}/vocab/{MANIFEST_NAME}")
    storage.write_bytes(f"{address}/work/vocab-1/results/{MANIFEST_NAME}", b"{")
    storage.write_bytes(f"{address}/work/vocab-2/results/{MANIFEST_NAME}", data)
    assert [step.name for step in describe_stored_run(address).steps] == steps


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("summary.json", b"{", "summary.json: not JSON .*; expected what the run wrote there"),
        ("summary.json", b"[]", "summary.json: got a list, expected an object"),
        ("scores.json", b"{}", "scores.json: got no 'tasks', only nothing"),
        ("scores.json", b'{"tasks": [null]}', r"scores.json, tasks\[0\]: got null"),
        (
            "scores.json",
            b'{"tasks": [{"task": "cola"}]}',
            r"scores.json, tasks\[0\]: .* required: model",
        ),
    ],
)
def test_a_damaged_file_of_a_run_in_a_bucket_is_named(address, runs, name, data, message):
    run_to_bucket(CONFIG, address)
    storage.write_bytes(f"{address}/{name}", data)
    with pytest.raises(InputError, match=message):
        describe_stored_run(address)


def test_a_folder_belongs_to_one_configuration(address, runs):
    run_to_bucket(CONFIG, address)
    with pytest.raises(InputError, match=f"output {address}: belongs to another .* in title"):
        run_to_bucket(RunConfig(title="other", tasks=("cola",)), address)
    assert len(runs) == 1
    run_to_bucket(RunConfig(title="other", tasks=("cola",)), address, reconfigure=True)
    assert b"title: other" in storage.read_bytes(f"{address}/config.yaml")


def test_a_folder_of_somebody_is_refused(address, runs):
    storage.write_bytes(f"{address}/holiday.jpg", b"1")
    with pytest.raises(InputError, match="exists and is not a run's folder"):
        run_to_bucket(CONFIG, address)
    assert not runs


def test_bad_input_leaves_the_bucket_as_it_was(address, runs):
    with pytest.raises(InputError, match="bad"):
        run_to_bucket(RunConfig(title="bad"), address)
    assert not storage.has_files(address)
    storage.write_bytes(f"{address}/work/vocab-1/progress.json", b"{}")
    storage.write_bytes(f"{address}/config.yaml", format_configuration(RunConfig(title="bad")))
    with pytest.raises(InputError, match="bad"):
        run_to_bucket(RunConfig(title="bad"), address)
    assert storage.exists(f"{address}/config.yaml")
    saved = storage.read_bytes(f"{address}/config.yaml")
    with pytest.raises(InputError, match="bad"):
        run_to_bucket(RunConfig(title="bad", tasks=("cola",)), address, reconfigure=True)
    assert storage.read_bytes(f"{address}/config.yaml") == saved


@pytest.mark.parametrize("before", [None, "first"])
def test_bad_input_leaves_what_another_run_wrote_meanwhile(address, before, monkeypatch):
    path = f"{address}/config.yaml"
    if before:
        storage.write_bytes(path, format_configuration(CONFIG))

    def run(*_: object, **__: object) -> RunResult:
        storage.write_bytes(path, b"of another")
        raise InputError("bad")

    monkeypatch.setattr(stored_run, "run_locally", run)
    with pytest.raises(InputError, match="bad"):
        run_to_bucket(CONFIG, address)
    assert storage.read_bytes(path) == b"of another"


def test_a_run_in_a_bucket_is_shown_with_its_title(address, runs, capsys):
    run_to_bucket(CONFIG, address)
    assert main(["info", address]) == 0
    assert capsys.readouterr().out.startswith(f"{address}: first, finished\n")
    storage.remove_file(f"{address}/config.yaml")
    assert main(["info", address]) == 0
    assert capsys.readouterr().out.startswith(f"{address}: finished\n")


def test_what_a_run_left_in_a_bucket_is_verified_by_its_manifests(address, runs, capsys, tmp_path):
    run_to_bucket(CONFIG, address)
    storage.write_bytes(f"{address}/export/cola/onnx/model.onnx", b"no manifest lists it")
    before = sorted(tmp_path.rglob("*"))
    assert main(["info", address, "--verify"]) == 0
    lines = capsys.readouterr().out.splitlines()
    steps = ["evaluate", "finetune", "pretrain", "records", "report", "vocab"]
    verified = [line for line in lines if ": verified: " in line]
    assert [line.split("`")[1] for line in verified] == [f"albert {step}" for step in steps]
    assert f"not verified: 1 file in {address}/export, in no folder with a manifest.json" in lines
    assert any(line.startswith(f"{address}: ") and "finished" in line for line in lines)
    assert sorted(tmp_path.rglob("*")) == before  # nothing of it stays on this machine


@pytest.mark.parametrize(
    ("data", "damage"),
    [
        (b"cola pretrained Two", "model.safetensors holds something else than was written"),
        (b"cola", "model.safetensors has 4 bytes"),
        (None, "model.safetensors is missing"),
    ],
)
def test_damage_of_what_a_run_left_in_a_bucket_is_named(address, runs, capsys, data, damage):
    run_to_bucket(CONFIG, address)
    path = f"{address}/models/cola/model.safetensors"
    assert data is None or len(data) == 4 or len(data) == len(storage.read_bytes(path))
    storage.remove_file(path)
    if data is not None:
        storage.write_bytes(path, data)
    assert main(["info", address, "--verify"]) == 2
    said = capsys.readouterr().err
    assert f"{address}/models/cola: {damage}" in said
    assert "run `albert finetune`, or the pipeline, again" in said


def test_nothing_is_taken_for_verified_without_a_manifest(address, runs, capsys):
    storage.write_bytes(f"{address}/scores.json", b'{"tasks": []}')
    assert main(["info", address]) == 0
    assert main(["info", address, "--verify"]) == 2
    assert f"{address}: got no manifest.json at any place of the run" in capsys.readouterr().err
