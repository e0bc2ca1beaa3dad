"""The table of resources: what may be changed, and what is refused before it costs money."""

import dataclasses
from typing import Any

import pytest
import yaml

from albert_core.errors import InputError
from albert_core.storage_settings import StorageConfig
from components.image import GPU_TRAINER, image_name
from pipeline.remote.platform_config import RemotePlatformConfig
from pipeline.remote.platforms.kubeflow.config import KubeflowConfig
from pipeline.remote.platforms.registry import PLATFORMS
from pipeline.remote.platforms.vertex.config import VertexConfig
from pipeline.remote.platforms.vertex.rules import _tpu_job
from pipeline.remote.resources import Resources, default_resources, read_resources
from pipeline.remote.step_resources import Accelerator
from pipeline.remote.tpu import TpuSlice


def read(tmp_path, target: str, changes: object) -> Resources:
    path = tmp_path / "resources.yaml"
    path.write_text(yaml.safe_dump(changes))
    return read_resources(PLATFORMS[target].rules, str(path))


@pytest.mark.parametrize("target", ["kubeflow", "vertex"])
def test_the_defaults_pass_their_own_checks_and_a_file_may_change_nothing(tmp_path, target):
    assert read(tmp_path, target, {}) == default_resources(PLATFORMS[target].rules)


def test_a_file_changes_what_it_names_and_nothing_else(tmp_path):
    before = default_resources(PLATFORMS["kubeflow"].rules)
    table = read(
        tmp_path,
        "kubeflow",
        {
            "parallel_tasks": 8,
            "pretrain": {
                "tpu": None,
                "accelerator": {"type": "nvidia.com/gpu", "count": 8},
                "env": {"XLA_FLAGS": "--xla_gpu_autotune_level=2"},
            },
        },
    )
    assert table.parallel_tasks == 8
    assert table.pretrain.tpu is None
    assert table.pretrain.accelerator == Accelerator(type="nvidia.com/gpu", count=8)
    assert set(table.pretrain.environment) == {"XLA_FLAGS"}  # no backend that GPUs' image lacks
    assert before.pretrain.environment == {"KERAS_BACKEND": "jax"}
    assert table.pretrain.memory_gib == before.pretrain.memory_gib
    assert table.steps["finetune"] == before.steps["finetune"]


def test_a_slice_of_several_machines_on_vertex(tmp_path):
    for step in ("pretrain", "finetune", "evaluate"):
        table = read(tmp_path, "vertex", {step: {"tpu": {"topology": "4x4"}}})
        assert table.steps[step].tpu == TpuSlice(machine="ct5lp-hightpu-4t", topology="4x4")
        assert table.steps[step].tpu.num_hosts == 4


def test_machine_and_time_out_go_by_whether_there_are_tpus(tmp_path):
    changes = {"pretrain": {"tpu": None}, "finetune": {"tpu": {}}, "evaluate": {"tpu": {}}}
    table = read(tmp_path, "vertex", changes)
    on_cores = {name: (step.cpus, step.timeout_s) for name, step in table.steps.items()}
    # Without TPUs the task itself trains; with TPUs it waits for a job, which must end some day.
    assert on_cores["pretrain"] == (24, 0)
    assert on_cores["finetune"] == on_cores["evaluate"] == (2, 86_400)
    assert table.uses_custom_job
    assert not read(tmp_path, "vertex", {"pretrain": {"tpu": None}}).uses_custom_job
    assert read(tmp_path, "kubeflow", changes).steps["finetune"].cpus == 8


