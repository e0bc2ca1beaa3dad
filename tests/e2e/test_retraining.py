"""Two dates of a schedule on one machine: the first model, and one that is not better.

How good a model is, is decided here by how long it is fine-tuned: many steps, one. What becomes of
a better one is told in tests/components/test_promote.py.
"""

import json
import subprocess
import time
from pathlib import Path

import pytest

from albert_core.checkpoints import read_checkpoint
from tests.helpers.tiny_run import TINY_CONFIG, write_corpus, write_tiny_run

pytestmark = pytest.mark.slow

SHORT = {"num_train_steps": 120, "evaluation_interval_steps": 60, "jit_compile": False}
STEPS = {"num_train_steps": 1, "num_evaluations": 1}, {"num_train_steps": 240, "num_evaluations": 4}
FIRST, WORSE = "2026-11-01", "2026-11-02"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("retraining")
    for seed, date in enumerate((FIRST, WORSE)):
        write_corpus(folder / "news" / date, num_documents=100, seed=seed)
    return folder


@pytest.fixture(scope="module")
def config(folder):
    return write_tiny_run(
        folder,
        title="news of {{ds}}",
        corpus={"files": [str(folder / "news" / "{{ds}}")]},
        pretraining={**TINY_CONFIG["pretraining"], **SHORT},
        finetuning={**TINY_CONFIG["finetuning"], "num_probe_examples": 0},
        retraining={"accepted": str(folder / "accepted")},
        export={"formats": ["huggingface"], "thresholds": {"topic": 0.7}},
    )


@pytest.fixture(scope="module")
def run(config, folder, forked_albert):
    """Run a date; return what was printed and which steps were at work."""

    def run_date(date: str, *, is_long: bool) -> tuple[str, list[str]]:
        command = [*forked_albert, "run", "--config", str(config), "--output", str(folder / "out")]
        options = ["--date", date, "--reconfigure", "true"]
        for name, value in STEPS[is_long].items():
            options += [f"--finetuning.{name}", str(value)]
        begin = time.time()  # a cached run keeps the events of the one before
        result = subprocess.run([*command, *options], capture_output=True, text=True, timeout=600)
        assert result.returncode == 0, result.stderr
        events = map(json.loads, (folder / "out" / "events.jsonl").read_text().splitlines())
        at_work = [
            event["step"]
            for event in events
            if event["event"] == "started" and event["time"] >= begin
        ]
        return result.stdout, at_work

    return run_date


def pointer_of(folder: Path) -> dict:
    return json.loads((folder / "accepted" / "accepted.json").read_text())


def history_of(folder: Path) -> list[str]:
    return sorted(path.stem for path in (folder / "accepted" / "history").iterdir())


def test_the_first_model_is_accepted_and_exported(run, folder):
    printed, steps = run(FIRST, is_long=True)
    assert f"Accepted for {FIRST}: the first model" in printed
    assert "Exported topic: huggingface" in printed
    assert steps[-3:] == ["export", "promote", "report"]
    assert pointer_of(folder)["run"] == f"news of {FIRST}"


def test_the_next_date_goes_on_from_it_and_is_refused_if_it_is_not_better(run, folder):
    before = pointer_of(folder)
    printed, _ = run(WORSE, is_long=False)
    assert f"Not accepted for {WORSE}: " in printed
    assert "mean gain" in printed
    assert "Not exported topic: accuracy" in printed
    assert pointer_of(folder) == before
    assert history_of(folder) == [FIRST]
    page = (folder / "out" / "index.html").read_text(encoding="utf-8")
    assert "Not accepted" in page
    assert f"compared with the model accepted on {FIRST}" in " ".join(page.split())


def test_what_goes_on_from_a_model_keeps_its_vocabulary(run, folder):
    accepted = pointer_of(folder)["address"]
    models = (folder / "out").glob("artifacts/*/pretrain/pretrained")
    (later,) = (path for path in models if str(path) != accepted)
    manifest = json.loads((later / "manifest.json").read_text())
    assert manifest["config"]["pretraining"]["init_checkpoint"] == accepted
    vocabularies = {read_checkpoint(path).tokenizer.content_hash() for path in (accepted, later)}
    assert len(vocabularies) == 1


def test_a_date_done_again_is_cached_and_nothing_is_accepted_twice(run, folder):
    before = pointer_of(folder)
    printed, steps = run(FIRST, is_long=True)
    assert steps == []
    assert f"Accepted for {FIRST}: the first model" in printed
    assert pointer_of(folder) == before
    assert history_of(folder) == [FIRST]
