"""What the compiled pipeline promises to any backend."""

import re

import pytest
import yaml
from kfp import compiler

from components.image import image_tag
from pipeline.albert import albert_pipeline


@pytest.fixture(scope="module")
def spec(tmp_path_factory):
    path = tmp_path_factory.mktemp("ir") / "albert.yaml"
    compiler.Compiler().compile(albert_pipeline, str(path))
    return yaml.safe_load(path.read_text())


@pytest.fixture
def containers(spec):
    executors = spec["deploymentSpec"]["executors"]
    return {name.removeprefix("exec-"): entry["container"] for name, entry in executors.items()}


def test_nothing_is_installed_at_run_time(containers):
    assert not [name for name, c in containers.items() if "pip install" in str(c["command"])]


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
