"""A path that a person gives stands for one model, or the message lists what to choose from."""

import json
import shutil
from pathlib import Path

import pytest

from albert_core.errors import InputError
from albert_core.places.copies import publish_places
from albert_core.places.links import update_places
from albert_core.places.models import find_model, find_models, find_place
from albert_core.places.outputs import read_outputs
from albert_core.storage import local_folder, read_bytes, write_bytes
from pipeline.local.run_state import describe_stored_run, is_stored_run
from tests.helpers.object_storage import quick_bucket_of
from tests.helpers.run_folders import FIRST, FakeRun


@pytest.fixture(params=["places", "no places"])
def run(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A finished run of one task; with places, or as an earlier version left it."""
    run = FakeRun(tmp_path / "run")
    start, cola = run.write_start(FIRST), run.write_task(FIRST, 0, "cola")
    export = run.write_export(FIRST, {"cola": cola[0]})
    report = run.write_report(FIRST, [*start, *cola, export])
    if request.param == "places":
        update_places(run.folder, report=report)
    return run.folder


def artifact(path: str, run: Path) -> str:
    """Return where a path leads among the run's artifacts."""
    artifacts = (run / "artifacts" / FIRST).resolve()
    return Path(path).resolve().relative_to(artifacts).as_posix()


FINETUNED = "for-loop-2-iteration-0/finetune/finetuned"
PRETRAINED = "pretrain/pretrained"


@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("", FINETUNED),
        ("models", FINETUNED),
        ("models/cola", FINETUNED),
        ("pretrained", PRETRAINED),
        ("export", "export-models/exported/cola/onnx"),
        ("export/cola", "export-models/exported/cola/onnx"),
        ("export/cola/onnx", "export-models/exported/cola/onnx"),
    ],
)
def test_a_run_and_its_places_are_models(run: Path, name: str, model: str) -> None:
    assert artifact(find_model(run / name), run) == model


def test_to_go_on_from_a_run_its_pretrained_model_is_meant(run: Path) -> None:
    assert artifact(find_model(run, prefer="pretrained"), run) == PRETRAINED


def test_other_places_are_found_too(run: Path) -> None:
    assert artifact(find_place(run / "vocab"), run) == "train-vocab/vocab"
    assert artifact(find_place(run / "report"), run) == "report/summary"
    assert find_place(run / "nothing") == str(run / "nothing")


def test_a_name_that_the_run_does_not_have_is_refused_with_those_it_has(run: Path) -> None:
    with pytest.raises(InputError, match=r"models/rte: no such model in this run, which has \S+"):
        find_model(run / "models" / "rte")


def test_one_of_several_models_is_to_be_chosen(tmp_path: Path) -> None:
    run = FakeRun(tmp_path / "run")
    run.write_start(FIRST)
    run.write_task(FIRST, 0, "cola")
    run.write_task(FIRST, 1, "rte")
    expected = rf"run: holds the models \S+models/cola, {run.folder}/models/rte; give the path"
    with pytest.raises(InputError, match=expected):
        find_model(run.folder)
    update_places(run.folder)
    with pytest.raises(InputError, match=expected):
        find_model(run.folder)
    assert list(find_models(run.folder)) == [
        f"{run.folder}/models/{name}" for name in ("cola", "rte")
    ]
    assert artifact(find_model(run.folder, prefer="pretrained"), run.folder) == PRETRAINED


def test_a_run_without_a_model_says_so(tmp_path: Path) -> None:
    run = FakeRun(tmp_path / "run")
    with pytest.raises(InputError, match="no such model in this run, which has no model yet"):
        find_model(run.folder)


def test_other_paths_are_taken_as_they_are(run: Path, tmp_path: Path) -> None:
    (tmp_path / "model.ckpt-best.index").touch()
    for path in (tmp_path / "model.ckpt-best", tmp_path / "nowhere", run / "artifacts"):
        assert find_model(path) == str(path)


def test_a_folder_of_models_without_the_rest_of_the_run(run: Path, tmp_path: Path) -> None:
    """As one copies it to another machine."""
    folder = tmp_path / "copied"
    for place in ("models/cola", "pretrained", "export/cola/onnx"):
        shutil.copytree(find_model(run / place), folder / place)
    assert find_model(folder) == str(folder / "models" / "cola")
    assert find_model(folder, prefer="pretrained") == str(folder / "pretrained")
    assert find_model(folder / "export" / "cola") == str(folder / "export" / "cola" / "onnx")


@pytest.mark.parametrize("scheme", ["gs", "s3"])
def test_a_run_in_a_bucket_is_known_by_the_names_of_its_files(scheme: str) -> None:
    with quick_bucket_of(scheme) as bucket:
        run = f"{bucket}/runs/x"
        for name in ("models/cola/model.safetensors", "pretrained/model.safetensors"):
            write_bytes(f"{run}/{name}", b"a")
        write_bytes(f"{run}/export/cola/saved_model/saved_model.pb", b"a")
        write_bytes(f"{run}/export/cola/saved_model/variables/variables.index", b"a")
        assert find_model(run) == find_model(f"{run}/models") == f"{run}/models/cola"
        assert find_model(f"{run}/", prefer="pretrained") == f"{run}/pretrained"
        assert find_model(f"{run}/pretrained") == f"{run}/pretrained"
        exported = f"{run}/export/cola/saved_model"
        assert find_model(f"{run}/export") == find_model(exported) == exported
        assert find_model(f"{run}/nothing") == f"{run}/nothing"
        write_bytes(f"{run}/models/rte/model.safetensors", b"a")
        with pytest.raises(InputError, match=f"holds the models {run}/models/cola, {run}/models/r"):
            find_model(run)


@pytest.mark.parametrize("scheme", ["gs", "s3"])
def test_outputs_in_a_bucket_are_copied_to_their_places(scheme: str, tmp_path: Path) -> None:
    run = FakeRun(tmp_path / "run")
    outputs = [*run.write_start(FIRST), *run.write_task(FIRST, 0, "cola")]
    outputs.append(run.write_export(FIRST, {"cola": outputs[3]}))
    with quick_bucket_of(scheme) as bucket:
        addresses = []
        for number, output in enumerate(outputs):
            addresses.append(f"{bucket}/root/run-7/step-{number}")
            for path in (path for path in output.rglob("*") if path.is_file()):
                name = path.relative_to(output).as_posix()
                write_bytes(f"{addresses[-1]}/{name}", path.read_bytes())
        folder = f"{bucket}/root/run-7/summary"
        places = publish_places(read_outputs([*addresses, f"{bucket}/root/nothing"]), folder)
        assert places == [
            *("vocab", "records", "pretrained"),
            *("models/cola", "evaluations/cola", "export/cola"),
        ]
        assert find_model(folder) == f"{folder}/models/cola"
        copied = local_folder(f"{folder}/models/cola")
        assert (copied / "manifest.json").read_bytes() == (
            outputs[3] / "manifest.json"
        ).read_bytes()
        (score,) = json.loads(read_bytes(f"{folder}/scores.json"))["tasks"]
        assert (score["score"], score["model"]) == (0.7, "models/cola")
        described = describe_stored_run(f"{folder}/")
        assert [step.name for step in described.steps] == [
            *("vocab", "records", "pretrain", "finetune cola", "evaluate cola")
        ]
        assert described.scores[0].score == 0.7
        assert set(described.models) == {"pretrained", "models/cola", "export/cola/onnx"}
        assert is_stored_run(folder)
        assert not is_stored_run(f"{folder}/models")
