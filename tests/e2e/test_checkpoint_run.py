"""`albert run --checkpoint` as people with an old checkpoint use it: tables, report, files."""

import json
import os
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest
import yaml

from albert_core.checkpoints import read_checkpoint, save_release
from tests.helpers.tiny_run import write_tasks
from tests.helpers.tiny_tasks import write_tiny_model, write_tiny_tasks

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A TensorFlow 1 checkpoint with nothing beside it, and CoLA and SQuAD 2.0 below `data`."""
    folder = tmp_path_factory.mktemp("checkpoint-run")
    save_release(read_checkpoint(write_tiny_model(folder / "tiny")), folder / "release")
    (folder / "bare").mkdir()
    for path in (folder / "release").glob("model.ckpt-best.*"):
        shutil.copy(path, folder / "bare")
    write_tasks(folder / "data")
    questions = write_tiny_tasks(folder / "questions") / "no-whale"
    (folder / "data" / "squad").mkdir()
    for split in ("train", "dev"):
        shutil.copy(questions / f"{split}.json", folder / "data" / "squad" / f"{split}-v2.0.json")
    return folder


@pytest.fixture(scope="module")
def run(folder, forked_albert) -> str:
    """Standard output of the run."""
    options = [
        *("--checkpoint", str(folder / "bare" / "model.ckpt-best")),
        *("--albert_config", str(folder / "release" / "albert_config.json")),
        *("--vocab", str(folder / "release" / "30k-clean.model")),
        *("--tasks", "cola,squad2", "--data_dir", str(folder / "data")),
        *("--finetuning.num_train_steps", "12", "--finetuning.sequence_length", "48"),
        *("--finetuning.batch_size", "8", "--finetuning.num_evaluations", "1"),
        *("--finetuning.num_probe_examples", "0"),
        *("--output", str(folder / "out")),
    ]
    result = subprocess.run(
        [*forked_albert, "run", *options],
        capture_output=True,
        text=True,
        timeout=900,
        env=os.environ,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_it_ends_with_the_steps_and_scores_of_its_tasks_alone(run, folder):
    for text in ("checkpoint", "finetune cola", "evaluate squad2", "report"):
        assert text in run
    for text in ("vocab ", "pretrain ", "masked LM"):
        assert text not in run
    scores = json.loads((folder / "out" / "scores.json").read_text())
    assert {one["task"] for one in scores["tasks"]} == {"cola", "squad2"}


def test_the_recipe_is_the_originals_where_nothing_else_was_given(run, folder):
    settings = yaml.safe_load((folder / "out" / "config.yaml").read_text())["finetuning"]
    assert settings["recipe"] == "original"
    manifest = json.loads((folder / "out" / "models" / "cola" / "manifest.json").read_text())
    used = manifest["config"]["finetuning"]
    assert (used["learning_rate"], used["batch_size"], used["num_train_steps"]) == (1e-5, 8, 12)


def test_the_report_has_the_published_scores_and_the_files_to_hand_in(run, folder):
    report = folder / "out" / "report"
    page = (report / "index.html").read_text(encoding="utf-8")
    for text in ("Published scores", "82.1/79.3", "xxlarge, 1.5M steps", "Files to hand in"):
        assert text in page
    assert "Masked LM accuracy" not in page
    assert "glue_submission.zip: 1 of 11 files predicted; filled: AX.tsv" in run
    with zipfile.ZipFile(report / "glue_submission.zip") as archive:
        assert len(archive.namelist()) == 11
        assert archive.read("CoLA.tsv").decode().splitlines()[0] == "index\tprediction"
    answers = json.loads((report / "predictions/squad2/predictions_dev.json").read_text())
    assert len(answers) == 60
