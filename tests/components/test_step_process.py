"""A step of a local run ends with the run, wherever its process is."""

import fcntl
import os
import shutil
import subprocess
import sys
import time
import weakref
from pathlib import Path

import pytest

from albert_core.locks import LOCK_NAME
from components.runtime import (
    EVENTS_NAME,
    RUN_FOLDER_VARIABLE,
    RUN_ID_VARIABLE,
    RUN_WORKERS_VARIABLE,
    clear_frames,
)

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
