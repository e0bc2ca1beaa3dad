"""A run's folder has stable places, which lead to what its steps have made."""

import csv
import json
import os
import shutil
from pathlib import Path

import pytest

from albert_core.errors import InputError
from albert_core.places.links import update_places
from albert_core.places.outputs import find_outputs
from tests.helpers.run_folders import FIRST, SECOND, FakeRun


@pytest.fixture
def run(tmp_path: Path) -> FakeRun:
    return FakeRun(tmp_path / "run")


def places_on_disk(run: Path) -> dict[str, str]:
    """Return the links in a run's folder by their names, as they lead into artifacts."""
    links = [path for path in run.rglob("*") if path.is_symlink()]
    assert all(path.exists() for path in links)
    artifacts = (run / "artifacts").resolve()
    return {
        path.relative_to(run).as_posix(): path.resolve().relative_to(artifacts).as_posix()
        for path in sorted(links)
    }


def scores_of(run: Path) -> list[dict]:
    return json.loads((run / "scores.json").read_text(encoding="utf-8"))["tasks"]


def test_a_finished_run_has_every_place(run: FakeRun) -> None:
    start = run.write_start(FIRST)
    cola = run.write_task(FIRST, 0, "cola")
    random = run.write_task(FIRST, 1, "cola", initialization="random", score=0.6)
    export = run.write_export(FIRST, {"cola": cola[0]})
    report = run.write_report(FIRST, [*start, *cola, *random, export])
    update_places(run.folder, report=report)
    assert places_on_disk(run.folder) == {
        "evaluations/cola": f"{FIRST}/for-loop-2-iteration-0/evaluate/evaluation",
        "export/cola": f"{FIRST}/export-models/exported/cola",
        "models/cola": f"{FIRST}/for-loop-2-iteration-0/finetune/finetuned",
        "pretrained": f"{FIRST}/pretrain/pretrained",
        "records": f"{FIRST}/for-loop-1-iteration-0/make-records/records",
        "report": f"{FIRST}/report/summary",
        "vocab": f"{FIRST}/train-vocab/vocab",
    }
    assert (run.folder / "export" / "cola" / "onnx" / "model.onnx").is_file()
    assert scores_of(run.folder) == [
        {
            "task": "cola",
            "metric": "accuracy",
            "score": 0.7,
            "low": pytest.approx(0.6),
            "high": pytest.approx(0.8),
            "random_weights": 0.6,
            "without_model": None,
            "majority": 0.5,
            "model": "models/cola",
            "num_seeds": 1,
            "mean": 0.7,
            "std": None,
            "random_weights_mean": 0.6,
            "random_weights_std": None,
            "probe": None,
            "probe_random_weights": None,
        }
    ]
    with (run.folder / "scores.csv").open(encoding="utf-8", newline="") as file:
        (row,) = csv.DictReader(file)
    assert (row["task"], row["score"], row["without_model"]) == ("cola", "0.7", "")


def test_scores_over_seeds_are_told_and_a_control_of_other_settings_is_none(run: FakeRun) -> None:
    start = run.write_start(FIRST)
    seeds = {"num_seeds": 3, "accuracy_mean": 0.65, "accuracy_std": 0.02}
    outputs = [*start]
    for number, (task, rate) in enumerate((("cola", 1e-4), ("topic", 3e-4))):
        settings = {"learning_rate": 1e-4}
        outputs += run.write_task(FIRST, 2 * number, task, settings=settings, tuned=seeds)
        outputs += run.write_task(
            *(FIRST, 2 * number + 1, task),
            initialization="random",
            settings={"learning_rate": rate},
            score=0.6,
            tuned={**seeds, "accuracy_mean": 0.55},
        )
    update_places(run.folder, report=run.write_report(FIRST, outputs))
    alike, unlike = scores_of(run.folder)
    assert (alike["num_seeds"], alike["mean"], alike["std"]) == (3, 0.65, 0.02)
    assert (alike["random_weights"], alike["random_weights_mean"]) == (0.6, 0.55)
    assert (unlike["random_weights"], unlike["random_weights_mean"]) == (None, None)


def test_places_are_made_as_steps_finish(run: FakeRun) -> None:
    update_places(run.folder)
    assert places_on_disk(run.folder) == {}
    assert scores_of(run.folder) == []
    run.write_start(FIRST)
    update_places(run.folder)
    assert places_on_disk(run.folder).keys() == {"pretrained", "records", "vocab"}
    model, evaluation = run.write_task(FIRST, 0, "cola")
    shutil.rmtree(evaluation)
    update_places(run.folder)
    assert "models/cola" in places_on_disk(run.folder)
    (score,) = scores_of(run.folder)
    assert (score["metric"], score["score"], score["majority"]) == (None, None, 0.5)
    assert model.is_dir()


def test_what_a_later_run_makes_anew_replaces_what_was_there_when_it_is_made(run: FakeRun) -> None:
    first = [*run.write_start(FIRST), *run.write_task(FIRST, 0, "cola")]
    exported = run.write_export(FIRST, {"cola": first[3]})
    update_places(run.folder, report=run.write_report(FIRST, [*first, exported]))
    run.write_start(SECOND, "two")
    update_places(run.folder)
    places = places_on_disk(run.folder)
    assert places["pretrained"].startswith(SECOND)
    assert places["models/cola"].startswith(FIRST)
    run.write_task(SECOND, 0, "cola", text="two", score=0.9)
    update_places(run.folder)
    places = places_on_disk(run.folder)
    assert places["models/cola"].startswith(SECOND)
    assert places["export/cola"].startswith(FIRST)  # until the new model is exported
    assert scores_of(run.folder)[0]["score"] == 0.9


