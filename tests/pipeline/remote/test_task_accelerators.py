"""Fine-tuning and evaluation on TPUs and GPUs, compiled for both platforms."""

import json
from pathlib import Path

import pytest
import yaml

from albert_core.estimation.prices import LIST_PRICES
from albert_core.settings import parse_settings
from components import task_command
from components.evaluate.custom_job_component import evaluate_in_custom_job
from components.finetune.custom_job_component import finetune_in_custom_job
from components.finetune.job import parse_job
from components.image import GPU_TRAINER, image_name
from components.tpu_job import TpuJob, with_environment
from pipeline.albert import OptionalSteps, build_pipeline
from pipeline.remote.package import parse_package, read_package
from pipeline.remote.package_text import package_text
from pipeline.remote.plan import planned_tasks
from pipeline.remote.platform_config import RemotePlatformConfig
from pipeline.remote.platforms.registry import PLATFORMS
from pipeline.remote.resources import read_resources

GOLDEN = Path(__file__).parent / "goldens" / "vertex_from_checkpoint.yaml"
JOB = {
    "task": "cola",
    "data": "gs://data/CoLA",
    "data_fingerprint": "f",
    "initialization": "random",
    "finetuning": {"learning_rate": 1e-5, "num_epochs": 1.0},
}
SLICE = {"machine": "ct5lp-hightpu-8t", "topology": "2x4"}
# Components name their image when they are imported, by the registry that is set then.
DATA = finetune_in_custom_job.component_spec.implementation.container.image
assert evaluate_in_custom_job.component_spec.implementation.container.image == DATA
GPUS = {"kubeflow": "nvidia.com/gpu", "vertex": "NVIDIA_L4"}


def compile_with(platform, changes, folder):
    """Compile the run from a checkpoint with some resources changed, and return the package."""
    file = folder / "resources.yaml"
    file.write_text(yaml.safe_dump(changes))
    resources = read_resources(PLATFORMS[platform].rules, str(file))
    pipeline = build_pipeline(
        RemotePlatformConfig(resources, caching=False), OptionalSteps(checkpoint=True, summary=True)
    )
    parameters = {**read_package(str(GOLDEN)).parameters(), "jobs": [JOB, JOB]}
    return parse_package(package_text(pipeline, parameters, target="Vertex AI"), source="this test")


def rows(package):
    """Return name, runs, image, machine and price of fine-tuning, evaluation and their jobs."""
    tasks = [
        (task.name, task.num_runs, task.image, task.machine, task.price_per_hour(LIST_PRICES))
        for task in planned_tasks(package)
    ]
    names = [name for name, *_ in tasks]
    return tasks[names.index("Fine-tuning") : names.index("Report")]


def test_on_tpus_in_a_pod_of_kubeflow_and_in_jobs_of_vertex(tmp_path):
    changes = {"finetune": {"tpu": SLICE}, "evaluate": {"tpu": {"topology": "2x2"}}}
    tpu, chips, few = image_name("tpu"), "8 v5e chips (2x4)", "4 v5e chips (2x2)"
    on_kubeflow = compile_with("kubeflow", changes, tmp_path)
    assert rows(on_kubeflow) == [
        ("Fine-tuning", 2, tpu, f"8 cores, 32 GiB, {chips}", 9.6),
        ("Evaluation", 2, tpu, f"4 cores, 16 GiB, {few}", 4.8),
    ]
    executors = on_kubeflow.platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    for name in ("finetune", "evaluate"):
        (toleration,) = executors[f"exec-{name}"]["tolerations"]
        assert toleration["key"] == "google.com/tpu"
        container = on_kubeflow.spec["deploymentSpec"]["executors"][f"exec-{name}"]["container"]
        assert {"name": "KERAS_BACKEND", "value": "jax"} in container["env"]
    # There the task only waits, in the image without TensorFlow, while the job has the slice.
    waiting = (2, DATA, "2 cores, 8 GiB", None)
    assert rows(compile_with("vertex", changes, tmp_path)) == [
        ("Fine-tuning", *waiting),
        ("  its job on TPUs", 2, tpu, f"1 x ct5lp-hightpu-8t, {chips}", 9.6),
        ("Evaluation", *waiting),
        ("  its job on TPUs", 2, tpu, f"1 x ct5lp-hightpu-4t, {few}", 4.8),
    ]


@pytest.mark.parametrize("platform", GPUS)
def test_on_gpus_in_the_image_with_cuda(platform, tmp_path):
    gpus = {"type": GPUS[platform], "count": 4}
    changes = {"finetune": {"accelerator": gpus}, "evaluate": {"accelerator": gpus}}
    cuda, machine = image_name(GPU_TRAINER), f"4 x {GPUS[platform]}"
    assert rows(compile_with(platform, changes, tmp_path)) == [
        ("Fine-tuning", 2, cuda, f"8 cores, 32 GiB, {machine}", None),
        ("Evaluation", 2, cuda, f"4 cores, 16 GiB, {machine}", None),
    ]


def test_the_job_on_vertex_runs_the_step_with_what_the_run_resolved(tmp_path, monkeypatch):
    spec = compile_with("vertex", {"finetune": {"tpu": SLICE}}, tmp_path).spec
    (loop,) = (c["dag"]["tasks"] for n, c in spec["components"].items() if n.startswith("comp-for"))
    constants = loop["finetune-in-custom-job"]["inputs"]["parameters"]["tpu_job"]
    job = parse_settings(TpuJob, constants["runtimeValue"]["constant"], source="tpu_job")
    assert (job.display_name, job.env) == ("albert-finetune", {"KERAS_BACKEND": "jax"})
    command = task_command.task_command(
        "finetune", job=JOB, model="gs://m", output="gs://o", work_root="gs://w"
    )
    env, backend, *command = with_environment(command, job.env)
    assert (env, backend) == ("env", "KERAS_BACKEND=jax")
    assert command[:4] == ["python", "-m", "components.task_command", "finetune"]
    told = {}
    for step in ("finetune", "evaluate"):
        monkeypatch.setattr(
            f"components.{step}.step.{step}",
            lambda step=step, **values: told.update({step: values}),
        )
        task_command.run_task(step, **json.loads(command[-1]))
    resolved, places = parse_job(JOB), {"data": "gs://data/CoLA", "output": "gs://o"}
    for values in told.values():
        assert callable(values.pop("progress"))
    assert told["finetune"] == {
        "task": resolved.task,
        "pretrained": "gs://m",
        "initialization": "random",
        "config": resolved.finetuning,
        "work_root": "gs://w",
        **places,
    }
    assert told["evaluate"] == {"model": "gs://m", "work_root": "gs://w", **places}


@pytest.mark.parametrize(
    ("settings", "is_told"),
    [
        ({"strategy": "data_parallel"}, False),  # of JAX, which an evaluation need not have
        ({"strategy": "model_parallel", "model_parallel_size": 4}, True),
    ],
)
def test_an_evaluation_is_told_devices_only_for_a_model_that_is_cut(settings, is_told):
    job = parse_job({**JOB, "finetuning": settings})
    assert job.evaluation_devices() == (settings if is_told else {})
