"""The table of steps: whoever goes through the steps of the pipeline knows every one of them."""

import dataclasses
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from kfp import compiler

from components.run_summary.step import planned_steps
from components.steps import STEPS
from pipeline.albert import OptionalSteps, build_pipeline
from pipeline.remote.platform_config import RemotePlatformConfig
from pipeline.remote.platforms.registry import PLATFORMS
from pipeline.remote.resources import default_resources, read_resources

ROOT = Path(__file__).resolve().parents[2]
OPTIONAL = [step.name for step in STEPS.values() if step.is_optional]


def compile_all_steps(platform_name, folder: Path, *, checkpoint: bool) -> dict[str, Any]:
    """Compile the pipeline with all optional steps of a run from a checkpoint, or from text."""
    resources = default_resources(PLATFORMS[platform_name].rules)
    platform = RemotePlatformConfig(resources, caching=True)
    steps = OptionalSteps(**{**dict.fromkeys(OPTIONAL, True), "checkpoint": checkpoint})
    compiler.Compiler().compile(build_pipeline(platform, steps), str(folder / "albert.yaml"))
    return next(iter(yaml.safe_load_all((folder / "albert.yaml").read_text())))


@pytest.fixture(scope="module", params=PLATFORMS)
def spec(request, tmp_path_factory) -> dict[str, Any]:
    """The pipeline from text with all optional steps, compiled for each platform."""
    return compile_all_steps(request.param, tmp_path_factory.mktemp("ir"), checkpoint=False)


def container_tasks(dag: dict[str, Any], spec: dict[str, Any], loop: str = "") -> dict[str, Any]:
    """Return image, parameter looped over and caching of all tasks below a DAG, by their titles."""
    executors = spec["deploymentSpec"]["executors"]
    tasks = {}
    for task in dag["tasks"].values():
        component = spec["components"][task["componentRef"]["name"]]
        if "dag" in component:
            items = task.get("parameterIterator", {}).get("items", {}).get("inputParameter", loop)
            tasks |= container_tasks(component["dag"], spec, items.rpartition("-")[2])
        else:
            image = executors[component["executorLabel"]]["container"]["image"]
            role = re.search(r"albert-python-(\w+):", image)[1]
            tasks[task["taskInfo"]["name"]] = (role, loop, bool(task["cachingOptions"]))
    return tasks


@pytest.mark.parametrize("step", STEPS.values(), ids=STEPS)
def test_every_step_has_a_component_and_a_page_about_it(step):
    folder = ROOT / "components" / (step.folder or step.name)
    assert f'@component("{step.name}")' in (folder / "component.py").read_text()
    assert (folder / "README.md").is_file()


def test_the_dag_has_every_step_with_the_image_the_repetition_and_the_cache_of_the_table(spec):
    tasks = container_tasks(spec["root"]["dag"], spec)
    expected = {
        step.title: (step.image, step.repeats_for, step.is_cacheable)
        for step in STEPS.values()
        if step.name != "checkpoint"
    }
    is_job = "comp-pretrain-in-custom-job" in spec["components"]
    pretraining = STEPS["pretrain"]
    # By default it is on TPUs: in their image, or in a job that a task without training waits for.
    expected[pretraining.title] = ("data" if is_job else "tpu", "", True)
    assert tasks == expected


@pytest.mark.parametrize("platform", PLATFORMS)
def test_the_dag_from_a_checkpoint_has_every_step_that_needs_no_text(platform, tmp_path):
    spec = compile_all_steps(platform, tmp_path, checkpoint=True)
    assert container_tasks(spec["root"]["dag"], spec) == {
        step.title: (step.image, step.repeats_for, step.is_cacheable)
        for step in STEPS.values()
        if not step.needs_text
    }


def test_the_dag_takes_the_optional_steps_of_the_table():
    assert [field.name for field in dataclasses.fields(OptionalSteps)] == OPTIONAL


@pytest.mark.parametrize("name", PLATFORMS)
@pytest.mark.parametrize("step", STEPS)
def test_every_step_has_resources_on_every_platform_and_a_section_in_a_file(step, name, tmp_path):
    rules = PLATFORMS[name].rules
    assert default_resources(rules).steps[step].display_name == STEPS[step].title
    path = tmp_path / "resources.yaml"
    path.write_text(yaml.safe_dump({step: {"retries": 7}}))
    changed = {key: value.retries for key, value in read_resources(rules, str(path)).steps.items()}
    defaults = {key: value.retries for key, value in default_resources(rules).steps.items()}
    assert changed == defaults | {step: 7}


def test_the_summary_tells_of_every_step_but_itself():
    once = [
        step for step in STEPS.values() if step.repeats_for != "jobs" and step.name != "summary"
    ]
    from_text = [name for name in OPTIONAL if name != "checkpoint"]
    assert planned_steps(["records"], [], from_text) == [
        step.name for step in once if step.name != "checkpoint"
    ]
    assert planned_steps([], [], OPTIONAL) == [step.name for step in once if not step.needs_text]
