"""`albert run` as a user lives with it: once, again, with one more task, failing, killed."""

import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.helpers.tiny_run import (
    TINY_CONFIG,
    TOPICS,
    write_as_people_have_them,
    write_tiny_run,
)

pytestmark = pytest.mark.slow

ALBERT = (str(Path(sys.executable).with_name("albert")),)
# XLA compiles for longer than these steps take; tests/components trains as it is compiled.
PRETRAINING = {**TINY_CONFIG["pretraining"], "jit_compile": False}
SECRET = "s3cr3t-d0-n0t-k33p"
SECRETS = {
    "AWS_SECRET_ACCESS_KEY": SECRET,
    "GOOGLE_API_KEY": SECRET,
    "HTTPS_PROXY": f"http://user:{SECRET}@localhost:9",
    "MY_PASSWORD": SECRET,
}


def albert_run(
    config: Path, output: Path, *options: str, albert: Sequence[str] = ALBERT
) -> subprocess.CompletedProcess:
    command = [*albert, "run", "--config", str(config), "--output", str(output), *options]
    environment = {**os.environ, **SECRETS}
    return subprocess.run(command, capture_output=True, text=True, timeout=400, env=environment)


def steps_of(events: Path, kind: str, *, since: float = 0.0) -> list[str]:
    rows = map(json.loads, events.read_text().splitlines())
    return [row["step"] for row in rows if row["event"] == kind and row["time"] >= since]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("run")


@pytest.fixture(scope="module")
def config(folder):
    return write_run(folder, pretraining=PRETRAINING)


def write_run(folder: Path, **settings: Any) -> Path:
    """Write a run whose tasks are as people have them; return its configuration's path."""
    config = write_tiny_run(folder, **settings)
    write_as_people_have_them(folder / "glue")
    return config


@pytest.fixture(scope="module")
def first(config, folder):
    result = albert_run(config, folder / "out")
    assert result.returncode == 0, result.stderr
    return result


def pretrained_weights(run: Path) -> str:
    (weights,) = run.glob("artifacts/albert-*/pretrain/pretrained/model.safetensors")
    return hashlib.sha256(weights.read_bytes()).hexdigest()


def test_a_run_ends_with_its_tables_and_a_report(first, folder):
    for text in ("vocab", "records", "pretrain", "finetune topic", "evaluate topic", "majority"):
        assert text in first.stdout
    page = folder / "out" / "index.html"
    assert f"Report: {page}" in first.stdout
    assert re.search(r"^Is the model better than simpler ways\? (Yes|No)", first.stdout, re.M)
    text = page.read_text(encoding="utf-8")
    assert "topic" in text
    assert "Is the model better than simpler ways?" in text  # no task was tuned from random weights
    assert "albert predict models/topic FILE" in text


def test_a_run_says_how_it_reads_a_task_that_declares_little(first):
    described = (
        "topic: labels: farm, sea, town (from the training rows); train: train.csv.gz (CSV); dev: "
        "10 % of the training rows, split off by label with seed 12345"
    )
    assert described in first.stdout + first.stderr


def test_a_run_ends_with_commands_that_work_as_they_are_printed(first, folder):
    _, _, lines = first.stdout.partition("Next:\n")
    info, predict, serve = (line.strip() for line in lines.splitlines())
    assert serve.endswith(f"albert serve {folder / 'out' / 'models' / 'topic'}")
    answers = [
        subprocess.run(line, shell=True, stdout=subprocess.PIPE, text=True, check=True).stdout
        for line in (info, predict)
    ]
    assert answers[0].startswith(f"{folder / 'out'}: tiny, finished\n")
    assert json.loads(answers[1])["label"] in TOPICS


def test_the_logs_of_the_steps_hold_nothing_of_tensorflow(first, folder):
    logs = [path for path in (folder / "out" / "logs").glob("*.log") if path.name != "kfp.log"]
    assert {"pretrain.log", "finetune-topic.log"} <= {path.name for path in logs}
    lines = [line for path in logs for line in path.read_text().splitlines()]
    noise = re.compile(r"[IWE]\d{4} \d\d:|WARNING: All log messages|WARNING:tensorflow")
    assert [line for line in lines if noise.match(line)] == []


def test_the_places_of_a_run_lead_to_its_results(first, folder):
    run = folder / "out"
    for name in ("vocab", "records", "pretrained", "models/topic", "evaluations/topic", "report"):
        assert (run / name).is_symlink()
        assert (run / name / "manifest.json").is_file()
    (score,) = json.loads((run / "scores.json").read_text())["tasks"]
    metrics = json.loads((run / "evaluations" / "topic" / "metrics.json").read_text())
    assert score["score"] == round(metrics["accuracy"], 4)
    assert score["model"] == "models/topic"
    assert 0 < score["low"] <= score["score"] <= score["high"] <= 1
    assert 0 <= score["without_model"] <= 1


