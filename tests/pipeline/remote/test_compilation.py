"""`albert compile`: what the files for Kubeflow and Vertex AI promise."""

import difflib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from albert_core.finetuning.config import FinetuningConfig
from albert_core.tasks import TASKS
from albert_core.tasks.glue import GLUE_TASKS
from components.finetune.job import parse_job
from tests.helpers.fakes.loopback import loopback
from tests.helpers.fakes.storage import Bucket

ROOT = Path(__file__).resolve().parents[3]
GOLDENS = Path(__file__).parent / "goldens"
PLATFORMS = ("kubeflow", "vertex")
# What each golden pipeline is compiled from, by the end of its name.
CONFIGS = {"": "config.yaml", "_from_checkpoint": "checkpoint.yaml"}
REGISTRY = "europe-docker.pkg.dev/proj/albert"
SECRET = "s3cr3t-of-this-machine"
DATA, TRAINER, TPU = (f"{REGISTRY}/albert-python-{r}:golden" for r in ("data", "trainer", "tpu"))

COMPILE_ALL = """
import sys
from pipeline.cli.main import main
for job in sys.argv[1:]:
    name, platform, config = job.split("=")
    options = ["--target", platform, "--config", config, "--work_root", "gs://work/albert"]
    assert main(["compile", *options, "--output", f"{name}.yaml"]) == 0
"""


def compile_all(folder: Path, hash_seed: str) -> dict[str, str]:
    """Compile for every platform in a process of its own that has no credentials."""
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT),
        "PYTHONHASHSEED": hash_seed,
        "HOME": str(folder),
        "NO_GCE_CHECK": "true",
        "ALBERT_REGISTRY": REGISTRY,
        "ALBERT_TAG": "golden",
        "HF_TOKEN": SECRET,
    }
    jobs = {
        f"{platform}{suffix}": f"{platform}{suffix}={platform}={GOLDENS / config}"
        for platform in PLATFORMS
        for suffix, config in CONFIGS.items()
    }
    command = [sys.executable, "-c", COMPILE_ALL, *jobs.values()]
    with loopback(Bucket(is_public=False)) as google:
        environment["API_ENDPOINT_OVERRIDE"] = google.address
        result = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True
        )
    assert result.returncode == 0, result.stderr
    assert result.stderr.count("inputs not looked at") == len(jobs)
    return {name: (folder / f"{name}.yaml").read_text(encoding="utf-8") for name in jobs}


@pytest.fixture(scope="module")
def compiled(tmp_path_factory) -> dict[str, str]:
    return compile_all(tmp_path_factory.mktemp("compiled"), hash_seed="1")


@pytest.fixture(scope="module")
def documents(compiled) -> dict[str, list[Any]]:
    return {name: list(yaml.safe_load_all(text)) for name, text in compiled.items()}


