"""Trainings that are tracked: what a tracker holds of them, and that they stay as they are."""

import hashlib
import json
import signal
import socket
from pathlib import Path
from typing import Any

import pytest

from albert_core.artifacts.manifest import Manifest
from albert_core.errors import StepFailedError
from albert_core.tracking import client
from albert_core.tracking.config import TRACKING_VARIABLE, TrackingConfig
from components.evaluate.step import evaluate
from components.finetune.step import finetune
from tests.helpers.event_files import read_scalars
from tests.helpers.tiny_pretraining import history_of, log_of, train
from tests.helpers.tiny_tasks import (
    TINY_TASKS,
    tiny_finetuning,
    write_tiny_model,
    write_tiny_tasks,
)

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("eager")]

SHORT = {"num_train_steps": 4, "num_warmup_steps": 1, "evaluation_interval_steps": 2}


@pytest.fixture(autouse=True)
def patience(monkeypatch):
    """Time for a process to start on a machine that does much else."""
    monkeypatch.setattr(client, "START_S", 120.0)


@pytest.fixture
def track(monkeypatch):
    """Track what this process does from now on, as the environment of a step says."""

    def set_variable(**settings: Any) -> None:
        monkeypatch.setenv(TRACKING_VARIABLE, json.dumps(settings))

    return set_variable


def digest(folder: Path) -> str:
    return hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()


def test_a_tracker_that_hangs_changes_no_bit_of_a_training(material, tmp_path, track, monkeypatch):
    untracked = train(material, tmp_path / "untracked", **SHORT)
    monkeypatch.setattr(client, "FLUSH_S", 2.0)
    said: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as server:  # takes connections, never answers
        track(to="mlflow", address=f"http://127.0.0.1:{server.getsockname()[1]}")
        tracked = train(
            material, tmp_path / "tracked", progress=lambda *at: said.append(at[2]), **SHORT
        )
    assert digest(tmp_path / "tracked") == digest(tmp_path / "untracked")
    assert tracked.fingerprint == untracked.fingerprint
    assert [row["loss"] for row in log_of(tmp_path / "tracked")] == [
        row["loss"] for row in log_of(tmp_path / "untracked")
    ]
    warnings = [text for text in said if "tracking" in text]
    # Four rows, two evaluations, the scores.
    assert "7 of 7 rows of values did not reach it" in warnings[-1]
    assert len(warnings) <= 2


def test_a_training_that_goes_on_goes_on_with_its_tracked_run(material, tmp_path, track):
    def interrupt_once(step: int, num_steps: int, text: str) -> None:
        if step == 2 and text.startswith("masked_lm_accuracy"):
            signal.raise_signal(signal.SIGTERM)

    track(to="tensorboard", address=str(tmp_path / "curves"), run="tries")
    with pytest.raises(StepFailedError, match="stopped by SIGTERM"):
        train(material, tmp_path / "model", progress=interrupt_once, **SHORT)
    manifest = train(material, tmp_path / "model", **SHORT)
    (folder,) = (tmp_path / "curves" / "albert" / "tries").iterdir()
    assert folder.name == "pretrain"
    assert len(list(folder.iterdir())) == 2
    curves = read_scalars(folder)
    rows = log_of(tmp_path / "model")
    for name in ("loss", "learning_rate"):
        assert dict(curves[name]) == {r["global_step"]: pytest.approx(r[name]) for r in rows}
    name = "masked_lm_accuracy"
    assert dict(curves[f"evaluation/{name}"]) == {
        row["global_step"]: pytest.approx(row[name]) for row in history_of(tmp_path / "model")
    }
    assert curves[f"scores/{name}"] == [(0, pytest.approx(manifest.metrics[name]))]


def test_trials_of_a_fine_tuning_have_curves_of_their_own_and_an_evaluation_scores(tmp_path):
    data = write_tiny_tasks(tmp_path / "tasks") / "topic"
    address = TrackingConfig(to="tensorboard", address=str(tmp_path / "curves"))
    settings = {"num_train_steps": 4, "num_seeds": 2, "num_probe_examples": 0}
    finetune(
        task=TINY_TASKS["topic"],
        data=data,
        pretrained=write_tiny_model(tmp_path / "tiny"),
        initialization="pretrained",
        config=tiny_finetuning(sequence_length=16, **settings),
        output=tmp_path / "tuned",
        tracking=address,
    )
    scored: Manifest = evaluate(
        model=tmp_path / "tuned", data=data, output=tmp_path / "scores", tracking=address
    )
    evaluated, tuned = sorted((tmp_path / "curves" / "albert").iterdir())
    assert tuned.name.startswith("finetune-topic-")
    curves = read_scalars(tuned)
    for seed in (12345, 12346):
        trial = f"rate-0.003-batch-16-seed-{seed}"
        assert [step for step, _ in curves[f"{trial}/loss"]] == [1, 2, 3, 4]
        assert [step for step, _ in curves[f"{trial}/evaluation/accuracy"]] == [2, 4]
    accuracy = scored.metrics["accuracy"]
    assert read_scalars(evaluated)["scores/accuracy"] == [(0, pytest.approx(accuracy, abs=1e-4))]
