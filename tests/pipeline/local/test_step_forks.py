"""Steps of a local run as forks of one process: what they share, and what is each one's own."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from kfp import dsl, local

from components.image import component
from pipeline.local.step_forks import forked_steps
from pipeline.local.step_server import EXECUTOR, IMPORTS

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="there are forks on Linux alone")


@component("vocab")
def train_vocab(code: str, output: str) -> None:
    """Run code, then tell of this process; by its name the server takes it for the vocabulary."""
    import json
    import os
    import pathlib

    exec(code)
    parent = pathlib.Path(f"/proc/{os.getppid()}/cmdline").read_text().split("\0")
    values = {
        "pid": os.getpid(),
        "parent": os.getppid(),
        "is_fork": "pipeline.local.step_server" in parent,
        "folder": os.getcwd(),
        "variable": os.environ.get("STEP_VARIABLE"),
        "threads": len(os.listdir("/proc/self/task")),
    }
    pathlib.Path(output).write_text(json.dumps(values))


@component("vocab")
def unknown(code: str, output: str) -> None:
    """Tell the name of the parent of this process; the server does not know the step."""
    import os
    import pathlib

    exec(code)
    pathlib.Path(output).write_text(pathlib.Path(f"/proc/{os.getppid()}/cmdline").read_text())


@dsl.pipeline
def one_step(code: str, output: str) -> None:
    train_vocab(code=code, output=output).set_caching_options(False)


@dsl.pipeline
def unknown_step(code: str, output: str) -> None:
    unknown(code=code, output=output).set_caching_options(False)


RunStep = Callable[..., dict[str, Any]]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "kfp.log"


@pytest.fixture
def run_step(tmp_path: Path, log: Path) -> Iterator[RunStep]:
    """Run a step that runs code, in a run of its own; return what it tells of its process."""
    local.init(
        runner=local.SubprocessRunner(use_venv=False),
        pipeline_root=str(tmp_path / "artifacts"),
        workspace_root=str(tmp_path / "kfp"),
    )
    output = tmp_path / "told.json"

    def run(code: str = "pass") -> dict[str, Any]:
        output.unlink(missing_ok=True)
        one_step(code=code, output=str(output))
        return json.loads(output.read_text())

    with log.open("a") as file, forked_steps(one_step, file):
        yield run


def test_steps_are_forks_of_one_process_and_each_is_a_process(run_step: RunStep) -> None:
    first, second = run_step(), run_step()
    assert first["is_fork"]
    assert first["parent"] == second["parent"]
    assert first["pid"] != second["pid"]


def test_what_a_step_changes_of_its_process_is_its_own(run_step: RunStep) -> None:
    changed = run_step("os.environ['STEP_VARIABLE'] = 'set'; os.chdir('/')")
    after = run_step()
    assert (changed["variable"], changed["folder"]) == ("set", "/")
    assert (after["variable"], after["folder"]) == (None, os.getcwd())


@pytest.mark.parametrize(
    "crash",
    ["os.abort()", "os._exit(3)", "raise ValueError('a bug')", "os.kill(os.getpid(), 9)"],
)
def test_a_step_that_crashes_fails_and_the_next_one_runs(crash: str, run_step: RunStep) -> None:
    before = run_step()
    with pytest.raises(RuntimeError, match="FAILURE"):
        run_step(crash)
    after = run_step()
    assert after["is_fork"]
    assert after["parent"] == before["parent"]
    assert children_of(after["parent"]) == [], "something of a step is left"


def test_a_step_that_leaves_a_thread_or_child_at_work_holds_up_no_other(run_step: RunStep) -> None:
    started = time.monotonic()
    run_step("import subprocess; subprocess.Popen(['sleep', '2'], stdout=-3, stderr=-3)")
    assert run_step()["is_fork"]
    assert time.monotonic() - started < 30


def test_a_step_whose_environment_differs_is_a_new_interpreter(
    run_step: RunStep, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run_step()["is_fork"]
    monkeypatch.setenv("STEP_VARIABLE", "another backend")
    other = run_step()
    assert (other["is_fork"], other["variable"]) == (False, "another backend")
    monkeypatch.delenv("STEP_VARIABLE")
    assert run_step()["is_fork"]


def test_without_the_server_a_step_is_a_new_interpreter(run_step: RunStep) -> None:
    server = run_step()["parent"]
    os.kill(server, signal.SIGKILL)
    while Path(f"/proc/{server}/stat").read_text().rpartition(")")[2].split()[0] != "Z":
        time.sleep(0.01)
    assert not run_step()["is_fork"]


def test_a_step_whose_server_is_killed_fails(run_step: RunStep) -> None:
    with pytest.raises(RuntimeError, match="FAILURE"):
        run_step("os.kill(os.getppid(), 9); import time; time.sleep(1)")


def test_a_step_that_the_server_does_not_know_is_a_new_interpreter(
    run_step: RunStep, tmp_path: Path
) -> None:
    assert run_step()["is_fork"]
    unknown_step(code="pass", output=str(tmp_path / "parent"))
    assert "step_server" not in (tmp_path / "parent").read_text()


def test_what_a_step_prints_is_told(run_step: RunStep, capfd: pytest.CaptureFixture) -> None:
    run_step("print('from Python'); os.system('echo from a child')")
    printed = capfd.readouterr().out
    assert "from Python" in printed
    assert "from a child" in printed


def test_a_step_ends_as_python_does_but_takes_nothing_down(
    run_step: RunStep, tmp_path: Path, capfd: pytest.CaptureFixture
) -> None:
    taken_down = tmp_path / "taken down"
    code = f"""
