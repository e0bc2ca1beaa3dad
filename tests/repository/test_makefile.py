"""`make setup` takes the Python that is asked for, or says in one line why it does not."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HERE = f"{sys.version_info.major}.{sys.version_info.minor}"
OTHER = "3.12" if HERE != "3.12" else "3.13"


@pytest.fixture
def checkout(tmp_path):
    """A checkout with a finished environment of this Python, and a `uv` that does nothing."""
    shutil.copy(ROOT / "Makefile", tmp_path)
    # The order of their times: what an environment is made from is older.
    for name in ("requirements/run.lock", "requirements/dev.lock", "pyproject.toml", ".uv/bin/uv"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("#!/bin/sh\n")
        path.chmod(0o755)
    (tmp_path / ".venv" / "lib" / f"python{HERE}").mkdir(parents=True)
    (tmp_path / ".venv" / ".ready").touch()
    return tmp_path


def make(folder: Path, *words: str) -> subprocess.CompletedProcess:
    uv = f"UV={folder}/.uv/bin/uv"
    return subprocess.run(["make", "-C", folder, uv, *words], capture_output=True, text=True)


@pytest.mark.parametrize("words", [(), (f"PYTHON={sys.executable}",)])
def test_a_finished_environment_is_left_alone(checkout, words):
    assert make(checkout, "setup", *words).returncode == 0


@pytest.mark.parametrize(
    ("python", "message"),
    [
        ("/usr/bin/env", "is not of /usr/bin/env, which is missing or another version; make clean"),
        ("no-such-python", "is not of no-such-python"),
    ],
)
def test_an_environment_of_another_python_is_not_taken_for_the_one_asked_for(
    checkout, python, message
):
    result = make(checkout, "setup", f"PYTHON={python}")
    assert result.returncode == 2
    assert message in result.stderr


@pytest.mark.parametrize(
    ("python", "message"),
    [
        ("", "make: no Python 3.11, 3.12 or 3.13 found; install one, or name it"),
        ("no-such-python", "make: no-such-python is no Python 3.11, 3.12 or 3.13; name another"),
    ],
)
def test_a_python_that_is_not_there_or_not_supported_is_told(checkout, python, message):
    (checkout / ".venv" / ".ready").unlink()
    result = make(checkout, "setup", f"PYTHON={python}")
    assert result.returncode == 2
    assert message in result.stderr


def test_a_version_stands_for_its_interpreter_and_all_have_the_locks_they_need(checkout):
    (checkout / ".venv" / ".ready").unlink()
    for target, lock in (("setup", "run"), ("setup-all", "dev")):
        commands = make(checkout, "--dry-run", target, f"PYTHON={OTHER}").stdout
        assert f"venv --quiet --allow-existing --python python{OTHER} .venv" in commands
        assert f"--require-hashes -r requirements/{lock}.lock" in commands
