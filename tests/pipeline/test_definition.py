"""What the compiled pipeline promises to any backend."""

import re

import pytest
import yaml
from kfp import compiler

from components.image import image_tag
from pipeline.albert import OptionalSteps, albert_pipeline, build_pipeline
from pipeline.platform_config import PlatformConfig


def compiled(path, pipeline):
    compiler.Compiler().compile(pipeline, str(path))
    return yaml.safe_load(path.read_text())


@pytest.fixture(scope="module")
def spec(tmp_path_factory):
    return compiled(tmp_path_factory.mktemp("ir") / "albert.yaml", albert_pipeline)


@pytest.fixture(scope="module")
def scheduled(tmp_path_factory):
    optional_steps = OptionalSteps(resolve=True, export=True, promote=True)
    path = tmp_path_factory.mktemp("ir") / "scheduled.yaml"
    return compiled(path, build_pipeline(PlatformConfig(), optional_steps))


@pytest.fixture
def containers(spec):
    executors = spec["deploymentSpec"]["executors"]
    return {name.removeprefix("exec-"): entry["container"] for name, entry in executors.items()}


def test_nothing_is_installed_at_run_time(containers):
    assert not [name for name, c in containers.items() if "pip install" in str(c["command"])]


def test_it_holds_nothing_of_the_environment_it_was_compiled_in(tmp_path, monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s3cr3t")
    monkeypatch.setenv("GOOGLE_API_KEY", "s3cr3t")
    compiler.Compiler().compile(albert_pipeline, str(tmp_path / "albert.yaml"))
    assert "s3cr3t" not in (tmp_path / "albert.yaml").read_text()


def test_every_image_carries_the_hash_of_the_sources_and_recipes(containers):
    for container in containers.values():
        assert container["image"].endswith(f":{image_tag()}")


def test_data_steps_run_without_tensorflow_and_training_steps_without_beam(containers):
    roles = {
        name: re.search(r"albert-python-(\w+):", container["image"])[1]
        for name, container in containers.items()
    }
    assert roles == {
        "train-vocab": "data",
        "make-records": "data",
        "pretrain": "trainer",
        "finetune": "trainer",
        "evaluate": "trainer",
        "report": "trainer",
    }


def test_no_parameter_is_optional(spec):
    parameters = spec["root"]["inputDefinitions"]["parameters"]
    assert not [name for name, entry in parameters.items() if entry.get("isOptional")]


def test_tasks_fan_out_and_come_together_in_the_report(spec):
    tasks = spec["root"]["dag"]["tasks"]
    loops = {name for name, task in tasks.items() if "parameterIterator" in task}
    assert len(loops) == 2
    assert loops <= set(tasks["report"]["dependentTasks"])
    (records,) = loops & set(tasks["pretrain"]["dependentTasks"])
    assert tasks[records]["parameterIterator"]["items"]["inputParameter"].endswith("records")


def test_a_scheduled_run_looks_for_text_and_model_first_and_accepts_the_model_last(scheduled):
    tasks = scheduled["root"]["dag"]["tasks"]
    assert "enableCache" not in tasks["resolve"]["cachingOptions"]
    assert "dependentTasks" not in tasks["resolve"]
    for name in ("train-vocab", "pretrain", "promote", "report"):
        assert "resolve" in tasks[name]["dependentTasks"]
    (scoring,) = (name for name in tasks if "jobs" in str(tasks[name].get("parameterIterator")))
    assert {scoring, "export-models"} <= set(tasks["promote"]["dependentTasks"])
    assert {"promote", "export-models"} <= set(tasks["report"]["dependentTasks"])


def test_the_optional_steps_have_images_of_their_own_and_install_nothing(scheduled):
    executors = scheduled["deploymentSpec"]["executors"]
    images = {name: executors[f"exec-{name}"]["container"] for name in ("resolve", "promote")}
    assert all("albert-python-data:" in container["image"] for container in images.values())
    assert "albert-python-trainer:" in executors["exec-export-models"]["container"]["image"]
    assert "pip install" not in str(executors)
