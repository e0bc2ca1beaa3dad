"""The pipeline of a target, run by kfp's local runner, with a step that fails."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tiny_run import TINY_CONFIG, write_tiny_run

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]

# As on a cluster: no run folder, so that steps record what becomes of them in the work root.
RUN = """
import json, sys
from kfp import local
from pipeline.albert import Placement, build_pipeline_with_summary

class Retried(Placement):
    def put(self, step, task):
        return task.set_retry(1, "0s") if step == "finetune" else task

folder, arguments = sys.argv[1], json.load(open(sys.argv[2]))
local.init(
    runner=local.SubprocessRunner(use_venv=False),
    pipeline_root=f"{folder}/artifacts",
    enable_caching=True,
    cache_root=f"{folder}/cache",
)
build_pipeline_with_summary(Retried(), arguments)()
"""


def run(folder: Path, arguments: Path) -> subprocess.CompletedProcess:
    command = [sys.executable, "-c", RUN, str(folder), str(arguments)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=900
    )


def summary_of(folder: Path) -> dict:
    (path,) = folder.glob("artifacts/albert-*/summarise-run/summary/summary.json")
    return json.loads(path.read_text())


def test_it_is_tried_again_the_others_go_on_and_the_summary_says_so(tmp_path):
    from pipeline.config import read_config
    from pipeline.preflight import pipeline_arguments

    short = {"num_train_steps": 20, "num_warmup_steps": 2, "evaluation_interval_steps": 20}
    config = write_tiny_run(
        tmp_path,
        pretraining={**TINY_CONFIG["pretraining"], **short},
        finetuning={**TINY_CONFIG["finetuning"], "num_epochs": 1, "num_evaluations": 1},
        tasks=["cola", "topic"],
    )
    arguments = tmp_path / "arguments.json"
    values = pipeline_arguments(read_config(config), work_root=tmp_path / "work")
    arguments.write_text(json.dumps(values))
    shutil.move(tmp_path / "glue" / "CoLA", tmp_path / "CoLA")

    result = run(tmp_path, arguments)
    assert result.returncode == 1, result.stderr
    assert "# tiny: failed" in result.stdout
    summary = summary_of(tmp_path)
    assert not summary["is_success"]
    states = {step["name"]: (step["state"], step["num_tries"]) for step in summary["steps"]}
    assert states == {
        "vocab": ("finished", 1),
        "records": ("finished", 1),
        "pretrain": ("finished", 1),
        "finetune cola": ("failed", 2),
        "evaluate cola": ("not run", 0),
        "finetune topic": ("finished", 1),
        "evaluate topic": ("finished", 1),
        "report": ("not run", 0),
    }
    (failed,) = [step for step in summary["steps"] if step["state"] == "failed"]
    assert "no file" in failed["message"]