def tasks_of(spec: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return all tasks that run a container, with the container, however deep they are nested."""
    components, executors = spec["components"], spec["deploymentSpec"]["executors"]
    dags = [spec["root"]["dag"], *(c["dag"] for c in components.values() if "dag" in c)]
    found = {}
    for name, task in (item for dag in dags for item in dag["tasks"].items()):
        executor = components[task["componentRef"]["name"]].get("executorLabel")
        if executor:
            found[name] = {**task, **executors[executor]}
    return found


@pytest.mark.parametrize("suffix", CONFIGS)
@pytest.mark.parametrize("platform", PLATFORMS)
def test_the_pipeline_is_the_golden_one(compiled, platform, suffix):
    path, text = GOLDENS / f"{platform}{suffix}.yaml", compiled[f"{platform}{suffix}"]
    if os.environ.get("UPDATE_GOLDENS"):
        path.write_text(text, encoding="utf-8")
    golden = path.read_text(encoding="utf-8").splitlines()
    diff = difflib.unified_diff(golden, text.splitlines(), path.name, "now", n=4)
    text = "\n".join(diff)
    assert not text, f"{text}\n\nIf that is meant: UPDATE_GOLDENS=1 pytest {Path(__file__).name}"


def test_the_same_bytes_come_of_another_process_in_another_folder(compiled, tmp_path):
    assert compile_all(tmp_path, hash_seed="2") == compiled


@pytest.mark.parametrize("platform", PLATFORMS)
def test_nothing_of_this_machine_is_in_it(compiled, platform):
    text = compiled[platform]
    for private in (SECRET, str(ROOT), sys.prefix, str(Path.home()), "pip install"):
        assert private not in text


# Image, cores, memory, retries, environment, name on the platform's pages.
STEPS = {
    "train-vocab": (DATA, "4", "16Gi", 2, {}, "Vocabulary"),
    "make-records": (DATA, "8", "32Gi", 2, {}, "Records"),
    "finetune": (TRAINER, "8", "32Gi", 2, {}, "Fine-tuning"),
    "evaluate": (TRAINER, "4", "16Gi", 2, {}, "Evaluation"),
    "report": (TRAINER, "2", "8Gi", 2, {}, "Report"),
    "summarise-run": (DATA, "1", "4Gi", 2, {}, "Summary"),
}
JAX = {"KERAS_BACKEND": "jax"}  # of the custom job, too, but not of what waits for it
PRETRAINING = {
    "kubeflow": {"pretrain": (TPU, "24", "96Gi", 3, JAX, "Pretraining")},
    "vertex": {"pretrain-in-custom-job": (DATA, "2", "8Gi", 3, {}, "Pretraining")},
}


@pytest.mark.parametrize("platform", PLATFORMS)
def test_every_task_has_its_image_machine_retries_environment_and_name(documents, platform):
    found = {
        name: (
            task["container"]["image"],
            task["container"]["resources"]["resourceCpuLimit"],
            task["container"]["resources"]["resourceMemoryLimit"],
            task["retryPolicy"]["maxRetryCount"],
            {entry["name"]: entry["value"] for entry in task["container"].get("env", [])},
            task["taskInfo"]["name"],
        )
        for name, task in tasks_of(documents[platform][0]).items()
    }
    assert found == STEPS | PRETRAINING[platform]


CHECKPOINT = {"import-checkpoint": (TRAINER, "4", "16Gi", 2, {}, "Checkpoint")}


@pytest.mark.parametrize("platform", PLATFORMS)
def test_a_run_from_a_checkpoint_has_its_steps_and_parameters_and_none_of_text(documents, platform):
    found = documents[f"{platform}_from_checkpoint"]
    tasks = tasks_of(found[0])
    images = {name: task["container"]["image"] for name, task in tasks.items()}
    without_text = {n: s for n, s in STEPS.items() if n not in ("train-vocab", "make-records")}
    exported = {"export-models": (TRAINER, "4", "16Gi", 2, {}, "Export")}
    expected = without_text | CHECKPOINT | exported
    assert images == {name: step[0] for name, step in expected.items()}
    values = defaults(found)
    assert set(values) == {
        *("title", "checkpoint", "checkpoint_fingerprint", "jobs", "export", "work_root"),
    }
    assert values["checkpoint"] == {
        "path": "gs://models/albert_base/model.ckpt-best",
        "albert_config": "gs://models/albert_config.json",
        "vocab": "",
        "lower_case": False,
    }
    jobs = {job.task.name: job.finetuning for job in map(parse_job, values["jobs"])}
    assert list(jobs) == [*(task.name for task in GLUE_TASKS), "squad2", "race"]
    cola, squad, wnli = jobs["cola"], jobs["squad2"], jobs["wnli"]
    assert (cola.learning_rate, cola.batch_size, cola.num_train_steps) == (1e-5, 16, 5336)
    assert (squad.num_epochs, squad.batch_size, squad.learning_rate) == (2.0, 48, 5e-5)
    assert {config.sequence_length for config in jobs.values()} == {256}  # as the file says
    assert wnli.num_epochs == FinetuningConfig().num_epochs  # which has no recipe


@pytest.mark.parametrize("platform", PLATFORMS)
def test_retries_back_off(documents, platform):
    for task in tasks_of(documents[platform][0]).values():
        policy = task["retryPolicy"]
        assert (policy["backoffDuration"], policy["backoffMaxDuration"]) == ("60s", "3600s")
        assert policy["backoffFactor"] == 2.0


def test_on_kubeflow_pretraining_asks_for_a_node_with_tpus(documents):
    spec, kubernetes = documents["kubeflow"]
    accelerator = tasks_of(spec)["pretrain"]["container"]["resources"]["accelerator"]
    assert (accelerator["resourceType"], accelerator["resourceCount"]) == ("google.com/tpu", "4")
    executors = kubernetes["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    assert executors["exec-pretrain"] == {
        "activeDeadlineSeconds": "604800",
        "emptyDirMounts": [
            {
                "medium": "Memory",
                "mountPath": "/dev/shm",
                "sizeLimit": "16Gi",
                "volumeName": "shared-memory",
            }
        ],
        "nodeSelector": {
            "labels": {
                "cloud.google.com/gke-tpu-accelerator": "tpu-v5-lite-podslice",
                "cloud.google.com/gke-tpu-topology": "2x2",
            }
        },
        "tolerations": [{"effect": "NoSchedule", "key": "google.com/tpu", "operator": "Exists"}],
    }
    assert {name: own["activeDeadlineSeconds"] for name, own in executors.items()} == {
        "exec-pretrain": "604800",
        **{f"exec-{name}": "86400" for name in STEPS},
    }


def test_for_vertex_it_is_one_document_whose_pretraining_starts_a_job_on_tpus(documents):
    (spec,) = documents["vertex"]
    inputs = tasks_of(spec)["pretrain-in-custom-job"]["inputs"]["parameters"]
    job = inputs["tpu_job"]["runtimeValue"]["constant"]
    assert (job["image"], job["machine_type"], job["tpu_topology"]) == (
        TPU,
        "ct5lp-hightpu-4t",
        "2x2",
    )
    assert job["timeout_s"] == 7 * 24 * 3600
    assert job["env"] == JAX
    assert inputs["project"]["runtimeValue"]["constant"].startswith("{{$.pipeline_google_cloud")


@pytest.mark.parametrize("platform", PLATFORMS)
def test_the_summary_is_made_whatever_happens(documents, platform):
    tasks = documents[platform][0]["root"]["dag"]["tasks"]
    (group,) = tasks["summarise-run"]["dependentTasks"]
    assert set(tasks) == {group, "summarise-run"}
    assert tasks["summarise-run"]["triggerPolicy"]["strategy"] == "ALL_UPSTREAM_TASKS_COMPLETED"
    status = tasks["summarise-run"]["inputs"]["parameters"]["status"]
    assert status == {"taskFinalStatus": {"producerTask": group}}


@pytest.mark.parametrize("platform", PLATFORMS)
def test_the_platform_skips_nothing_without_hashes_of_the_inputs(documents, platform):
    cached = [name for name, t in tasks_of(documents[platform][0]).items() if t["cachingOptions"]]
    assert not cached


def defaults(documents: list[Any]) -> dict[str, Any]:
    parameters = documents[0]["root"]["inputDefinitions"]["parameters"]
    # Backends let an optional parameter be null; these have a value, which may be replaced.
    assert not any(entry.get("isOptional") for entry in parameters.values())
    return {name: entry["defaultValue"] for name, entry in parameters.items()}


@pytest.mark.parametrize("platform", PLATFORMS)
def test_the_configuration_is_in_the_defaults_of_the_parameters(documents, platform):
    values = defaults(documents[platform])
    assert values["corpus"]["files"] == ["gs://corpus/text/*.txt"]
    assert values["work_root"] == "gs://work/albert"
    assert [job["step"] for job in values["records"]] == ["records 128", "records 512"]
    jobs = [parse_job(job) for job in values["jobs"]]
    assert [job.task for job in jobs] == [TASKS["cola"]] * 2 + [TASKS["mnli"]] * 2
    assert [job.initialization for job in jobs] == ["pretrained", "random"] * 2
    # The control is tuned as the model is: the same rates, passes, seeds and head.
    assert [job.finetuning for job in jobs[::2]] == [job.finetuning for job in jobs[1::2]]
    assert [job.data for job in jobs] == ["gs://data/glue/CoLA"] * 2 + ["gs://data/glue/MNLI"] * 2


@pytest.mark.parametrize("platform", PLATFORMS)
def test_dataflow_gets_its_options_and_the_data_image_for_its_workers(documents, platform):
    beam = defaults(documents[platform])["beam"]
    assert beam["runner"] == "DataflowRunner"
    assert beam["options"] == [
        "--project=proj",
        "--region=us-central1",
        "--temp_location=gs://work/temp",
        f"--sdk_container_image={DATA}",
        "--sdk_location=container",
    ]


def test_all_of_glue_twice_fits_into_the_parameters_of_kubeflow(documents):
    values = defaults(documents["kubeflow"])
    glue = ("cola", "sst-2", "mrpc", "sts-b", "qqp", "mnli", "qnli", "rte", "wnli")
    jobs = [{**values["jobs"][0], "task": name, "data_fingerprint": "0" * 64} for name in glue * 2]
    assert len(json.dumps({**values, "jobs": jobs})) < 10_000
