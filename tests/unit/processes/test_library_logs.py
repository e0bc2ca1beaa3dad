"""TensorFlow and XLA log errors alone, in the processes of the program."""

import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from albert_core.processes import library_logs
from albert_core.processes.machine import nvidia_gpu_names

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def levels(monkeypatch):
    """As at the start of a process; levels are put back after the test, as the variable is."""
    before = {logger: logger.level for logger in map(logging.getLogger, library_logs._LOGGERS)}
    for logger in before:
        logger.setLevel(logging.NOTSET)
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
    for name in ("jax", "apache_beam"):
        assert logging.getLogger(name).isEnabledFor(logging.WARNING)


def test_a_level_that_the_environment_sets_stays(levels, monkeypatch):
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "0")
    library_logs.quiet_libraries()
    assert os.environ["TF_CPP_MIN_LOG_LEVEL"] == "0"
    assert all(logger.isEnabledFor(logging.WARNING) for logger in levels)


NOISE = """\
WARNING: All log messages before absl::InitializeLog() is called are written to STDERR
I0000 00:00:1795742117.346907   18370 port.cc:153] oneDNN custom operations are on.
W0000 00:00:1795742117.346907   18370 port.cc:153] a warning
E0000 00:00:1795742117.346907   18370 port.cc:153] an error
"""


def load_noisy_package(
    folder: Path, level: str, *, ending: str = ""
) -> subprocess.CompletedProcess:
    """Load a package of TensorFlow's name that logs while it is loaded, by descriptor."""
    (folder / "tensorflow").mkdir()
    (folder / "tensorflow" / "__init__.py").write_text(
        f"import os, sys\nos.write(2, {NOISE.encode()!r})\n{ending}\n"
        "print('said by Python', file=sys.stderr)\n"
    )
    code = (
        "import sys\nfrom albert_core.processes.library_logs import quiet_libraries\n"
        "from albert_core.processes.stops import answered_stops\n"
        f"sys.path.insert(0, {str(folder)!r})\nquiet_libraries()\n"
        "with answered_stops(ends_process=True):\n    import tensorflow\n"
        "print('loaded from', tensorflow.__spec__.origin, file=sys.stderr)\n"
    )
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": level}
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, cwd=ROOT
    )


@pytest.mark.parametrize(("level", "num_shown"), [("0", 4), ("1", 2), ("2", 1), ("3", 0)])
def test_what_is_logged_while_loading_goes_by_the_level_and_the_rest_stays(
    tmp_path, level, num_shown
):
    result = load_noisy_package(tmp_path, level)
    assert result.returncode == 0, result.stderr
    *logged, said, loaded = result.stderr.splitlines()
    assert logged == (NOISE.splitlines()[-num_shown:] if num_shown else [])
    assert said == "said by Python"
    assert loaded == f"loaded from {tmp_path / 'tensorflow' / '__init__.py'}"


def test_a_crash_and_an_exception_while_loading_are_told(tmp_path):
    crashed = load_noisy_package(tmp_path, "2", ending="os.abort()")
    assert crashed.returncode < 0
    assert "Fatal Python error: Aborted" in crashed.stderr
    (tmp_path / "other").mkdir()
    failed = load_noisy_package(tmp_path / "other", "2", ending="1 / 0")
    assert "ZeroDivisionError" in failed.stderr
    assert "an error" in failed.stderr


def test_a_stop_while_loading_is_told_alone(tmp_path):
    stopped = load_noisy_package(tmp_path, "0", ending="import signal; signal.raise_signal(15)")
    assert (stopped.returncode, stopped.stderr) == (
        143,
        "albert: stopped by SIGTERM; run again to continue\n",
    )


def test_gpus_are_those_that_the_driver_lists(tmp_path: Path):
    assert nvidia_gpu_names(tmp_path / "none") == []
    for number, model in enumerate(("NVIDIA L4", "Tesla T4")):
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number) / "information").write_text(f"Model: \t {model}\nIRQ: 1\n")
    assert nvidia_gpu_names(tmp_path) == ["NVIDIA L4", "Tesla T4"]