def test_a_run_back_to_earlier_settings_leads_back_to_their_outputs(run: FakeRun) -> None:
    first = [*run.write_start(FIRST), *run.write_task(FIRST, 0, "cola")]
    report = run.write_report(FIRST, first)
    second = [
        *run.write_start(SECOND, "two"),
        *run.write_task(SECOND, 0, "cola", text="two"),
        *run.write_task(SECOND, 1, "rte", text="two"),
    ]
    update_places(run.folder, report=run.write_report(SECOND, second))
    assert places_on_disk(run.folder)["models/cola"].startswith(SECOND)
    update_places(run.folder, report=report)
    places = places_on_disk(run.folder)
    assert {name for name in places if "/" in name} == {"models/cola", "evaluations/cola"}
    assert all(target.startswith(FIRST) for target in places.values())


def test_tasks_of_earlier_runs_from_the_same_pretraining_stay(run: FakeRun) -> None:
    start = run.write_start(FIRST)
    cola = run.write_task(FIRST, 0, "cola")
    update_places(run.folder, report=run.write_report(FIRST, [*start, *cola]))
    rte = run.write_task(SECOND, 0, "rte")
    update_places(run.folder, report=run.write_report(SECOND, [*start, *rte]))
    assert {"models/cola", "models/rte"} <= places_on_disk(run.folder).keys()
    assert [score["task"] for score in scores_of(run.folder)] == ["cola", "rte"]


def test_records_of_several_lengths_have_a_place_each(run: FakeRun) -> None:
    run.write_start(FIRST)
    update_places(run.folder)
    run.write(f"{SECOND}/records", "records", config={"records": {"sequence_length": 128}})
    update_places(run.folder)
    assert {"records/32", "records/128"} <= places_on_disk(run.folder).keys()
    shutil.rmtree(run.folder / "artifacts" / SECOND)
    update_places(run.folder)
    assert places_on_disk(run.folder)["records"].startswith(FIRST)


def test_a_link_whose_artifact_is_gone_is_removed(run: FakeRun) -> None:
    run.write_start(FIRST)
    run.write_task(FIRST, 0, "cola")
    update_places(run.folder)
    shutil.rmtree(run.folder / "artifacts" / FIRST / "for-loop-2-iteration-0")
    update_places(run.folder)
    assert places_on_disk(run.folder).keys() == {"pretrained", "records", "vocab"}
    assert not (run.folder / "models").exists()


def test_a_run_can_be_moved_with_its_places(run: FakeRun, tmp_path: Path) -> None:
    run.write_start(FIRST)
    update_places(run.folder)
    run.folder.rename(tmp_path / "moved")
    assert (tmp_path / "moved" / "vocab" / "spiece.model").read_text() == "one"


def test_where_links_are_refused_places_are_copies(
    run: FakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError("no links on this file system")

    monkeypatch.setattr(os, "symlink", refuse)
    run.write_start(FIRST)
    run.write_task(FIRST, 0, "cola")
    update_places(run.folder)
    assert not places_on_disk(run.folder)
    assert (run.folder / "vocab" / "spiece.model").read_text() == "one"
    before = (run.folder / "vocab").stat().st_ino
    update_places(run.folder)
    assert (run.folder / "vocab").stat().st_ino == before
    run.write_start(SECOND, "two")
    update_places(run.folder)
    assert (run.folder / "vocab" / "spiece.model").read_text() == "two"
    shutil.rmtree(run.folder / "artifacts" / FIRST / "for-loop-2-iteration-0")
    update_places(run.folder)
    assert not (run.folder / "models").exists()


def test_what_is_not_the_runs_stays_and_is_refused_where_it_is_in_the_way(run: FakeRun) -> None:
    (run.folder / "models").mkdir()
    (run.folder / "models" / "mine").symlink_to(run.folder)
    (run.folder / "models" / "notes.txt").write_text("mine")
    run.write_task(FIRST, 0, "cola")
    update_places(run.folder)
    assert sorted(os.listdir(run.folder / "models")) == ["cola", "mine", "notes.txt"]
    (run.folder / "vocab").mkdir()
    run.write_start(FIRST)
    with pytest.raises(InputError, match=r"vocab: exists and is not the run's, .*move it out"):
        update_places(run.folder)


@pytest.mark.parametrize("name", ["scores.json", "scores.csv"])
def test_a_folder_in_place_of_the_scores_is_refused(run: FakeRun, name: str) -> None:
    (run.folder / name / "mine").mkdir(parents=True)
    with pytest.raises(InputError, match=rf"{name}: got .*, expected a file for the scores"):
        update_places(run.folder)


def test_outputs_of_other_versions_are_left_out_and_named(
    run: FakeRun, capsys: pytest.CaptureFixture[str]
) -> None:
    run.write_start(FIRST)
    path = run.folder / "artifacts" / FIRST / "pretrain" / "pretrained" / "manifest.json"
    path.write_text('{"schema_version": 99}')
    assert find_outputs(run.folder).pretrained is None
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"albert: left out: {path}: ")
