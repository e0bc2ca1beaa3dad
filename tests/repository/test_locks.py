"""The locks of the images: the versions that are tested here, and nothing of another role."""

import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LOCKS = ROOT / "requirements"
ROLES = {
    "data": {
        "imports": [
            "components.records.beam_pipeline",
            "components.records.component",
            "components.vocab.component",
            "albert_core.tokenization.kinds",
            "distributed",
            "google.cloud.storage",
            "pipeline.cli.main",
        ],
        "absent": ["tensorflow", "keras", "jax"],
    },
    "trainer": {
        "imports": [
            "albert_core.finetuning.program",
            "albert_core.pretraining.program",
            "albert_core.tracking.mlflow_runs",
            "albert_core.tracking.vertex_experiments",
            "albert_core.tracking.wandb_runs",
            "components.evaluate.component",
            "components.finetune.component",
            "components.pretrain.component",
            "components.report.component",
            "components.report.page",
            "google.cloud.storage",
            "pipeline.cli.main",
        ],
        "absent": ["apache_beam", "jax", "torch"],
    },
    "tpu": {
        "imports": [
            "albert_core.pretraining.program",
            "albert_core.tracking.mlflow_runs",
            "albert_core.tracking.vertex_experiments",
            "albert_core.tracking.wandb_runs",
            "components.pretrain.component",
            "google.cloud.storage",
            "jax",
            "pipeline.cli.main",
        ],
        "absent": ["apache_beam", "tensorflow", "torch"],
    },
}


def pins(lock: str) -> dict[str, str]:
    text = (LOCKS / f"{lock}.lock").read_text(encoding="utf-8")
    return dict(re.findall(r"^([a-z0-9.-]+)==(\S+)", text, re.MULTILINE))


@pytest.mark.parametrize("role", [*ROLES, "trainer-gpu"])
def test_an_image_holds_the_versions_that_are_tested(role):
    tested = pins("dev")
    others = {
        name: version
        for name, version in pins(role).items()
        if tested.get(name) != version and not name.startswith("nvidia-")
    }
    assert pins(role)
    assert not others


@pytest.mark.parametrize("lock", [path.stem for path in LOCKS.glob("*.lock")])
def test_every_requirement_has_hashes_and_no_lock_names_an_index(lock):
    text = (LOCKS / f"{lock}.lock").read_text(encoding="utf-8")
    entries = re.split(r"^(?=[a-z0-9.-]+==)", text, flags=re.MULTILINE)[1:]
    assert not [entry.split()[0] for entry in entries if "--hash=sha256:" not in entry]
    assert "://" not in re.sub(r"#.*", "", text)


@pytest.fixture(scope="module")
def uv() -> str:
    found = shutil.which("uv") or shutil.which(ROOT / ".uv" / "bin" / "uv")
    if not found:
        pytest.skip("needs uv, with which `make` makes the environment")
    return found


@pytest.mark.slow
@pytest.mark.parametrize("role", ROLES)
def test_a_fresh_environment_of_a_lock_runs_the_steps_of_its_role(role, uv):
    backend = {"KERAS_BACKEND": "jax" if role == "tpu" else "tensorflow"}
    environment = {**os.environ, **backend, "PYTHONPATH": str(ROOT)}
    with tempfile.TemporaryDirectory() as folder:
        python = f"{folder}/bin/python"
        install = [uv, "pip", "install", "--quiet", "--python", python, "--require-hashes"]
        for command in (
            [uv, "venv", "--quiet", "--python", "3.11", folder],
            [*install, "-r", str(LOCKS / f"{role}.lock")],
            [python, "-c", _check(**ROLES[role])],
        ):
            result = subprocess.run(command, env=environment, capture_output=True, text=True)
            assert result.returncode == 0, result.stderr


def _check(*, imports: list[str], absent: list[str]) -> str:
    return (
        f"import importlib.util, {', '.join(imports)}\n"
        f"found = [name for name in {absent} if importlib.util.find_spec(name)]\n"
        "assert not found, found\n"
    )
