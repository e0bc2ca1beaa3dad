"""The table of resources: what may be changed, and what is refused before it costs money."""

import pytest

from albert_core.errors import InputError
from pipeline.remote.platforms.registry import PLATFORMS
from pipeline.remote.resources import default_resources, read_resources
from pipeline.remote.step_resources import Accelerator, CustomJobSettings
from pipeline.remote.tpu import TpuSlice
from tests.helpers.resource_tables import resources_in


@pytest.mark.parametrize("target", ["kubeflow", "vertex"])
def test_the_defaults_pass_their_own_checks_and_a_file_may_change_nothing(tmp_path, target):
    assert resources_in(tmp_path, target, {}) == default_resources(PLATFORMS[target].rules)


def test_a_file_may_take_all_settings_from_the_jobs_on_tpus(tmp_path):
    (tmp_path / "resources.yaml").write_text("custom_job: null\n")
    given = CustomJobSettings(labels={"team": "language"})
    path = str(tmp_path / "resources.yaml")
    resources = read_resources(PLATFORMS["vertex"].rules, path, custom_job=given)
    assert resources.custom_job == CustomJobSettings()


def test_a_file_changes_what_it_names_and_nothing_else(tmp_path):
    before = default_resources(PLATFORMS["kubeflow"].rules)
    table = resources_in(
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
        table = resources_in(tmp_path, "vertex", {step: {"tpu": {"topology": "4x4"}}})
        assert table.steps[step].tpu == TpuSlice(machine="ct5lp-hightpu-4t", topology="4x4")
        assert table.steps[step].tpu.num_hosts == 4


def test_machine_and_time_out_go_by_whether_there_are_tpus(tmp_path):
    changes = {"pretrain": {"tpu": None}, "finetune": {"tpu": {}}, "evaluate": {"tpu": {}}}
    table = resources_in(tmp_path, "vertex", changes)
    on_cores = {name: (step.cpus, step.timeout_s) for name, step in table.steps.items()}
    # Without TPUs the task itself trains; with TPUs it waits for a job, which must end some day.
    assert on_cores["pretrain"] == (24, 0)
    assert on_cores["finetune"] == on_cores["evaluate"] == (2, 86_400)
    assert table.uses_custom_job
    assert not resources_in(tmp_path, "vertex", {"pretrain": {"tpu": None}}).uses_custom_job
    assert resources_in(tmp_path, "kubeflow", changes).steps["finetune"].cpus == 8


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
        resources_in(tmp_path, target, changes)
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


def test_texts_are_as_they_are_written_and_truth_values_stay_truth_values(tmp_path):
    path = tmp_path / "resources.yaml"
    path.write_text(
        "all_steps:\n"
        "  pod_labels: {spot: no, on: yes, version: 1.10}\n"
        "  env: {TF_USE_LEGACY: off}\n"
        "  spot: no\n"
        "pretrain:\n"
        "  tpu: null\n"
        "  accelerator: {type: nvidia.com/gpu, count: 2}\n"
        "  tolerations:\n"
        "  - {key: gpu, operator: Equal, value: yes}\n"
        "  env: {DAY: 2026-11-27}\n"
    )
    table = read_resources(PLATFORMS["kubeflow"].rules, str(path))
    assert table.steps["vocab"].pod_labels == {"spot": "no", "on": "yes", "version": "1.10"}
    assert table.pretrain.env == {"TF_USE_LEGACY": "off", "DAY": "2026-11-27"}
    assert table.pretrain.accelerator == Accelerator(type="nvidia.com/gpu", count=2)
    assert table.pretrain.tolerations[0].value == "yes"
    assert table.pretrain.tpu is None
    assert table.pretrain.spot is False
    path.write_text("pretrain: {tpu: null, accelerator: {type: on}}\n")
    with pytest.raises(InputError, match=r"accelerator\.type: got 'on', expected a resource"):
        read_resources(PLATFORMS["kubeflow"].rules, str(path))


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
    assert resources_in(tmp_path, target, changes).steps["finetune"].accelerator.type == kind


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
        resources_in(tmp_path, "vertex", changes)


def test_what_all_steps_get_is_what_each_gets_that_does_not_say_otherwise(tmp_path):
    changes = {
        "all_steps": {"retries": 5, "env": {"A": "1", "B": "1"}},
        "vocab": {"retries": 0, "env": {"B": "2"}},
    }
    steps = resources_in(tmp_path, "vertex", changes).steps
    assert (steps["vocab"].retries, steps["report"].retries) == (0, 5)
    assert steps["vocab"].env == {"A": "1", "B": "2"}
    assert steps["pretrain"].environment == {"KERAS_BACKEND": "jax", "A": "1", "B": "1"}