def test_every_artifact_is_complete_and_nothing_is_in_progress(first, folder):
    run = folder / "out"
    manifests = list(run.glob("artifacts/**/manifest.json"))
    assert len(manifests) == 6
    for path in manifests:
        files = json.loads(path.read_text())["files"]
        for name, entry in files.items():
            digest = hashlib.sha256((path.parent / name).read_bytes()).hexdigest()
            assert digest == entry["sha256"]
    assert not list(run.glob("work/*/progress"))


def test_pretraining_reports_the_metrics_of_the_original(first, folder):
    (path,) = (folder / "out").glob("artifacts/albert-*/pretrain/pretrained/eval_results.txt")
    assert [line.split(" = ")[0] for line in path.read_text().splitlines()] == [
        "global_step",
        "loss",
        "masked_lm_accuracy",
        "masked_lm_loss",
        "sentence_order_accuracy",
        "sentence_order_loss",
    ]


def test_a_second_run_is_cached_and_takes_seconds(first, config, folder, forked_albert):
    events = folder / "out" / "events.jsonl"
    started, before = time.monotonic(), events.read_bytes()
    again = albert_run(config, folder / "out", albert=forked_albert)
    assert again.returncode == 0, again.stderr
    assert time.monotonic() - started < 20
    assert events.read_bytes() == before, "steps ran again, or their events are lost"
    assert "cached" in again.stdout


def test_one_more_task_runs_only_that_task_and_the_report(first, config, folder, forked_albert):
    started = time.time()
    # Tracking repeats no step that is done.
    options = ("--tasks", "topic,things", "--tracking.to", "tensorboard")
    result = albert_run(config, folder / "out", *options, albert=forked_albert)
    assert result.returncode == 0, result.stderr
    tracked = (folder / "out" / "tracking" / "albert").glob("tiny */*")
    assert sorted(path.name for path in tracked) == ["evaluate-things", "finetune-things"]
    events = folder / "out" / "events.jsonl"
    assert steps_of(events, "finished", since=started) == [
        "finetune things",
        "evaluate things",
        "report",
    ]
    assert steps_of(events, "finished")[:2] == ["vocab", "records"]  # of the run before
    predicted = (folder / "out/evaluations/things/predictions_test.conll").read_text()
    words = (folder / "glue/things/test.conll").read_text().splitlines()
    assert [line.partition("\t")[0] for line in predicted.splitlines()] == [*words, ""]
    scores = json.loads((folder / "out" / "scores.json").read_text())["tasks"]
    assert [(one["task"], one["metric"]) for one in scores] == [
        ("things", "f1"),
        ("topic", "accuracy"),
    ]


def test_a_run_keeps_no_secret_of_its_environment(first, folder):
    files = [path for path in (folder / "out").rglob("*") if path.is_file()]
    assert not [path for path in files if SECRET.encode() in path.read_bytes()]
    assert SECRET not in first.stdout + first.stderr


def test_a_secret_in_the_settings_is_refused_and_not_repeated(config, folder, forked_albert):
    option = json.dumps([f"--s3_secret_access_key={SECRET}"])
    result = albert_run(config, folder / "secret", "--beam.options", option, albert=forked_albert)
    assert result.returncode == 2
    assert "beam.options: got --s3_secret_access_key, expected no secrets" in result.stderr
    assert SECRET not in result.stdout + result.stderr
    assert not (folder / "secret").exists()


def test_an_output_folder_of_another_configuration_is_refused(first, config, folder, forked_albert):
    other = ("--pretraining.learning_rate", "0.001")
    result = albert_run(config, folder / "out", *other, albert=forked_albert)
    assert result.returncode == 2
    assert "pretraining.learning_rate" in result.stderr
    assert "--reconfigure" in result.stderr


def kill(process: subprocess.Popen) -> None:
    process.send_signal(signal.SIGKILL)


def terminate(process: subprocess.Popen) -> None:
    """Send SIGTERM to the run's own process alone."""
    process.send_signal(signal.SIGTERM)


def press_ctrl_c(process: subprocess.Popen) -> None:
    """Send SIGINT to the run and all its steps, as a terminal does."""
    os.killpg(process.pid, signal.SIGINT)