import atexit, sys, tempfile
atexit.register(print, "at the end")
sys.temporary = tempfile.TemporaryDirectory(dir={str(tmp_path)!r}, prefix="temporary")
path = pathlib.Path({str(taken_down)!r})
sys.modules["library"] = type("Library", (), {{"__del__": lambda self, path=path: path.touch()}})()
"""
    run_step(code)
    assert "at the end" in capfd.readouterr().out
    assert not list(tmp_path.glob("temporary*"))
    assert not taken_down.exists()


def test_the_server_ends_with_the_run_and_at_once_if_that_is_killed(tmp_path: Path) -> None:
    code = f"""
import sys, time
sys.path.insert(0, {str(Path(__file__).parents[3])!r})
from tests.pipeline.local.test_step_forks import one_step
from kfp import local
from components.image import component
from pipeline.local.step_forks import forked_steps
local.init(runner=local.SubprocessRunner(use_venv=False), pipeline_root={str(tmp_path)!r})
with forked_steps(one_step, sys.stderr):
    one_step(code="pass", output={str(tmp_path / "told")!r})
    time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL) as run:
        while not (tmp_path / "told").exists():
            assert run.poll() is None
            time.sleep(0.1)
        server = json.loads((tmp_path / "told").read_text())["parent"]
        assert Path(f"/proc/{server}").exists()
        run.kill()
    deadline = time.monotonic() + 5
    while Path(f"/proc/{server}").exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.parametrize("backend", ["tensorflow", "jax"])
def test_no_device_is_looked_for_and_no_thread_of_python_left_before_a_fork(backend: str) -> None:
    modules = [EXECUTOR, *(module for names in IMPORTS.values() for module in names)]
    code = f"""
import importlib, threading
from albert_core.processes.unused_imports import skip_unused_imports
skip_unused_imports()
for name in {modules}:
    importlib.import_module(name)
import tensorflow, jax._src.xla_bridge
tensorflow.config.threading.set_intra_op_parallelism_threads(1)  # refused once there are devices
assert not jax._src.xla_bridge.backends_are_initialized()
assert threading.active_count() == 1, threading.enumerate()
"""
    environment = {**os.environ, "KERAS_BACKEND": backend, "_KFP_RUNTIME": "true"}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)


def children_of(pid: int) -> list[int]:
    """Ids of the children of a process, zombies among them."""
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(child) for child in found]
