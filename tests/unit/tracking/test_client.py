"""A tracker that is down, slow, hangs or dies neither stops nor slows a training."""

import io
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from albert_core.processes.stops import GRACE_S
from albert_core.tracking import client, worker
from albert_core.tracking.client import TrackingClient
from albert_core.tracking.messages import WORKER_MODULE, opening_line, row_line
from albert_core.tracking.run import Row, TrackedRun

BLINK_S = 20.0  # no waiting for 60 s, on a machine that does much else
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
    assert time.monotonic() - begin_s < BLINK_S
    tracker.close("finished")
    assert f"MLflow: 1,000 of 1,000 rows of values did not reach it ({reason}" in said[-1]
    assert tracker._process.poll() is not None, "the process is left"
    assert len(said) <= 2


def test_a_full_queue_loses_rows_and_does_not_wait(start, monkeypatch):
    monkeypatch.setattr(client, "QUEUE_LENGTH", 10)
    tracker, said = start("hang")
    row = Row(step=1, time_s=0.0, values={100_000 * "n": 1.0})  # more than a pipe holds
    begin_s = time.monotonic()
    for _ in range(20):
        tracker.log(row)
    assert time.monotonic() - begin_s < BLINK_S
    tracker.close("finished")
    assert "20 of 20 rows" in said[-1]


def test_a_tracker_that_is_slow_but_answers_is_waited_for(start):
    tracker, said = start("slow")
    for _ in range(60):
        tracker.log(ROW)
    tracker.log_scores({"accuracy": 1.0})
    tracker.close("finished")
    assert said == []


@pytest.mark.parametrize(
    ("behaviour", "silence_s", "reason"),
    [("fail", 600.0, "403, permission denied"), ("hang", 0.0, "no answer for 0 s")],
)
def test_trouble_and_silence_are_said_once_while_the_step_is_at_work(
    behaviour, silence_s, reason, start, monkeypatch
):
    monkeypatch.setattr(client, "SILENCE_S", silence_s)
    tracker, said = start(behaviour)
    deadline = time.monotonic() + 60
    while not said and time.monotonic() < deadline:
        tracker.log(ROW)
        time.sleep(0.01)
    tracker.log(ROW)
    assert said == [f"tracking: MLflow: {reason}; the step goes on without it"]
    tracker.close("interrupted")


def test_a_tracker_that_was_told_nothing_is_not_taken_for_silent(start, monkeypatch):
    monkeypatch.setattr(client, "SILENCE_S", 30.0)
    tracker, said = start("slow")
    tracker._last_sign_s -= 600  # as of a step that computes for long before its first row
    for _ in range(3):
        tracker.log(ROW)
    tracker.close("finished")
    assert said == []


def test_a_step_that_is_stopped_waits_less_than_its_grace(start, monkeypatch):
    monkeypatch.setattr(client, "FLUSH_S", 600.0)
    monkeypatch.setattr(client, "LONGEST_FLUSH_S", 600.0)
    monkeypatch.setattr(client, "START_S", 600.0)
    assert client.STOPPED_FLUSH_S < GRACE_S
    tracker, said = start("hang")
    tracker.log(ROW)
    begin_s = time.monotonic()
    tracker.close("interrupted")
    assert time.monotonic() - begin_s < BLINK_S
    assert "1 of 1 rows" in said[-1]


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


def test_the_process_of_a_training_that_is_killed_as_it_writes_ends(tmp_path, monkeypatch):
    monkeypatch.setattr(worker, "_AFTER_TRAINING_S", 0.0)
    ends: list[int] = []
    monkeypatch.setattr(worker.os, "_exit", ends.append)
    inbox = worker._Inbox(io.BytesIO(row_line(ROW) + row_line(ROW)[:20]))
    assert [message["step"] for message in inbox.take()] == [1]
    assert inbox.take() == []
    deadline = time.monotonic() + 60
    while not ends and time.monotonic() < deadline:
        time.sleep(0.01)
    assert ends == [1]


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
