"""What the compiled pipeline promises to any backend."""

import re

import pytest
import yaml
from kfp import compiler

from albert_core.runs.manifest import code_version
from components.export.config import ExportConfig
from components.promote.config import RetrainingConfig
from components.resolve.dates import NO_DATE, SCHEDULED_DATE
from pipeline.albert import build_pipeline
from pipeline.config import RunConfig

RETRAINING = RunConfig(
    export=ExportConfig(formats=("huggingface",)), retraining=RetrainingConfig(accepted="gs://b/a")
)


def compiled(path, config, *, date=NO_DATE):
    compiler.Compiler().compile(build_pipeline(config, date=date), str(path))
    return yaml.safe_load(path.read_text())


@pytest.fixture(scope="module")
def spec(tmp_path_factory):
    return compiled(tmp_path_factory.mktemp("ir") / "albert.yaml", RunConfig())


@pytest.fixture(scope="module")
def scheduled(tmp_path_factory):
    path = tmp_path_factory.mktemp("ir") / "scheduled.yaml"
    return compiled(path, RETRAINING, date=SCHEDULED_DATE["vertex"])


@pytest.fixture
def containers(spec):
    executors = spec["deploymentSpec"]["executors"]
    return {name.removeprefix("exec-"): entry["container"] for name, entry in executors.items()}


def test_nothing_is_installed_at_run_time(containers):
    assert not [name for name, c in containers.items() if "pip install" in str(c["command"])]


def test_every_image_carries_the_hash_of_the_sources(containers):
    for container in containers.values():
        assert container["image"].endswith(f":src-{code_version()}")


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


def test_a_run_whose_date_is_known_has_nothing_to_look_for(tmp_path):
    spec = compiled(tmp_path / "dated.yaml", RETRAINING, date="2026-11-01")
    tasks = spec["root"]["dag"]["tasks"]
    assert "resolve" not in tasks
    assert "promote" in tasks


def test_the_optional_steps_have_images_of_their_own_and_install_nothing(scheduled):
    executors = scheduled["deploymentSpec"]["executors"]
    images = {name: executors[f"exec-{name}"]["container"] for name in ("resolve", "promote")}
    assert all("albert-python-data:" in container["image"] for container in images.values())
    assert "albert-python-trainer:" in executors["exec-export-models"]["container"]["image"]
    assert "pip install" not in str(executors)