SECRET = {"secret": "login", "key": "token"}
VOLUME = {"claim": "data", "path": "/data"}
EITHER = [
    ({"pretrian": {"cpus": 1}}, "pretrian"),
    ({"pretrain": {"cpu": 1}}, "cpu"),
    ({"vocab": {"cpus": 0}}, "vocab.cpus: got 0, expected 1 or more"),
    ({"vocab": {"retries": -1}}, "vocab.retries: got -1"),
    ({"vocab": {"backoff_factor": 0.5}}, "backoff_factor"),
    ({"parallel_tasks": 0}, "parallel_tasks: got 0"),
    ({"pretrain": {"tpu": {"topology": "2x4"}, "accelerator": {"type": "x"}}}, "pretrain.tpu"),
    ({"export": {"tpu": {"topology": "2x2"}}}, "export.tpu: got ct5lp-hightpu-4t"),
    ({"evaluate": {"tpu": {"topology": "1x1"}}}, "evaluate.tpu.topology: got '1x1' with ct5lp"),
    ({"vocab": {"accelerator": {"type": "nvidia.com/gpu"}}}, "vocab.accelerator"),
    ({"finetune": {"accelerator": {"type": "x", "count": 0}}}, "accelerator.count: got 0"),
    ({"summary": {"caching": True}}, "summary.caching: got true"),
    ({"pretrain": {"tpu": {"topology": "3x3"}}}, "pretrain.tpu.topology: got '3x3' with ct5lp"),
    ({"vocab": {"env": {"2X": "1"}}}, "vocab.env: got '2X'"),
    ({"finetune": {"env": {"HF_TOKEN": "s3cr3t"}}}, "finetune.env: got HF_TOKEN, expected no"),
    ({"target": "vertex"}, "got target, expected it as --target"),
    ({"all_steps": [1]}, "got [1] as all_steps, expected settings"),
    ({"all_steps": {"cpus": 0}}, "1 or more (all_steps is of each step)"),
]
KUBEFLOW = [
    ({"vocab": {"tolerations": [{"value": "x"}]}}, "vocab.tolerations[0]: got the value 'x' with"),
    ({"vocab": {"tolerations": [{"operator": "Equal"}]}}, "got no key with operator Equal"),
    ({"vocab": {"tolerations": [{"key": "a b"}]}}, "vocab.tolerations[0]: got 'a b', expected"),
    ({"vocab": {"tolerations": [{"operator": "In", "key": "a"}]}}, "operator"),
    ({"vocab": {"tolerations": [{"key": "a", "effect": "No"}]}}, "effect"),
    ({"vocab": {"tolerations": [{"key": "a", "seconds": 3}]}}, "with effect: NoExecute only"),
    ({"vocab": {"pod_labels": {"": "x"}}}, "vocab.pod_labels: got ''"),
    ({"vocab": {"pod_labels": {"team": "a b"}}}, "got 'a b' for team"),
    ({"vocab": {"pod_annotations": {"a b": "any text, even {}"}}}, "vocab.pod_annotations: got 'a"),
    ({"vocab": {"image_pull_secrets": ["My_Login"]}}, "image_pull_secrets: got 'My_Login'"),
    ({"vocab": {"env_from_secrets": {"2X": SECRET}}}, "vocab.env_from_secrets: got '2X'"),
    ({"vocab": {"env_from_secrets": {"X": SECRET}, "env": {"X": "1"}}}, "not in env, too"),
    ({"vocab": {"env_from_secrets": {"X": {**SECRET, "key": "a/b"}}}}, "X.key: got 'a/b'"),
    ({"vocab": {"env_from_secrets": {"X": {**SECRET, "secret": "A"}}}}, "X.secret: got 'A'"),
    (
        {"vocab": {"volume_claims": [{"claim": "data", "path": "data"}]}},
        "[0].path: got 'data', exp",
    ),
    ({"vocab": {"volume_claims": [{"claim": "data", "path": "/dev/shm"}]}}, "none of /kfp-launch"),
    (
        {"vocab": {"volume_claims": [{"claim": "data", "path": "/a/../b"}]}},
        "[0].path: got '/a/../b'",
    ),
    ({"vocab": {"volume_claims": [{"claim": "D", "path": "/data"}]}}, "[0].claim: got 'D'"),
    ({"vocab": {"volume_claims": [VOLUME, VOLUME]}}, "[1].path: got /data twice"),
    (
        {"vocab": {"volume_claims": [VOLUME, {**VOLUME, "path": "//data/./"}]}},
        "[1].path: got /data twice",
    ),
    *(
        ({"vocab": {"volume_claims": [{**VOLUME, "claim": claim}]}}, f"[0].claim: got '{claim}'")
        for claim in ("a.b", "x" * 64, "-a", "kfp-launcher", "shared-memory")
    ),
    *(
        ({"vocab": {"volume_claims": [{**VOLUME, "path": path}]}}, f"[0].path: got '{path}'")
        for path in ("/", "/.", "/dev", "//dev//shm", "/./gcs/x", "/.cache")
    ),
    ({"vocab": {"volume_claims": [{**VOLUME, "sub_path": "/a"}]}}, "[0].sub_path: got '/a'"),
    ({"pretrain": {"tpu": {"topology": "4x4"}}}, "4 machines of ct5lp-hightpu-4t; expected one"),
    ({"finetune": {"accelerator": {"type": "NVIDIA_L4"}}}, "such as nvidia.com/gpu"),
    (
        {"custom_job": {"network": "projects/1/global/networks/a"}},
        "custom_job: got settings, expected none",
    ),
    ({"custom_job": {"network": "mine"}}, "custom_job.network: got 'mine', expected its full name"),
    ({"custom_job": {"service_account": "me"}}, "custom_job.service_account: got 'me', expected"),
    ({"custom_job": {"encryption_key": "key"}}, "custom_job.encryption_key: got 'key', expected"),
    ({"finetune": {"accelerator": {"type": "nvidia.com/l4"}}}, "got 'nvidia.com/l4', expected"),
    ({"finetune": {"accelerator": {"type": "nvidia.com/gpus"}}}, "got 'nvidia.com/gpus', expect"),
    ({"finetune": {"accelerator": {"type": "nvidia/gpu"}}}, "such as nvidia.com/gpu"),
    ({"finetune": {"accelerator": {"type": ""}}}, "such as nvidia.com/gpu"),
    ({"vocab": {"node_selectors": {"": "big"}}}, "vocab.node_selectors: got ''"),
    ({"vocab": {"node_selectors": {"pool": "big one"}}}, "got 'big one' for pool"),
    ({"pretrain": {"shared_memory_gib": 96}}, "expected less than memory_gib"),
]
VERTEX = [
    ({"finetune": {"accelerator": {"type": "nvidia.com/gpu"}}}, "such as NVIDIA_L4"),
    ({"finetune": {"accelerator": {"type": "NVIDIA_L5"}}}, "got 'NVIDIA_L5', expected a type"),
    ({"finetune": {"accelerator": {"type": "nvidia_l4"}}}, "such as NVIDIA_L4, one of NVIDIA_T"),
    ({"finetune": {"accelerator": {"type": "NVIDIA_L4", "count": 3}}}, "NVIDIA_L4: 1, 2, 4, 8"),
    ({"finetune": {"accelerator": {"type": "NVIDIA_B200"}}}, "count: got 1, expected as many"),
    ({"custom_job": {"labels": {"": "x"}}}, "custom_job.labels: got ''"),
    ({"vocab": {"timeout_s": 60}}, "vocab.timeout_s: got 60, expected nothing"),
    ({"vocab": {"node_selectors": {"pool": "big"}}}, "vocab.node_selectors"),
    ({"vocab": {"shared_memory_gib": 1}}, "vocab.shared_memory_gib"),
    ({"vocab": {"tolerations": [{"key": "a"}]}}, "vocab.tolerations: got "),
    ({"all_steps": {"pod_labels": {"team": "x"}}}, ".pod_labels: got {'team': 'x'}, expected noth"),
    ({"vocab": {"pod_annotations": {"a": "b"}}}, "vocab.pod_annotations"),
    ({"vocab": {"image_pull_secrets": ["login"]}}, "vocab.image_pull_secrets"),
    ({"vocab": {"env_from_secrets": {"X": SECRET}}}, "vocab.env_from_secrets"),
    ({"vocab": {"volume_claims": [VOLUME]}}, "vocab.volume_claims"),
    ({"pretrain": {"timeout_s": 0}}, "pretrain.timeout_s: got 0"),
    ({"finetune": {"tpu": {}, "timeout_s": 0}}, "finetune.timeout_s: got 0"),
]


