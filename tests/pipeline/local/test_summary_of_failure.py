"""The pipeline of a target, run by kfp's local runner, with a step that fails."""

import json
import subprocess
from pathlib import Path

import pytest

from tests.helpers.tiny_run import write_tiny_run

pytestmark = pytest.mark.slow

# As on a cluster: no run folder, so that steps record what becomes of them in the work root.
RUN = """
import json, sys
from kfp import local
from pipeline.albert import OptionalSteps, build_pipeline
from pipeline.platform_config import PlatformConfig

class RetriedRecords(PlatformConfig):
    def configure(self, task, step):
        return task.set_retry(1, "0s") if step == "records" else task

folder, arguments = sys.argv[1], json.load(open(sys.argv[2]))
local.init(
    runner=local.SubprocessRunner(use_venv=False),
    pipeline_root=f"{folder}/artifacts",
    enable_caching=True,
    cache_root=f"{folder}/cache",
)
build_pipeline(RetriedRecords(), OptionalSteps(summary=True))(**arguments)
"""


def run(python: Path, folder: Path, arguments: Path) -> subprocess.CompletedProcess:
    command = [str(python), "-c", RUN, str(folder), str(arguments)]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=900)


def summary_of(folder: Path) -> dict:
    (path,) = folder.glob("artifacts/albert-*/summarise-run/summary/summary.json")
    return json.loads(path.read_text())


def test_a_step_that_fails_is_tried_again_and_the_summary_tells_what_became_of_all(
    tmp_path, run_zygote
):
    from pipeline.config_files import read_config
    from pipeline.local.inputs import LocalInputs
    from pipeline.preflight import pipeline_arguments

    exam = tmp_path / "exam.txt"
    exam.write_text("The ship sails slowly. " * 4)
    config = write_tiny_run(tmp_path, cleaning={"evaluation_sets": {"exam": [str(exam)]}})
    arguments = tmp_path / "arguments.json"
    values = pipeline_arguments(read_config(config), LocalInputs(), work_root=tmp_path / "work")
    arguments.write_text(json.dumps(values))
    exam.unlink()

    result = run(run_zygote.python, tmp_path, arguments)
    assert result.returncode == 1, result.stderr
    assert "# tiny: failed" in result.stdout
    summary = summary_of(tmp_path)
    assert not summary["is_success"]
    states = {step["name"]: (step["state"], step["num_tries"]) for step in summary["steps"]}
    assert states == {
        "vocab": ("finished", 1),
        "records": ("failed", 2),
        "pretrain": ("not run", 0),
        "finetune topic": ("not run", 0),
        "evaluate topic": ("not run", 0),
        "report": ("not run", 0),
    }
    (failed,) = [step for step in summary["steps"] if step["state"] == "failed"]
    assert "exam.txt" in failed["message"]
