"""The folder of a run: whose it is, and that those of earlier versions are still opened."""

import json

import pytest
import yaml

from albert_core.artifacts.step import run_step
from albert_core.errors import InputError
from albert_core.files.locks import LOCK_NAME
from albert_core.settings import parse_settings
from pipeline.cli.main import main
from pipeline.config import RunConfig, to_values
from pipeline.local.damage import record_cache, remove_damaged
from pipeline.local.run_folder import (
    RUN_CONFIG_NAME,
    differing_settings,
    has_same_pretraining,
    lock_run_folder,
)

# As the first versions wrote it: under old names, and without the settings that came later.
OLD_CONFIG = """\
title: demo
corpus:
  files: [corpus]
cleaning:
  min_letter_share: 0.25
  max_repeated_share: 0.5
records:
  sequence_length: 32
  held_out_share: 0.03
finetuning:
  warmup_share: 0.2
data_dir: glue
tasks: [cola]
"""
SAME_CONFIG = {
    "title": "demo",
    "corpus": {"files": ["corpus"]},
    "cleaning": {"min_letter_fraction": 0.25, "max_repeated_fraction": 0.5},
    "records": {"sequence_length": 32, "held_out_fraction": 0.03},
    "finetuning": {"warmup_ratio": 0.2},
    "data_dir": "glue",
    "tasks": ["cola"],
}
OLD_MANIFEST = {
    "schema_version": 1,
    "step": "vocab",
    "fingerprint": "1",
    "config": {"vocab": {"size": 60}},
    "inputs": {},
    "files": {},
    "figures": {"vocab_size": 60, "pieces_per_word": 1.5, "unknown_share": 0.25},
    "code_version": "0",
    "seconds": 2.0,
}


def make_config(**changes: object) -> RunConfig:
    return parse_settings(RunConfig, {**SAME_CONFIG, **changes}, source="test")


@pytest.fixture
def old_folder(tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / RUN_CONFIG_NAME).write_text(OLD_CONFIG)
    (folder / LOCK_NAME).touch()
    return folder


def lock(folder, config, *, reconfigure=False):
    return lock_run_folder(folder, config, "id", reconfigure=reconfigure)


def test_the_folder_of_an_earlier_version_is_taken_over_under_todays_names(old_folder, capsys):
    with lock(old_folder, make_config()):
        saved = yaml.safe_load((old_folder / RUN_CONFIG_NAME).read_text())
    assert saved == to_values(make_config())
    assert capsys.readouterr().err == ""


def test_a_change_to_the_folder_of_an_earlier_version_is_named_as_it_is_called_now(old_folder):
    changed = make_config(records={"sequence_length": 32, "held_out_fraction": 0.1})
    with pytest.raises(InputError, match=r"different in records\.held_out_fraction; choose"):
        lock(old_folder, changed).__enter__()
    assert (old_folder / RUN_CONFIG_NAME).read_text() == OLD_CONFIG
    with lock(old_folder, changed, reconfigure=True):
        pass


def test_a_setting_that_this_version_does_not_know_is_a_difference(old_folder):
    (old_folder / RUN_CONFIG_NAME).write_text(OLD_CONFIG + "from_the_future: 1\n")
    with pytest.raises(InputError, match="from_the_future"):
        lock(old_folder, make_config()).__enter__()


def test_other_tasks_are_the_same_run(old_folder):
    with lock(old_folder, make_config(tasks=["cola", "rte"], random_weights_baseline=True)):
        pass


def test_a_tracked_run_is_the_same_run(old_folder):
    tracking = {"to": "wandb", "address": "https://wandb.example.org", "run": "weekly"}
    with lock(old_folder, make_config(tracking={**tracking, "experiment": "tries"})):
        pass


def test_memory_left_to_be_found_is_the_same_run_and_pretraining_as_the_former_default(old_folder):
    text = yaml.safe_dump({**yaml.safe_load(OLD_CONFIG), "vocab": {"memory_gb": 8.0}})
    (old_folder / RUN_CONFIG_NAME).write_text(text)
    assert has_same_pretraining(text.encode(), "config.yaml", make_config())
    with lock(old_folder, make_config()):
        pass
    (old_folder / RUN_CONFIG_NAME).write_text(text)
    with pytest.raises(InputError, match=r"different in vocab\.memory_gb"):
        lock(old_folder, make_config(vocab={"memory_gb": 2.0})).__enter__()


def test_a_format_that_is_left_to_be_found_is_no_difference_and_one_that_is_set_is(old_folder):
    """Earlier versions wrote down the default, `sentences`."""
    corpus = {"files": ["corpus"], "format": "sentences"}
    text = yaml.safe_dump({**yaml.safe_load(OLD_CONFIG), "corpus": corpus})
    (old_folder / RUN_CONFIG_NAME).write_text(text)
    with lock(old_folder, make_config()):
        pass
    with pytest.raises(InputError, match=r"different in corpus\.format; choose"):
        lock(old_folder, make_config(corpus={**corpus, "format": "jsonl"})).__enter__()


