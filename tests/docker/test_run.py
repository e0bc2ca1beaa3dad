"""`albert run --runner docker`: the pipeline in its images, as outside of them."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from components.image import image_name
from pipeline.local.containers import RUN_LABEL
from tests.helpers.tiny_run import write_tiny_run

pytestmark = pytest.mark.slow

ALBERT = [str(Path(sys.executable).with_name("albert")), "run"]


def albert_run(config: Path, output: Path, *more: str) -> None:
    command = [*ALBERT, "--config", str(config), "--output", str(output), *more]
    result = subprocess.run(command, capture_output=True, text=True, timeout=900)
    assert result.returncode == 0, result.stderr


def containers_of(engine, output: Path) -> list:
    return engine.containers.list(filters={"label": f"{RUN_LABEL}={output}"})


@pytest.fixture(scope="module")
def config(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("tiny")
    folder.chmod(0o755)  # of its own, pytest keeps other users out
    folder.parent.chmod(0o755)
    return write_tiny_run(folder)


@pytest.fixture(scope="module")
def in_process(config) -> Path:
    output = config.parent / "in-process"
    albert_run(config, output)
    return output


@pytest.fixture(scope="module")
def seen() -> list[dict]:
    """What the engine said about each container of the run."""
    return []


@pytest.fixture(scope="module")
def in_containers(engine, config, seen) -> Path:
    output = config.parent / "in-containers"
    command = [*ALBERT, "--config", str(config), "--output", str(output), "--runner", "docker"]
    with (config.parent / "run.log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
        while process.poll() is None:
            known = {container["Id"] for container in seen}
            seen += [c.attrs for c in containers_of(engine, output) if c.id not in known]
            time.sleep(0.2)
    assert process.returncode == 0, (config.parent / "run.log").read_text()
    return output


def pretrained(run: Path) -> str:
    (weights,) = run.glob("artifacts/albert-*/pretrain/pretrained/model.safetensors")
    return hashlib.sha256(weights.read_bytes()).hexdigest()


def summary(run: Path) -> dict:
    (path,) = run.glob("artifacts/albert-*/report/summary/summary.json")
    return json.loads(path.read_text())


def test_scores_and_weights_are_the_same(in_process, in_containers):
    assert pretrained(in_containers) == pretrained(in_process)
    scores = [task["metrics"] for task in summary(in_process)["tasks"]]
    assert scores
    assert [task["metrics"] for task in summary(in_containers)["tasks"]] == scores


def test_every_step_ran_in_a_container_of_its_image(in_containers, seen):
    images = [container["Config"]["Image"] for container in seen]
    assert sorted(images) == sorted([image_name("data")] * 2 + [image_name("trainer")] * 4)


def test_containers_have_no_network_no_privileges_and_are_not_root(in_containers, seen):
    for container in seen:
        assert container["HostConfig"]["NetworkMode"] == "none"
        assert container["HostConfig"]["CapDrop"] == ["ALL"]
        assert container["HostConfig"]["SecurityOpt"] == ["no-new-privileges"]
        assert not container["Config"]["User"].startswith(("0:", "root"))
    assert in_containers.joinpath("index.html").stat().st_uid == os.getuid()


def test_only_the_runs_folder_is_writable(in_containers, config, seen):
    for container in seen:
        writable = {mount["Source"] for mount in container["Mounts"] if mount["RW"]}
        assert all(Path(path).is_relative_to(in_containers) for path in writable)
        read = {mount["Source"] for mount in container["Mounts"] if not mount["RW"]}
        assert str(config.parent / "corpus") in read


def test_steps_leave_logs_and_events(in_containers):
    assert (in_containers / "logs" / "pretrain.log").stat().st_size
    events = (in_containers / "events.jsonl").read_text().splitlines()
    finished = [event["step"] for event in map(json.loads, events) if event["event"] == "finished"]
    assert finished[0] == "vocab"
    assert finished[-1] == "report"


def test_a_second_run_is_cached_and_one_without_containers_goes_on_there(
    engine, in_containers, config
):
    for runner in ("docker", "process"):
        albert_run(config, in_containers, "--runner", runner)
        assert not (in_containers / "events.jsonl").read_text()


@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGINT])
def test_no_container_outlives_a_stopped_run_which_goes_on_later(
    engine, in_containers, config, sent
):
    output = config.parent / f"stopped-{sent.name}"
    command = [*ALBERT, "--config", str(config), "--output", str(output), "--runner", "docker"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_until(lambda: list(output.glob("work/pretrain-*/progress/**/checkpoint-*")), 300)
    process.send_signal(sent)
    process.wait(timeout=30)
    wait_until(lambda: not containers_of(engine, output), 15)
    albert_run(config, output, "--runner", "docker")
    assert pretrained(output) == pretrained(in_containers)


def wait_until(condition: Callable[[], object], patience_s: float) -> None:
    deadline = time.monotonic() + patience_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)
