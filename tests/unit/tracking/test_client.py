"""A tracker that is down, slow, hangs or dies neither stops nor slows a training."""

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from albert_core.tracking import client
from albert_core.tracking.client import TrackingClient
from albert_core.tracking.messages import WORKER_MODULE, opening_line
from albert_core.tracking.run import Row, TrackedRun

ROW = Row(step=1, time_s=0.0, values={"loss": 1.0})


@pytest.fixture
def start(monkeypatch):
    """Start a client whose tracker behaves in a way; return it, and what it says."""
    monkeypatch.setattr(client, "WORKER_MODULE", "tests.helpers.tracker_processes")
    monkeypatch.setattr(client, "FLUSH_S", 1.0)

    def begin(behaviour: str) -> tuple[TrackingClient, list[str]]:
        run = TrackedRun(key="k", step="pretrain", address=behaviour, experiment="albert")
        said: list[str] = []
        return TrackingClient("mlflow", run, title="MLflow", warn=said.append), said

    return begin


@pytest.mark.parametrize(
    ("behaviour", "reason"),
    [
        ("hang", "no answer in time"),
        ("fail", "403, permission denied"),
        ("die", "its process ended"),
    ],
)
def test_rows_are_given_at_once_and_what_is_lost_is_counted(behaviour, reason, start):
    tracker, said = start(behaviour)
    begin_s = time.monotonic()
    for _ in range(1000):
        tracker.log(ROW)
    assert time.monotonic() - begin_s < 1.0
    tracker.close("finished")
    assert f"MLflow: 1,000 of 1,000 rows of values did not reach it ({reason}" in said[-1]
    assert tracker._process.poll() is not None, "the process is left"
    assert len(said) <= 2


def test_a_full_queue_loses_rows_and_does_not_wait(start, monkeypatch):
    monkeypatch.setattr(client, "QUEUE_LENGTH", 10)
    tracker, said = start("hang")
    row = Row(step=1, time_s=0.0, values={f"metric {number}": 1.0 for number in range(10_000)})
    begin_s = time.monotonic()
    for _ in range(20):
        tracker.log(row)  # more than a pipe holds
    assert time.monotonic() - begin_s < 5.0
    tracker.close("finished")
    assert "20 of 20 rows" in said[-1]


def test_a_tracker_that_is_slow_but_answers_is_waited_for(start):
    tracker, said = start("slow")
    for _ in range(60):
        tracker.log(ROW)
    tracker.log_scores({"accuracy": 1.0})
    tracker.close("finished")
    assert said == []


def test_trouble_and_silence_are_said_once_while_the_step_is_at_work(start, monkeypatch):
    monkeypatch.setattr(client, "SILENCE_S", 0.0)
    for behaviour, reason in (("fail", "403, permission denied"), ("hang", "no answer for 0 s")):
        tracker, said = start(behaviour)
        deadline = time.monotonic() + 30
        while not said and time.monotonic() < deadline:
            tracker.log(ROW)
            time.sleep(0.01)
        tracker.log(ROW)
        assert said == [f"tracking: MLflow: {reason}; the step goes on without it"]
        tracker.close("interrupted")


def test_no_thread_is_left(start):
    before = threading.active_count()
    for behaviour in ("hang", "slow"):
        tracker, _ = start(behaviour)
        tracker.log(ROW)
        tracker.close("finished")
    deadline = time.monotonic() + 10
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert threading.active_count() <= before


def test_the_process_of_a_killed_training_ends_and_ctrl_c_is_not_for_it(tmp_path):
    run = TrackedRun(key="k", step="pretrain", address=str(tmp_path), experiment="albert")
    process = subprocess.Popen(
        [sys.executable, "-m", WORKER_MODULE], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with process:
        assert process.stdin
        assert process.stdout
        process.stdin.write(opening_line("tensorboard", run))
        process.stdin.flush()
        assert b"ready" in process.stdout.readline()
        os.kill(process.pid, signal.SIGINT)
        process.stdin.close()
        assert process.wait(30) == 0
