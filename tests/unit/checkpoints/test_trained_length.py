"""The longest sequences of pretraining: read beside a model, and a warning about longer inputs."""

from pathlib import Path
from typing import Any

import pytest

from albert_core.artifacts.manifest import Manifest
from albert_core.checkpoints.trained_length import find_trained_length, warn_of_untrained_positions


def write_manifest(folder: Path, *, step: str = "pretrain", **changes: Any) -> Path:
    folder.mkdir(exist_ok=True)
    values: dict[str, Any] = {
        "inputs": {"records 24": "a", "records 48": "b", "vocab": "c"},
        "metrics": {"global_step": 10},
        **changes,
    }
    Manifest(
        step=step, fingerprint="f", code_version="v", config={}, files={}, seconds=1.0, **values
    ).write(folder)
    return folder


@pytest.mark.parametrize("step", ["pretrain", "checkpoint"])
def test_the_manifest_tells_it(tmp_path, step):
    folder = write_manifest(tmp_path, step=step, metrics={"trained_sequence_length": 64})
    assert find_trained_length(folder) == 64
    assert find_trained_length(folder / "model.safetensors") == 64


def test_manifests_of_earlier_versions_tell_it_by_their_records(tmp_path):
    assert find_trained_length(write_manifest(tmp_path)) == 48


@pytest.mark.parametrize(
    "changes",
    [
        {"step": "finetune"},
        {"metrics": {"global_step": 10, "stopped_by": "stop_after_minutes"}},
        {"metrics": {"global_step": 0}},
        {"inputs": {"records 48": "b", "init_checkpoint": "d"}},
    ],
)
def test_where_it_is_not_certain_it_is_not_known(tmp_path, changes):
    assert find_trained_length(write_manifest(tmp_path, **changes)) is None


def test_a_model_from_elsewhere_does_not_tell_it(tmp_path):
    assert find_trained_length(tmp_path) is None
    assert find_trained_length(tmp_path / "model.ckpt-best") is None


def test_the_warning_names_tasks_positions_and_remedy():
    warning = warn_of_untrained_positions(["rte", "squad1"], 128, 64)
    assert warning.startswith("finetuning.sequence_length for rte, squad1: got 128, but ")
    assert "positions 64 to 127 were never trained" in warning
    assert "--finetuning.sequence_length 64" in warning
    assert "records.sequence_length" in warning
    assert "pretraining.position_offset_probability" in warning


@pytest.mark.parametrize("trained", [128, 512, None])
def test_nothing_is_said_where_all_was_trained_or_nothing_is_known(trained):
    assert warn_of_untrained_positions(["rte"], 128, trained) == ""
