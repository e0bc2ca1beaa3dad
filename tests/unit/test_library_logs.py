"""Libraries log errors alone, in the processes of the program."""

import logging
import os
from pathlib import Path

import pytest

from albert_core import library_logs
from albert_core.machine import nvidia_gpu_names


@pytest.fixture
def levels(monkeypatch):
    """The levels are put back after the test, as the variable is."""
    before = {logger: logger.level for logger in map(logging.getLogger, library_logs._LOGGERS)}
    monkeypatch.delenv("TF_CPP_MIN_LOG_LEVEL")
    yield list(before)
    for logger, level in before.items():
        logger.setLevel(level)


@pytest.mark.parametrize(("gpus", "level"), [([], "3"), (["NVIDIA L4"], "2")])
def test_errors_of_gpus_are_shown_where_there_are_some(levels, monkeypatch, gpus, level):
    monkeypatch.setattr(library_logs, "nvidia_gpu_names", lambda: gpus)
    library_logs.quiet_libraries()
    assert os.environ["TF_CPP_MIN_LOG_LEVEL"] == level
    assert all(logger.isEnabledFor(logging.ERROR) for logger in levels)
    assert not any(logger.isEnabledFor(logging.WARNING) for logger in levels)


def test_a_level_that_the_environment_sets_stays(levels, monkeypatch):
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "0")
    library_logs.quiet_libraries()
    assert os.environ["TF_CPP_MIN_LOG_LEVEL"] == "0"


def test_gpus_are_those_that_the_driver_lists(tmp_path: Path):
    assert nvidia_gpu_names(tmp_path / "none") == []
    for number, model in enumerate(("NVIDIA L4", "Tesla T4")):
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number) / "information").write_text(f"Model: \t {model}\nIRQ: 1\n")
    assert nvidia_gpu_names(tmp_path) == ["NVIDIA L4", "Tesla T4"]
