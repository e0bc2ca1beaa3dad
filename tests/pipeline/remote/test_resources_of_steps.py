"""What the table of resources makes of the steps: pods, spot machines, images, environment."""

import dataclasses
from typing import Any

import yaml

from albert_core.object_storage.settings import StorageConfig
from components.image import GPU_TRAINER, image_name
from pipeline.remote.platform_config import RemotePlatformConfig
from pipeline.remote.platforms.registry import PLATFORMS
from pipeline.remote.platforms.vertex.rules import _tpu_job
from pipeline.remote.resources import default_resources
from tests.helpers.resource_tables import resources_in

POD = {
    "tolerations": [
        {"key": "team", "operator": "Equal", "value": "language", "effect": "NoSchedule"},
        {"key": "spot", "effect": "NoExecute", "seconds": 60},
    ],
    "pod_labels": {"team": "language"},
    "pod_annotations": {"sidecar.istio.io/inject": "false", "note": "any text, even {}"},
    "image_pull_secrets": ["registry-login"],
    "env_from_secrets": {"HF_TOKEN": {"secret": "hugging-face", "key": "token"}},
    "volume_claims": [{"claim": "data", "path": "/data", "sub_path": "glue"}],
}


def test_what_a_pod_asks_of_kubernetes_is_in_the_compiled_pipeline(tmp_path):
    """By kfp's own extension for Kubernetes, on a pipeline of one step."""
    from kfp import compiler, dsl

    @dsl.container_component
    def step():
        return dsl.ContainerSpec(image="image", command=["true"])

    resources = resources_in(
        tmp_path, "kubeflow", {"all_steps": POD, "report": {"pod_labels": {"step": "report"}}}
    ).steps["report"]

    @dsl.pipeline(name="one")
    def one():
        PLATFORMS["kubeflow"].rules.configure(step(), resources)

    compiler.Compiler().compile(one, str(tmp_path / "one.yaml"))
    _, platform = yaml.safe_load_all((tmp_path / "one.yaml").read_text())
    executors = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    pod = executors["exec-step"]
    assert pod["podMetadata"] == {
        "labels": {"team": "language", "step": "report"},
        "annotations": POD["pod_annotations"],
    }
    assert pod["tolerations"] == [
        {"key": "team", "operator": "Equal", "value": "language", "effect": "NoSchedule"},
        {"key": "spot", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": "60"},
    ]
    assert [secret["secretName"] for secret in pod["imagePullSecret"]] == ["registry-login"]
    (secret,) = pod["secretAsEnv"]
    assert secret["secretName"] == "hugging-face"
    assert secret["keyToEnv"] == [{"secretKey": "token", "envVar": "HF_TOKEN"}]
    (volume,) = pod["pvcMount"]
    assert (volume["constant"], volume["mountPath"], volume["subPath"]) == ("data", "/data", "glue")


def test_spot_nodes_are_asked_for_by_their_label_and_tolerated(tmp_path):
    from kfp import compiler, dsl

    @dsl.container_component
    def step():
        return dsl.ContainerSpec(image="image", command=["true"])

    resources = resources_in(tmp_path, "kubeflow", {"finetune": {"spot": True}}).steps["finetune"]

    @dsl.pipeline(name="one")
    def one():
        PLATFORMS["kubeflow"].rules.configure(step(), resources)

    compiler.Compiler().compile(one, str(tmp_path / "one.yaml"))
    _, platform = yaml.safe_load_all((tmp_path / "one.yaml").read_text())
    pod = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]["exec-step"]
    spot = "cloud.google.com/gke-spot"
    assert pod["nodeSelector"]["labels"] == {spot: "true"}
    assert pod["tolerations"] == [
        {"key": spot, "operator": "Equal", "value": "true", "effect": "NoSchedule"}
    ]


def test_the_job_on_tpus_is_a_spot_one_only_where_that_is_set(tmp_path, monkeypatch):
    monkeypatch.setenv("ALBERT_REGISTRY", "registry.example.org")
    jobs = []
    for spot in (True, False):
        resources = resources_in(tmp_path, "vertex", {"pretrain": {"spot": spot}})
        pretrain, custom_job = resources.pretrain, resources.custom_job
        jobs.append(_tpu_job("pretrain", pretrain, pretrain.tpu, custom_job))
    spot_job, job = jobs
    assert spot_job == {**job, "is_spot": True}
    assert "is_spot" not in job


def test_steps_get_the_settings_of_buckets_as_environment():
    table = default_resources(PLATFORMS["vertex"].rules)
    config = StorageConfig(user_project="my-project-1", endpoint="http://minio:9000")
    assert table.with_environment({}) == table
    for step in table.with_environment(config.environment).steps.values():
        assert step.environment["ALBERT_STORAGE_USER_PROJECT"] == "my-project-1"
        assert step.environment["AWS_ENDPOINT_URL_S3"] == "http://minio:9000"
    rules, pretrain, task = PLATFORMS["vertex"].rules, table.steps["pretrain"], RecordedTask()
    assert pretrain.tpu  # a custom job has its own environment; the task looks at its outputs
    rules.configure(task, dataclasses.replace(pretrain, env=config.environment))
    assert task.told["set_env_variable"] == ("AWS_ENDPOINT_URL_S3", "http://minio:9000")


class RecordedTask:
    """A task that only notes what it is told."""

    def __init__(self) -> None:
        self.told: dict[str, Any] = {}

    def __getattr__(self, name: str) -> Any:
        def note(*values: Any) -> "RecordedTask":
            self.told[name] = values
            return self

        return note


def test_a_step_with_gpus_runs_in_the_image_with_cuda(tmp_path, monkeypatch):
    monkeypatch.setenv("ALBERT_REGISTRY", "registry.example.org")
    resources = resources_in(
        tmp_path, "vertex", {"finetune": {"accelerator": {"type": "NVIDIA_L4"}}}
    )
    config = RemotePlatformConfig(resources, caching=False)
    tasks = {step: config.configure(RecordedTask(), step) for step in ("finetune", "evaluate")}
    assert tasks["finetune"].told["set_container_image"] == (image_name(GPU_TRAINER),)
    assert "albert-python-trainer-gpu:" in image_name(GPU_TRAINER)
    assert "set_container_image" not in tasks["evaluate"].told