@pytest.mark.parametrize(
    ("target", "changes", "message"),
    [(target, *case) for target in ("kubeflow", "vertex") for case in EITHER]
    + [("kubeflow", *case) for case in KUBEFLOW]
    + [("vertex", *case) for case in VERTEX],
)
def test_what_cannot_be_is_refused(tmp_path, target, changes, message):
    with pytest.raises(InputError) as refused:
        read(tmp_path, target, changes)
    assert message in str(refused.value)
    assert "s3cr3t" not in str(refused.value)


@pytest.mark.parametrize(
    ("machine", "topology", "message"),
    [
        ("ct5lp-hightpu-4t", "4x8x2", "expected one of 2x2, 2x4, 4x4"),
        ("ct5lp-hightpu-4t", "1x1", "expected one of 2x2, 2x4"),
        ("ct5lp-hightpu-8t", "4x4", "expected one of 2x4"),
        ("ct5p-hightpu-4t", "2x2", "expected one of 2x2x1"),
        (
            "n2-standard-8",
            "2x2",
            "tpu.machine: got 'n2-standard-8', expected one of ct5lp",
        ),
    ],
)
def test_a_layout_of_chips_that_the_machines_do_not_make(machine, topology, message):
    with pytest.raises(InputError, match=message):
        TpuSlice(machine=machine, topology=topology).check("pretrain.tpu")


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(InputError, match=r"--resources .*none\.yaml: no such file$"):
        read_resources(PLATFORMS["vertex"].rules, str(tmp_path / "none.yaml"))


@pytest.mark.parametrize(
    ("target", "kind"),
    [
        ("kubeflow", "nvidia.com/gpu"),
        ("kubeflow", "nvidia.com/mig-1g.5gb"),
        ("kubeflow", "nvidia.com/gpu.shared"),
        ("vertex", "NVIDIA_L4"),
        ("vertex", "NVIDIA_TESLA_T4"),
    ],
)
def test_kinds_of_gpus_that_there_are(tmp_path, target, kind):
    changes = {"finetune": {"accelerator": {"type": kind, "count": 2}}}
    assert read(tmp_path, target, changes).steps["finetune"].accelerator.type == kind


