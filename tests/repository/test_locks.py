"""The locks of the images: the versions that are tested here, and nothing of another role."""

import os
import re
import shutil
import subprocess
import sysconfig
import tempfile
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

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
            "botocore.session",
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
            "botocore.session",
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
            "botocore.session",
            "google.cloud.storage",
            "jax",
            "pipeline.cli.main",
        ],
        "absent": ["apache_beam", "tensorflow", "torch"],
    },
}


def pins(lock: str, python: str = "3.11", **machine: str) -> dict[str, str]:
    """The versions that a lock has for a Python, on this machine or one with other markers."""
    environment = {"python_version": python, "python_full_version": f"{python}.0", **machine}
    text = (LOCKS / f"{lock}.lock").read_text(encoding="utf-8")
    lines = re.findall(r"^([a-z0-9.-]+==[^\\\n]+)", text, re.MULTILINE)
    found = [
        requirement
        for requirement in map(Requirement, lines)
        if requirement.marker is None or requirement.marker.evaluate(environment)
    ]
    assert len({requirement.name for requirement in found}) == len(found)
    return {
        requirement.name: str(requirement.specifier).removeprefix("==") for requirement in found
    }


@pytest.mark.parametrize("role", [*ROLES, "trainer-gpu"])
def test_an_image_holds_the_versions_that_are_tested(role):
    tested = pins("dev")
    others = {
        name: version
        for name, version in pins(role).items()
        if tested.get(name) != version and not name.startswith(("nvidia-", "jax-cuda"))
    }
    assert pins(role)
    assert not others


@pytest.mark.parametrize("python", ["3.12", "3.13"])
def test_newer_pythons_get_the_versions_of_the_oldest_but_where_there_are_none(python):
    oldest, newer = pins("dev"), pins("dev", python)
    assert {name for name in newer if oldest.get(name) != newer[name]} <= {"google-apitools"}
    # What newer Pythons have in their own libraries.
    assert oldest.keys() - newer.keys() <= {"backports-tarfile", "importlib-metadata", "zipp"} | {
        "lazy-importer"
    }


@pytest.mark.parametrize(
    ("system", "processor"), [("linux", "aarch64"), ("darwin", "arm64")], ids="-".join
)
def test_machines_without_tpus_get_all_but_their_library(system, processor):
    here = pins("dev", sys_platform="linux", platform_machine="x86_64")
    there = pins("dev", sys_platform=system, platform_machine=processor)
    assert here.keys() - there.keys() - {"jeepney", "secretstorage"} == {"libtpu"}
    assert {name for name in there if here.get(name, there[name]) != there[name]} == set()


def test_all_has_every_extra_of_users():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    (requirement,) = map(Requirement, extras["all"])
    # `model` is in `train`; libtpu is for hosts of TPUs; the others are for who changes the code.
    assert requirement.extras == extras.keys() - {"all", "model", "tpu", "setup", "dev"}


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

    def run(*command: str) -> None:
        result = subprocess.run(command, env=environment, capture_output=True, text=True)
        assert result.returncode == 0, result.stderr

    with tempfile.TemporaryDirectory() as folder:
        python = f"{folder}/bin/python"
        install = (uv, "pip", "install", "--quiet", "--python", python, "--require-hashes")
        run(uv, "venv", "--quiet", "--python", "3.11", folder)
        run(*install, "-r", str(LOCKS / f"{role}.lock"))
        _share_bytecode(Path(folder))
        run(python, "-c", _check(**ROLES[role]))


def _share_bytecode(environment: Path) -> None:
    """Link into an environment what this one has compiled; two thirds of the imports are that.

    Python takes it for a module whose size and time are the same, as of one package in uv's cache,
    and compiles others.
    """
    here = Path(sysconfig.get_path("purelib"))
    (there,) = environment.glob("lib/python*/site-packages")
    for compiled in here.rglob("__pycache__"):
        place = there / compiled.relative_to(here)
        if place.parent.is_dir() and not place.exists():
            shutil.copytree(compiled, place, copy_function=_link_or_copy)


def _link_or_copy(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # on another disk
        shutil.copy2(source, target)


def _check(*, imports: list[str], absent: list[str]) -> str:
    return (
        f"import importlib.util, {', '.join(imports)}\n"
        f"found = [name for name in {absent} if importlib.util.find_spec(name)]\n"
        "assert not found, found\n"
    )