def test_the_artifacts_of_an_earlier_version_are_described(tmp_path, capsys):
    (tmp_path / "manifest.json").write_text(json.dumps(OLD_MANIFEST))
    assert main(["info", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert "vocab_size 60, tokens_per_word 1.5, unknown_fraction 0.25" in out


def test_two_runs_do_not_work_in_one_folder(tmp_path):
    with lock(tmp_path / "run", make_config()):
        with pytest.raises(InputError, match="another run is at work there"):
            lock(tmp_path / "run", make_config()).__enter__()
        assert (tmp_path / "run" / LOCK_NAME).read_text() == "id"


def test_a_run_that_was_killed_as_it_began_leaves_a_folder_that_the_next_one_takes(tmp_path):
    (tmp_path / LOCK_NAME).touch()
    with lock(tmp_path, make_config()):
        pass


def test_a_folder_of_configurations_is_not_taken_for_a_runs(tmp_path):
    config = tmp_path / RUN_CONFIG_NAME
    config.write_text(f"# what we agreed on\n{OLD_CONFIG}")
    with pytest.raises(InputError, match="exists and is not a run's folder"):
        lock(tmp_path, make_config()).__enter__()
    assert [path.name for path in tmp_path.iterdir()] == [RUN_CONFIG_NAME]
    assert config.read_text().startswith("# what we agreed on")


def test_settings_differ_by_their_dotted_names():
    settings = {"a": 1, "b": {"c": 2, "d": [3]}}
    assert differing_settings(settings, {"a": 1, "b": {"c": 2, "d": [3]}}) == []
    assert differing_settings(settings, {"a": 1, "b": {"c": 0}, "e": None}) == ["b.c", "b.d"]


@pytest.mark.parametrize("how", ["flipped", "cut", "no text", "swapped"])
def test_a_damaged_configuration_is_named_and_written_again(how, tmp_path, capsys):
    path = tmp_path / "run" / RUN_CONFIG_NAME
    with lock(tmp_path / "run", make_config()):
        whole = path.read_bytes()
    changed = whole.replace(b"sequence_length: 32", b"sequence_length: 33")
    with lock(tmp_path / "other", make_config(title="other")):
        other = (tmp_path / "other" / RUN_CONFIG_NAME).read_bytes()
    cut = whole[: len(whole) // 2]
    path.write_bytes(
        {"flipped": changed, "cut": cut, "no text": b"\xff\xfe: [", "swapped": other}[how]
    )
    if how in ("no text", "swapped"):
        # It may be another program's, and is another run's: refused, with a remedy.
        with pytest.raises(InputError, match="pass --reconfigure"):
            lock(tmp_path / "run", make_config()).__enter__()
    with lock(tmp_path / "run", make_config(), reconfigure=how in ("no text", "swapped")):
        pass
    said = capsys.readouterr().err
    assert (f"{path}: damaged (its checksum differs)" in said) == (how in ("flipped", "cut"))
    assert path.read_bytes() == whole


def finish_artifact(folder):
    def body(results, _):
        (results / "model.bin").write_bytes(b"weights")
        return {}

    run_step("vocab", config={}, inputs={}, output=folder, body=body)


def test_damaged_artifacts_and_foreign_entries_of_the_cache_are_removed(tmp_path, capsys):
    for name in ("whole", "flipped", "swapped"):
        finish_artifact(tmp_path / "artifacts" / name / "output")
    (tmp_path / "artifacts/emptied/output").mkdir(parents=True)
    (tmp_path / "artifacts/flipped/output/model.bin").write_bytes(b"heights")
    (tmp_path / "artifacts/swapped/output/manifest.json").write_text(json.dumps(OLD_MANIFEST)[:40])
    cache = tmp_path / "cache"
    cache.mkdir()
    artifact = {"__kfp_artifact__": True, "uri": str(tmp_path / "artifacts/whole/output")}
    entries = {"right": {"model": artifact}, "foreign": {"model": {**artifact, "uri": "/other/a"}}}
    for name, values in entries.items():
        (cache / f"{name}.json").write_text(json.dumps(values))
    (cache / "cut.json").write_text('{"model": ')
    (cache / "changed.json").write_text(json.dumps(entries["right"]))
    record_cache(tmp_path)
    (cache / "changed.json").write_text(json.dumps({"model": {**artifact, "name": "changed"}}))
    remove_damaged(tmp_path)
    assert [p.parent.name for p in (tmp_path / "artifacts").glob("*/output")] == ["whole"]
    assert [path.name for path in cache.glob("*.json")] == ["right.json"]
    said = capsys.readouterr().err
    assert said.count(": damaged (") == 5
    (cache / "checksums").write_text("{}")
    remove_damaged(tmp_path)
    assert list(cache.glob("*.json")) == []
    assert "model.bin holds something else than was written" in said
