"""The manifests in docker/kubernetes are valid, and fit each other, the code and the docs."""

import functools
import re
import subprocess
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from albert_core.settings import parse_settings
from components.image import image_name
from components.records.clusters import Cluster
from components.records.job_servers import job_server_name
from components.records.runners import BeamConfig
from pipeline.cli import main as cli
from pipeline.cli.commands import CommandEntry
from pipeline.config import RunConfig
from tests.helpers.documented import ROOT, yaml_blocks

FOLDER = ROOT / "docker" / "kubernetes"
FILES = sorted(FOLDER.glob("*.yaml"))
KUBERNETES_VERSIONS = ("1.26", "1.31", "1.36")
MEMORY_UNITS = {"Mi": 1 << 20, "Gi": 1 << 30, "m": 1 << 20, "g": 1 << 30}
DATA_IMAGE = "local/albert-python-data:TAG"

Manifest = dict[str, Any]


def manifests(*files: Path) -> list[Manifest]:
    return [manifest for file in files for manifest in yaml.safe_load_all(file.read_text())]


ALL = manifests(*FILES)
WORKLOADS = [manifest for manifest in ALL if manifest["kind"] in ("Deployment", "Job")]


def find(kind: str, name: str) -> Manifest:
    (found,) = [m for m in ALL if (m["kind"], m["metadata"]["name"]) == (kind, name)]
    return found


def pod(workload: Manifest) -> Manifest:
    return workload["spec"]["template"]["spec"]


def container(workload: str, name: str) -> Manifest:
    (found,) = [c for c in pod(find("Deployment", workload))["containers"] if c["name"] == name]
    return found


def ports(container: Manifest) -> dict[str, int]:
    return {port["name"]: port["containerPort"] for port in container.get("ports", [])}


def identity(manifest: Manifest) -> str:
    return f"{manifest['kind']}-{manifest['metadata']['name']}"


def num_bytes(quantity: str) -> int:
    number, unit = re.fullmatch(r"(\d+)(\w+)", quantity).groups()
    return int(number) * MEMORY_UNITS[unit]


def num_cores(quantity: str) -> float:
    return float(quantity.removesuffix("m")) / (1000 if quantity.endswith("m") else 1)


def flink_properties() -> dict[str, str]:
    lines = find("ConfigMap", "flink")["data"]["FLINK_PROPERTIES"].splitlines()
    return dict(line.split(": ") for line in lines)


@pytest.mark.parametrize("version", KUBERNETES_VERSIONS)
@pytest.mark.parametrize("manifest", ALL, ids=identity)
def test_a_manifest_is_valid_by_the_schemas_of_the_api(manifest, version):
    """Strictly: a field that the API does not know is refused, too."""
    kubernetes_validate.validate(manifest, version, strict=True)


def test_an_unknown_field_would_be_noticed():
    job = find("Job", "albert-records")
    wrong = {**job, "spec": {**job["spec"], "backofLimit": 6}}
    with pytest.raises(kubernetes_validate.ValidationError, match="backofLimit"):
        kubernetes_validate.validate(wrong, KUBERNETES_VERSIONS[0], strict=True)


@pytest.mark.parametrize("service", [m for m in ALL if m["kind"] == "Service"], ids=identity)
def test_a_service_leads_to_ports_of_the_pods_that_it_selects(service):
    selector = service["spec"]["selector"].items()
    selected = [
        workload
        for workload in WORKLOADS
        if selector <= workload["spec"]["template"]["metadata"]["labels"].items()
    ]
    assert len(selected) == 1
    (target,) = pod(selected[0])["containers"]
    for port in service["spec"]["ports"]:
        assert ports(target)[port["targetPort"]] == port["port"]


