"""`albert info RUN --verify`: nothing that is lost or damaged in a run's folder passes."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from albert_core.artifacts.manifest import MANIFEST_NAME
from albert_core.config import WEIGHTS_NAME
from albert_core.places.links import update_places
from pipeline.cli.main import main
from tests.helpers.run_folders import FIRST, FakeRun

MODEL, RANDOM = "for-loop-2-iteration-0/finetune", "for-loop-2-iteration-1/finetune"


@pytest.fixture
def run(tmp_path: Path) -> Path:
    fake = FakeRun(tmp_path / "run")
    start, cola = fake.write_start(FIRST), fake.write_task(FIRST, 0, "cola")
    random = fake.write_task(FIRST, 1, "cola", initialization="random", score=0.6)
    exported = fake.write_export(FIRST, {"cola": cola[0]})
    report = fake.write_report(FIRST, [*start, *cola, *random, exported])
    update_places(fake.folder, report=report)
    return fake.folder


def artifact(run: Path, place: str) -> Path:
    return run / "artifacts" / FIRST / place


def test_all_results_are_verified_those_from_random_weights_too(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["info", str(run), "--verify"]) == 0
    lines = capsys.readouterr().out.splitlines()
    verified = [line.split("`")[1] for line in lines if ": verified: " in line]
    assert sorted(verified) == [
        *("albert evaluate", "albert evaluate", "albert export", "albert finetune"),
        *("albert finetune", "albert pretrain", "albert records", "albert report", "albert vocab"),
    ]


def lose_manifest(folder: Path) -> None:
    (folder / MANIFEST_NAME).unlink()


def damage_manifest(folder: Path) -> None:
    path = folder / MANIFEST_NAME
    path.write_text(path.read_text().replace('"seconds": 1.5', '"seconds": 2.5'))


def cut_manifest(folder: Path) -> None:
    path = folder / MANIFEST_NAME
    path.write_bytes(path.read_bytes()[:50])


def damage_weights(folder: Path) -> None:
    path = folder / WEIGHTS_NAME
    path.write_bytes(path.read_bytes()[::-1])


@pytest.mark.parametrize(
    ("place", "damage", "said"),
    [
        ("pretrain/pretrained", lose_manifest, "got nothing with a manifest.json"),
        ("pretrain/pretrained", damage_manifest, "pretrained/manifest.json: damaged"),
        ("train-vocab/vocab", cut_manifest, "vocab/manifest.json: not a manifest"),
        ("train-vocab/vocab", shutil.rmtree, "got nothing with a manifest.json"),
        (f"{MODEL}/finetuned", damage_weights, f"{WEIGHTS_NAME} holds something else"),
        (f"{RANDOM}/finetuned", damage_weights, f"{WEIGHTS_NAME} holds something else"),
        (f"{RANDOM}/finetuned", lose_manifest, "was made of `step 5`"),
        (f"{RANDOM}/finetuned", damage_manifest, "finetuned/manifest.json: damaged"),
        ("export-models/exported", lose_manifest, "got nothing with a manifest.json"),
        ("export-models/exported/cola", shutil.rmtree, "model.onnx is missing"),
    ],
)
def test_what_is_lost_or_damaged_is_named(
    run: Path,
    place: str,
    damage: Callable[[Path], object],
    said: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    damage(artifact(run, place))
    assert main(["info", str(run), "--verify"]) == 2
    assert said in capsys.readouterr().err


def test_a_run_without_results_is_not_taken_for_verified(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = FakeRun(tmp_path / "run").folder
    assert main(["info", str(run)]) == 0
    assert main(["info", str(run), "--verify"]) == 2
    assert "got no manifest.json among the run's artifacts" in capsys.readouterr().err