def run_until(
    config: Path,
    output: Path,
    condition: Callable[[], bool],
    end: Callable[[subprocess.Popen], None] = kill,
) -> tuple[int, str]:
    """Start a run and end it as soon as a condition holds; return exit status and messages."""
    options = ["--config", str(config), "--output", str(output), "--reconfigure", "true"]
    command = [*ALBERT, "run", *options]
    process = subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=_heed_interrupts,
    )
    try:
        deadline = time.monotonic() + 300
        while not condition():
            assert process.poll() is None, "the run ended before the condition held"
            assert time.monotonic() < deadline
            time.sleep(0.05)
    finally:
        end(process)
        _, messages = process.communicate(timeout=20)
    return process.returncode, messages


def _heed_interrupts() -> None:
    """Undo what a shell does to what it starts in the background."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def has_started(output: Path, step: str) -> Callable[[], bool]:
    events = output / "events.jsonl"
    return lambda: events.exists() and step in steps_of(events, "started")


def has_new_checkpoint(output: Path, step: str) -> Callable[[], bool]:
    pattern = f"work/{step}-*/progress/**/checkpoint-*"
    before = set(output.glob(pattern))
    return lambda: bool(set(output.glob(pattern)) - before)


@pytest.fixture(scope="module")
def failed(folder) -> tuple[Path, Path]:
    """Configuration and folder of a run that was killed, and then failed in pretraining."""
    failing = folder / "failing"
    failing.mkdir()
    changed = {**PRETRAINING, "learning_rate": 1e30}
    config = write_run(failing, pretraining=changed)
    run_until(config, failing / "out", has_started(failing / "out", "records"))
    assert are_gone(failing / "out")
    return config, failing / "out"


def test_a_failed_step_names_its_log(failed, forked_albert):
    config, output = failed
    result = albert_run(config, output, albert=forked_albert)
    assert result.returncode == 1
    (line,) = result.stderr.splitlines()
    assert "pretrain failed" in line
    assert "the loss is nan" in line
    assert "pretrain.log" in line
    assert "DivergenceError" in (output / "logs" / "pretrain.log").read_text()


def test_a_run_failed_killed_and_interrupted_ends_with_the_same_weights_and_scores(
    first, failed, folder, forked_albert
):
    config, output = failed
    values = yaml.safe_load(config.read_text())
    values["pretraining"]["learning_rate"] = PRETRAINING["learning_rate"]
    config.write_text(yaml.safe_dump(values))
    for step, end, expected in (
        ("pretrain", press_ctrl_c, (130, "albert: interrupted; run again to continue\n")),
        ("finetune", terminate, (143, "albert: stopped by SIGTERM; run again to continue\n")),
    ):
        started = time.time()
        assert run_until(config, output, has_new_checkpoint(output, step), end) == expected
        assert are_gone(output)
        assert steps_of(output / "events.jsonl", "started", since=started)[0] == "pretrain"
        if step == "pretrain":
            events = map(json.loads, (output / "events.jsonl").read_text().splitlines())
            (message,) = (event["message"] for event in events if event["event"] == "failed")
            assert re.match(r"stopped by SIG(INT|TERM) after \d+ steps; they are saved", message)
    assert (output / "pretrained" / "manifest.json").is_file()
    assert not (output / "models").exists()
    result = albert_run(config, output, albert=forked_albert)
    assert result.returncode == 0, result.stderr
    assert steps_of(output / "events.jsonl", "finished")[-1] == "report"
    assert (output / "models" / "topic" / "manifest.json").is_file()
    assert pretrained_weights(output) == pretrained_weights(folder / "out")
    assert scores_of(output) <= scores_of(folder / "out")


def scores_of(run: Path) -> set[str]:
    scores = {path.read_text() for path in run.glob("artifacts/**/evaluation/metrics.json")}
    assert scores
    return scores


def test_no_step_outlives_a_killed_run(config, folder):
    output = folder / "orphan"
    run_until(config, output, has_started(output, "pretrain"))
    assert are_gone(output)


def are_gone(output: Path) -> bool:
    """Whether all processes of a run end within seconds."""
    deadline = time.monotonic() + 10
    while processes_of(output) and time.monotonic() < deadline:
        time.sleep(0.2)
    return processes_of(output) == []


def processes_of(output: Path) -> list[int]:
    """Ids of the processes that were started for the run in a folder (Linux)."""
    processes = []
    for entry in Path("/proc").iterdir():
        try:
            is_of_run = str(output).encode() in (entry / "environ").read_bytes()
        except (OSError, ValueError):
            continue
        if entry.name.isdigit() and is_of_run and int(entry.name) != os.getpid():
            processes.append(int(entry.name))
    return processes