@pytest.mark.parametrize("workload", WORKLOADS, ids=identity)
def test_a_workload_selects_its_own_pods_and_refers_to_what_is_there(workload):
    labels = workload["spec"]["template"]["metadata"]["labels"]
    if workload["kind"] == "Deployment":
        assert workload["spec"]["selector"]["matchLabels"].items() <= labels.items()
    assert find("ServiceAccount", pod(workload)["serviceAccountName"])
    volumes = {volume["name"]: volume for volume in pod(workload).get("volumes", [])}
    for volume in volumes.values():
        if "configMap" in volume:
            assert find("ConfigMap", volume["configMap"]["name"])
    for each in pod(workload)["containers"]:
        assert {mount["name"] for mount in each.get("volumeMounts", [])} <= volumes.keys()
        for source in each.get("envFrom", []):
            if "configMapRef" in source:
                assert find("ConfigMap", source["configMapRef"]["name"])
        for probe in ("readinessProbe", "livenessProbe"):
            (check,) = [
                value for value in each.get(probe, {}).values() if isinstance(value, dict)
            ] or [{"port": None}]
            assert check["port"] is None or check["port"] in ports(each)


@pytest.mark.parametrize("workload", WORKLOADS, ids=identity)
def test_pods_keep_to_the_restricted_standard(workload):
    """That of Kubernetes' Pod Security Standards, which clusters of companies enforce."""
    settings = pod(workload)["securityContext"]
    assert settings["runAsNonRoot"]
    assert settings["seccompProfile"] == {"type": "RuntimeDefault"}
    for each in pod(workload)["containers"]:
        assert settings.get("runAsUser") or each["securityContext"]["runAsUser"]
        assert each["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        assert each["securityContext"]["allowPrivilegeEscalation"] is False


def test_the_images_are_the_data_image_and_a_flink_that_beam_supports():
    from apache_beam.options.pipeline_options import FlinkRunnerOptions

    images = {each["image"] for workload in WORKLOADS for each in pod(workload)["containers"]}
    (flink,) = images - {DATA_IMAGE}
    version = re.fullmatch(r"flink:(\d+\.\d+)\.\d+-java17", flink)[1]
    assert version in FlinkRunnerOptions.PUBLISHED_FLINK_VERSIONS
    assert re.fullmatch(re.escape(DATA_IMAGE).replace("TAG", ".+"), image_name("data"))


def test_the_job_server_that_the_docs_fetch_is_for_this_flink():
    (manager,) = pod(find("Deployment", "flink-jobmanager"))["containers"]
    cluster = Cluster(
        engine="flink",
        setting="",
        page="",
        version=re.search(r":([\d.]+)", manager["image"])[1],
        num_slots=1,
        slots_per_machine=1,
    )
    assert f"/{job_server_name(cluster)}" in documented_section()


def test_flinks_ports_are_those_of_its_settings():
    properties, service = flink_properties(), find("Service", "flink-jobmanager")
    assert properties["jobmanager.rpc.address"] == service["metadata"]["name"]
    manager = ports(container("flink-jobmanager", "jobmanager"))
    assert str(manager["rest"]) == properties["rest.port"]
    assert str(manager["rpc"]) == properties["jobmanager.rpc.port"]
    assert str(manager["blob"]) == properties["blob.server.port"]
    worker = ports(container("flink-taskmanager", "taskmanager"))
    assert str(worker["rpc"]) == properties["taskmanager.rpc.port"]


def test_sizes_fit_the_slots_and_a_machine_of_4_cores_and_16_gb():
    properties = flink_properties()
    slots = int(properties["taskmanager.numberOfTaskSlots"])
    pool, java = (container("flink-taskmanager", name) for name in ("worker-pool", "taskmanager"))
    manager = container("flink-jobmanager", "jobmanager")
    assert num_cores(pool["resources"]["limits"]["cpu"]) >= slots
    assert num_bytes(pool["resources"]["limits"]["memory"]) >= slots * MEMORY_UNITS["Gi"] * 2
    for each, role in ((java, "taskmanager"), (manager, "jobmanager")):
        needed = num_bytes(properties[f"{role}.memory.process.size"])
        assert num_bytes(each["resources"]["limits"]["memory"]) >= needed
    requests = [each["resources"]["requests"] for each in (pool, java)]
    # GKE leaves 3.92 cores and 13.3 GB of such a machine to pods; its own daemons take some.
    assert sum(num_cores(request["cpu"]) for request in requests) <= 3.5
    assert sum(num_bytes(request["memory"]) for request in requests) <= 12 << 30


def records_settings() -> RunConfig:
    text = find("ConfigMap", "albert-records")["data"]["records.yaml"]
    return parse_settings(RunConfig, yaml.safe_load(text), source="records.yaml")


def documented_beam_settings() -> list[BeamConfig]:
    blocks = [yaml.safe_load(text) for _, text in yaml_blocks()]
    beams = [block["beam"] for block in blocks if "flink_master" in block.get("beam", {})]
    return [parse_settings(BeamConfig, beam, source="docs") for beam in beams]


def test_the_settings_of_the_job_and_of_the_docs_lead_to_the_cluster():
    service = find("Service", "flink-jobmanager")
    (rest,) = [port["port"] for port in service["spec"]["ports"] if port["name"] == "rest"]
    pool = container("flink-taskmanager", "worker-pool")
    assert pool["args"] == ["--worker_pool"]
    documented = documented_beam_settings()
    assert documented
    for beam in (records_settings().beam, *documented):
        assert beam.flink_master == f"{service['metadata']['name']}:{rest}"
        assert beam.environment_type == "EXTERNAL"
        assert beam.environment_config == f"localhost:{ports(pool)['pool']}"


def test_the_jobs_command_can_be_given(tmp_path, monkeypatch):
    job = find("Job", "albert-records")
    (only,) = pod(job)["containers"]
    program, command, *options = only["args"]
    (mount,) = [m for m in only["volumeMounts"] if m["name"] == "settings"]
    settings = tmp_path / "records.yaml"
    settings.write_text(find("ConfigMap", "albert-records")["data"]["records.yaml"])
    inside = f"{mount['mountPath']}/{settings.name}"
    assert f"--config={inside}" in options
    options = [option.replace(inside, str(settings)) for option in options]
    called = []

    @functools.wraps(cli.COMMANDS[command].load())
    def record(**values: object) -> None:
        called.append(values)

    entry = CommandEntry("", lambda: record)
    monkeypatch.setattr(cli, "COMMANDS", {**cli.COMMANDS, command: entry})
    assert (program, cli.main([command, *options])) == ("albert", 0)
    assert called[0]["beam"] == records_settings().beam


def test_make_names_the_image_and_the_bucket():
    make = ["make", "-C", ROOT, "--silent", "--old-file", ".venv/.ready", "kubernetes-records"]
    settings = ["REGISTRY=eu.gcr.io/mine", "BUCKET=s3://other"]
    result = subprocess.run([*make, *settings], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    images = re.findall(r"image: (\S+)", result.stdout)
    assert images
    assert all(re.fullmatch(r"eu\.gcr\.io/mine/albert-python-data:\S+", one) for one in images)
    assert "mine-albert" not in result.stdout
    assert "--output=s3://other/records" in result.stdout


def documented_section() -> str:
    text = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    return text.partition("## Flink on Kubernetes")[2].partition("\n## ")[0]


def kubectl_commands() -> list[str]:
    section = documented_section()
    lines = section.replace("\\\n", " ").splitlines()
    blocks = [line for line in lines if line.startswith("    kubectl ")]
    return [" ".join(one.split()) for one in (*blocks, *re.findall("`(kubectl [^`]+)`", section))]


def test_commands_in_the_docs_name_what_the_manifests_make():
    kinds = {"deployment": "Deployment", "service": "Service", "job": "Job"}
    kinds |= {"serviceaccount": "ServiceAccount", "configmap": "ConfigMap"}
    names = {each["name"] for workload in WORKLOADS for each in pod(workload)["containers"]}
    commands = kubectl_commands()
    assert len(commands) > 15
    named = 0
    for command in commands:
        for kind, name in re.findall(rf"\b({'|'.join(kinds)})[ /]([\w-]+)", command):
            assert find(kinds[kind], name), command
            named += 1
        for name in re.findall(r"--container (\S+)", command):
            assert name in names
        for label, value in re.findall(r"--selector ([\w./-]+)=([\w-]+)", command):
            assert any(
                workload["spec"]["template"]["metadata"]["labels"].get(label) == value
                for workload in WORKLOADS
            ), command
        for file in re.findall(r"--filename (\S+)", command):
            assert (FOLDER / file).exists(), command
    assert named > 4
