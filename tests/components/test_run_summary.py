"""What became of a run's steps, as the run's last task tells it."""

import contextlib
import json
from pathlib import Path

import pytest

from albert_core.errors import InputError
from components.run_summary.step import planned_steps, write_run_summary
from components.step_attempts import read_attempts, record_attempt

PLANNED = ("vocab", "records", "pretrain", "finetune cola", "evaluate cola", "report")
VERTEX_RUN = "projects/proj/locations/europe-west4/pipelineJobs/albert-7"


def attempt(root: Path, step: str, run: str, error: str = "") -> None:
    """Go through one try of a step of a run."""
    output = f"gs://artifacts/42/{run}/{step}_1/output"
    with (
        contextlib.suppress(ValueError),
        record_attempt(step, output=output, work_root=str(root)),
    ):
        if error:
            raise ValueError(error)


def kill_last(root: Path) -> None:
    """Make the last record what it is when its step is killed."""
    path = max(root.rglob("outcomes/**/*.json"), key=lambda path: path.name)
    values = json.loads(path.read_text())
    path.write_text(json.dumps({**values, "state": "started", "seconds": 0.0}))


def summarise(root: Path, **changes: object) -> tuple[dict, str]:
    arguments = {
        "title": "wiki",
        "run": VERTEX_RUN,
        "runs": ("12345", "albert-7"),
        "is_success": False,
        "error": "The DAG failed because some tasks failed.",
        "planned": PLANNED,
        "work_root": str(root),
        "output": str(root / "summary"),
    }
    text = write_run_summary(**{**arguments, **changes})
    return json.loads((root / "summary" / "summary.json").read_text()), text


@pytest.fixture
def root(tmp_path, monkeypatch) -> Path:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    monkeypatch.delenv("CLOUD_ML_JOB_ID", raising=False)
    return tmp_path


def test_a_failed_step_is_named_with_its_tries_its_reason_and_where_its_log_is(root, monkeypatch):
    attempt(root, "vocab", "albert-7")
    monkeypatch.setenv("CLOUD_ML_JOB_ID", "99")
    attempt(root, "records", "albert-7", "gs://corpus/a.txt: permission denied")
    attempt(root, "records", "albert-7", "gs://corpus/a.txt: permission denied")
    summary, text = summarise(root)
    states = {step["name"]: step["state"] for step in summary["steps"]}
    assert states == {"vocab": "finished", "records": "failed"} | dict.fromkeys(
        PLANNED[2:], "not run"
    )
    records = summary["steps"][1]
    assert records["num_tries"] == 2
    assert 'resource.labels.job_id="99"' in records["log"]
    assert "**records** failed: gs://corpus/a.txt: permission denied. Log: `gcloud" in text
    assert summary["page"].startswith(
        "https://console.cloud.google.com/vertex-ai/pipelines/locations/europe-west4/runs/albert-7"
    )
    assert "# wiki: failed" in text


def test_a_step_that_was_killed_and_then_went_through(root):
    attempt(root, "vocab", "albert-7")
    kill_last(root)
    assert summarise(root)[0]["steps"][0]["state"] == "killed"
    assert "**vocab** killed: ended without a word" in summarise(root)[1]
    attempt(root, "vocab", "albert-7")
    vocab = summarise(root)[0]["steps"][0]
    assert (vocab["state"], vocab["num_tries"]) == ("finished", 2)


def test_steps_of_other_runs_do_not_count(root, monkeypatch):
    attempt(root, "vocab", "albert-6", "old")
    attempt(root, "vocab", "albert-77", "other")
    assert summarise(root)[0]["steps"][0]["state"] == "not run"
    assert [outcome.message for outcome in read_attempts(str(root), ["albert-6"])] == ["old"]
    monkeypatch.chdir(root.parent)
    for work_root in (str(root), root.name):
        assert read_attempts(work_root, [root.name, root.parent.name]) == []


@pytest.mark.parametrize("content", [b"", b'{"step": "rec', b"[]", b"\xff\xfe\xfd", b'{"stop": 1}'])
def test_a_damaged_record_is_named_and_hides_no_other(root, content):
    attempt(root, "vocab", "albert-7")
    attempt(root, "records", "albert-7")
    last = max(root.rglob("outcomes/**/*.json"), key=lambda path: path.name)
    last.write_bytes(content)
    with pytest.raises(InputError, match=last.name):
        read_attempts(str(root), ["albert-7"])
    summary, text = summarise(root)
    assert [step["state"] for step in summary["steps"][:2]] == ["finished", "not run"]
    (line,) = summary["unreadable"]
    assert line.startswith(str(last))
    assert f"A step may have ended otherwise than it says here: {last}: " in text


def test_a_run_named_as_the_pipeline_is_known_by_its_id(root):
    """Kubeflow has the pipeline's name in every run's addresses, and lets people name runs."""
    attempt(root, "vocab", "albert/0c3f-other", "other")
    attempt(root, "vocab", "albert/12345")
    summary, _ = summarise(root, runs=("12345", "albert"))
    assert (summary["steps"][0]["state"], summary["steps"][0]["num_tries"]) == ("finished", 1)


def test_what_did_not_run_in_a_good_run_was_cached(root):
    attempt(root, "report", "albert-7")
    summary, text = summarise(root, is_success=True, error="")
    assert [step["state"] for step in summary["steps"]] == ["cached"] * 5 + ["finished"]
    assert "# wiki: succeeded" in text


def test_on_kubernetes_the_log_is_that_of_the_pod(root, monkeypatch):
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    attempt(root, "vocab", "run-id", "no memory")
    (outcome,) = read_attempts(str(root), ["run-id"])
    assert outcome.log.startswith("kubectl logs ")


def test_steps_that_not_every_run_has_are_in_their_place():
    names = planned_steps(["records"], [], ["resolve", "promote", "summary"])
    assert names == ["resolve", "vocab", "records", "pretrain", "promote", "report"]