@pytest.mark.parametrize(
    ("location", "message"),
    [
        ("us-central1-a", "got the zone 'us-central1-a', expected its region, us-central1"),
        ("us", "got 'us', expected a region"),
        ("Europe-West4", "expected a region"),
        ("us-central", "expected a region"),
    ],
)
def test_a_zone_or_a_continent_is_no_region(location, message):
    with pytest.raises(InputError, match=message):
        VertexConfig(location=location)
    for there in ("us-central1", "northamerica-northeast2", "europe-west12", "africa-south1"):
        assert VertexConfig(location=there)


@pytest.mark.parametrize("labels", [{"": "x"}, {"1a": "x"}, {"a": "X"}, {"a" * 64: ""}])
def test_labels_that_google_does_not_take(labels):
    with pytest.raises(InputError, match=r"vertex\.labels: got '"):
        VertexConfig(labels=labels)
    assert VertexConfig(labels={"team": "", "a-1_b": "x" * 63})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("project", value) for value in ("My Project", "Proj", "projects/proj", "gs://proj")),
        *(("service_account", value) for value in ("runner", "runner@proj", "a b@c.d", "@c.d")),
        *(("network", value) for value in ("default", "projects/1/networks/a", "/projects/1")),
        *(("encryption_key", value) for value in ("key", "projects/p/locations/eu/keyRings/r")),
    ],
)
def test_names_that_vertex_does_not_take(name, value):
    with pytest.raises(InputError, match=rf"vertex\.{name}: got '.*', expected"):
        VertexConfig(**{name: value})


def test_names_that_vertex_takes():
    for project in ("my-project-1", "12345", "example.com:my-project"):
        assert VertexConfig(
            project=project,
            service_account="12345-compute@developer.gserviceaccount.com",
            network=f"projects/{project}/global/networks/a-1",
            encryption_key=f"projects/{project}/locations/eu/keyRings/R_1/cryptoKeys/k",
        )


@pytest.mark.parametrize("name", ["namespace", "service_account"])
def test_names_that_kubernetes_does_not_take(name):
    for value in ("Team", "a b", "a_b", "-a", "a.", "a" * 64):
        with pytest.raises(InputError, match=rf"kubeflow\.{name}: got '.*', expected up to 63"):
            KubeflowConfig(**{name: value})
    assert KubeflowConfig(**{name: "team-1"})


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

    resources = read(
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

    resources = read(tmp_path, "kubeflow", {"finetune": {"spot": True}}).steps["finetune"]

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
        resources = read(tmp_path, "vertex", {"pretrain": {"spot": spot}})
        pretrain, custom_job = resources.pretrain, resources.custom_job
        jobs.append(_tpu_job("pretrain", pretrain, pretrain.tpu, custom_job))
    spot_job, job = jobs
    assert spot_job == {**job, "is_spot": True}
    assert "is_spot" not in job


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"finetune": {"spot": True}}, r"finetune\.spot: got True, expected nothing: Vertex AI"),
        (
            {"pretrain": {"spot": True, "tpu": {"topology": "4x4"}}},
            r"pretrain\.spot: got true with 4 machines of ct5lp-hightpu-4t, expected one machine",
        ),
    ],
)
def test_spot_machines_that_vertex_has_not_are_refused(tmp_path, changes, message):
    with pytest.raises(InputError, match=message):
        read(tmp_path, "vertex", changes)


def test_what_all_steps_get_is_what_each_gets_that_does_not_say_otherwise(tmp_path):
    changes = {
        "all_steps": {"retries": 5, "env": {"A": "1", "B": "1"}},
        "vocab": {"retries": 0, "env": {"B": "2"}},
    }
    steps = read(tmp_path, "vertex", changes).steps
    assert (steps["vocab"].retries, steps["report"].retries) == (0, 5)
    assert steps["vocab"].env == {"A": "1", "B": "2"}
    assert steps["pretrain"].environment == {"KERAS_BACKEND": "jax", "A": "1", "B": "1"}


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
    resources = read(tmp_path, "vertex", {"finetune": {"accelerator": {"type": "NVIDIA_L4"}}})
    config = RemotePlatformConfig(resources, caching=False)
    tasks = {step: config.configure(RecordedTask(), step) for step in ("finetune", "evaluate")}
    assert tasks["finetune"].told["set_container_image"] == (image_name(GPU_TRAINER),)
    assert "albert-python-trainer-gpu:" in image_name(GPU_TRAINER)
    assert "set_container_image" not in tasks["evaluate"].told
