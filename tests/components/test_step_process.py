"""A step of a local run ends with the run, wherever its process is."""

import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import weakref
from pathlib import Path

import pytest

from albert_core.files.locks import LOCK_NAME
from albert_core.processes.stops import STOP_SIGNALS
from components.runtime import (
    EVENTS_NAME,
    RUN_FOLDER_VARIABLE,
    RUN_ID_VARIABLE,
    RUN_WORKERS_VARIABLE,
    clear_frames,
)

ROOT = Path(__file__).resolve().parents[2]
STEP = """
import time
from components.runtime import step_process
with step_process("sleep", output="made", work_root="work"):
    time.sleep(60)
"""
RUN = {RUN_ID_VARIABLE: "this run", RUN_WORKERS_VARIABLE: "1"}


@pytest.fixture
def lock(tmp_path):
    with (tmp_path / LOCK_NAME).open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.write("this run")
        lock.flush()
        yield lock


@pytest.fixture
def step(tmp_path, lock):
    environment = {**os.environ, **RUN, RUN_FOLDER_VARIABLE: str(tmp_path)}
    with subprocess.Popen([sys.executable, "-c", STEP], env=environment) as process:
        wait_for_file(tmp_path / EVENTS_NAME)
        time.sleep(1.5)
        assert process.poll() is None, "it ended although the run is at work"
        yield process
        process.kill()


def wait_for_file(path: Path) -> None:
    deadline = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_it_ends_when_the_run_is_killed(step, lock):
    lock.close()
    assert step.wait(timeout=20) == 1


def test_it_ends_when_the_run_gives_up_and_waits_for_it(step, lock):
    lock.truncate(0)
    assert step.wait(timeout=20) == 1


def test_it_ends_when_another_run_has_the_folder(step, lock):
    lock.truncate(0)
    lock.write("a later run")
    lock.flush()
    assert step.wait(timeout=20) == 1


@pytest.mark.parametrize("number", STOP_SIGNALS)
def test_a_step_of_no_local_run_is_stopped_in_seconds_and_recorded(number, tmp_path):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    step = subprocess.Popen(
        [sys.executable, "-c", STEP],
        env=environment,
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
    )
    wait_for_file(tmp_path / "work/outcomes/made")
    time.sleep(0.2)
    step.send_signal(number)
    _, messages = step.communicate(timeout=10)
    happened = "interrupted" if number == signal.SIGINT else "stopped by SIGTERM"
    assert (step.returncode, messages) == (
        128 + number,
        f"albert: {happened}; run again to continue\n",
    )
    (attempt,) = (tmp_path / "work/outcomes/made").iterdir()
    values = json.loads(attempt.read_text())
    assert values["state"] == "failed"
    assert values["message"] == f"{happened}; run again to continue"


def test_an_error_lets_go_of_what_its_functions_held():
    class Held:
        pass

    held = []

    def inner():
        mine = Held()
        held.append(weakref.ref(mine))
        raise ValueError("inner")

    def outer():
        also_mine = Held()
        held.append(weakref.ref(also_mine))
        try:
            inner()
        except ValueError as error:
            raise RuntimeError("outer") from error

    with pytest.raises(RuntimeError) as caught:
        outer()
    assert all(reference() is not None for reference in held)
    clear_frames(caught.value)
    assert all(reference() is None for reference in held)


def test_it_ends_when_the_folder_of_the_run_is_deleted(step, lock, tmp_path):
    shutil.rmtree(tmp_path)
    assert step.wait(timeout=20) == 1
