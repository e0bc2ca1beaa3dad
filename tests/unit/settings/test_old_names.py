"""Files of earlier versions are read: settings, manifests, options under their old names."""

import json

import pytest

from albert_core.artifacts.manifest import parse_manifest
from albert_core.finetuning.config import FinetuningConfig
from albert_core.records.config import RecordsConfig
from albert_core.settings import old_names, parse_settings


@pytest.fixture(autouse=True)
def no_notices_yet(monkeypatch):
    monkeypatch.setattr(old_names, "_noticed", set())


def test_a_setting_under_its_old_name_is_taken_with_one_line_of_notice(capsys):
    for _ in range(2):
        config = parse_settings(RecordsConfig, {"held_out_share": 0.25}, source="mine.yaml")
    assert config.held_out_fraction == 0.25
    assert capsys.readouterr().err == (
        "albert: mine.yaml: held_out_share is called held_out_fraction now\n"
    )


def test_the_name_of_today_wins_over_the_old_one():
    for values in (
        {"warmup_ratio": 0.2, "warmup_share": 0.3},
        {"warmup_share": 0.3, "warmup_ratio": 0.2},
    ):
        assert parse_settings(FinetuningConfig, values, source="mine").warmup_ratio == 0.2


def test_settings_of_single_tasks_are_renamed_too():
    values = {"per_task": {"cola": {"warmup_share": 0.3}}}
    config = parse_settings(FinetuningConfig, values, source="mine")
    assert config.per_task["cola"] == {"warmup_ratio": 0.3}


def test_settings_have_the_first_names_in_the_hash_of_a_steps_work():
    values = {"records": {"held_out_fraction": 0.1, "lengths": [{"warmup_ratio": 1}]}}
    first = {"records": {"held_out_share": 0.1, "lengths": [{"warmup_share": 1}]}}
    assert old_names.with_first_names(values) == first
    assert old_names.rename_settings(first) == values


def test_a_manifest_of_an_earlier_version_is_read(capsys):
    old = {
        "step": "records",
        "fingerprint": "1",
        "code_version": "2",
        "config": {"records": {"held_out_share": 0.1}},
        "inputs": {},
        "files": {},
        "figures": {"unknown_share": 0.5, "accuracy_deviation": 0.1, "num_records": 3},
        "seconds": 1.0,
        "schema_version": 1,
    }
    manifest = parse_manifest(json.dumps(old).encode(), "manifest.json")
    assert manifest.config == {"records": {"held_out_fraction": 0.1}}
    assert manifest.metrics == {"unknown_fraction": 0.5, "accuracy_std": 0.1, "num_records": 3}
    assert not capsys.readouterr().err


def test_a_records_report_of_an_earlier_version_is_read_under_todays_names():
    old = {"predicted_share": 0.15, "mask_piece_share": 0.8, "kept_share": 0.1, "num_records": 3}
    assert old_names.rename_metrics(old) == {
        "predicted_fraction": 0.15,
        "mask_token_fraction": 0.8,
        "unchanged_fraction": 0.1,
        "num_records": 3,
    }
