"""Imports go one way, pipeline to components to albert_core, and heavy ones stay where they are."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CLOUD = {"boto3", "botocore", "google.api_core", "google.auth", "google.cloud"}
FORBIDDEN = {
    "albert_core": {"components", "pipeline", "tests", "kfp", "apache_beam", *CLOUD},
    "components": {"pipeline", "tests", *CLOUD},
    "pipeline": {"tests", *CLOUD},
}
ALLOWED = {
    "albert_core/object_storage/google/client.py": CLOUD,  # where gs:// is read and written
    "albert_core/object_storage/google/errors.py": CLOUD,
    "albert_core/object_storage/google/sessions.py": CLOUD,
    "albert_core/tracking/vertex_experiments.py": CLOUD,  # in a process of its own
    "albert_core/object_storage/s3/client.py": CLOUD,  # where s3:// is
    "albert_core/object_storage/s3/errors.py": CLOUD,
    "albert_core/object_storage/s3/reading.py": CLOUD,
    "albert_core/object_storage/s3/storage.py": CLOUD,
    "components/service_calls.py": CLOUD,  # where services are called
    "components/google_clients.py": CLOUD,
    "components/records/dataflow_jobs.py": CLOUD,
    "components/vertex.py": CLOUD,
    "components/custom_job.py": CLOUD,
    "components/register/vertex_models.py": CLOUD,
    "pipeline/remote/platforms/vertex/client.py": CLOUD,
    "pipeline/remote/image_registry.py": CLOUD,
}
DATA_SIDE = (
    "albert_core",
    "albert_core.config",
    "albert_core.corpus",
    "albert_core.corpus.cleaning",
    "albert_core.records.description",
    "albert_core.records.documents",
    "albert_core.records.shards",
    "albert_core.artifacts.manifest",
    "albert_core.progress",
    "albert_core.artifacts.step",
    "albert_core.settings",
    "albert_core.storage",
    "albert_core.tokenization",
)
TRAINING = {"tensorflow", "keras"}


def source_files(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def imported_modules(path: Path) -> Iterator[str]:
    """Yield the absolute names of all modules a file imports, wherever in the file."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}, line {node.lineno}: relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def loaded_by(*modules: str) -> set[str]:
    """Import modules in a new process; return the names of all it has loaded then."""
    code = f"import sys, {', '.join(modules)}; print(*sys.modules)"
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return set(result.stdout.split())


def forbidden_in(path: Path, package: str) -> set[str]:
    return FORBIDDEN[package] - ALLOWED.get(path.relative_to(ROOT).as_posix(), set())


@pytest.mark.parametrize("package", FORBIDDEN)
def test_imports_go_one_way(package: str) -> None:
    files = source_files(package)
    wrong = [
        f"{path.relative_to(ROOT)} imports {module}"
        for path in files
        for module in imported_modules(path)
        if any(f"{module}.".startswith(f"{other}.") for other in forbidden_in(path, package))
    ]
    assert files
    assert not wrong


def test_data_side_needs_neither_training_framework_nor_beam_nor_kubeflow() -> None:
    assert not loaded_by(*DATA_SIDE) & {
        *TRAINING,
        "kfp",
        "apache_beam",
        "botocore",
        "google.cloud.storage",
    }


def test_pipeline_definition_needs_no_training_framework() -> None:
    loaded = loaded_by("pipeline.albert")
    assert "kfp" in loaded
    assert not loaded & {*TRAINING, "apache_beam"}


def test_task_and_training_settings_are_known_without_a_training_framework() -> None:
    modules = (
        "albert_core.finetuning.config",
        "albert_core.inference",
        "albert_core.optimizers.settings",
        "albert_core.pretraining.config",
        "albert_core.tasks",
        "albert_core.tracking.step",
        "albert_core.tracking.worker",
        "albert_core.training.history",
        "albert_core.training.plan",
        "components.evaluate.step",
    )
    assert not loaded_by(*modules) & TRAINING
