"""Which extra of this package brings a package that is missing."""

import importlib.util
import os
from collections.abc import Mapping

from albert_core.errors import InputError

# By the name under which it is imported; the longest that fits counts.
_EXTRAS: Mapping[str, str] = {
    "ai_edge_litert": "export",
    "apache_beam": "data",
    "botocore": "s3",
    "dask": "dask",
    "distributed": "dask",
    "docker": "docker",
    "fastapi": "serve",
    "google_cloud_pipeline_components": "vertex",
    "google.cloud.aiplatform": "vertex",
    "google.cloud.aiplatform_v1": "vertex",
    "google": "data",
    "jax": "jax",
    "jinja2": "report",
    "keras": "train",
    "kfp": "pipeline",
    "matplotlib": "report",
    "mlflow": "mlflow",
    "numba": "data,train",
    "onnx": "export",
    "onnxruntime": "export",
    "prometheus_client": "serve",
    "pyarrow": "data",
    "requests": "pipeline",
    "safetensors": "train",
    "scipy": "train",
    "sentencex": "data",
    "sklearn": "train",
    "tensorboard": "train",
    "tensorflow": "train",
    "tensorflow_text": "export",
    "tf2onnx": "export",
    "tokenizers": "data",
    "uvicorn": "serve",
    "wandb": "wandb",
}

# What the steps of every run import, and of those from text.
_OF_RUNS = ("kfp", "keras", "numba", "safetensors", "scipy", "sklearn", "jinja2", "matplotlib")
_OF_TEXT = ("apache_beam", "pyarrow", "sentencex")


def describe_missing_package(command: str, error: ModuleNotFoundError) -> str | None:
    """Say in one line what to install for a command that found a package missing.

    None if the package is of no extra: then it is no matter of installation.

    Args:
        command: The command, for the message.
        error: What its import raised.
    """
    package = error.name or ""
    extra = _find_extra(package)
    return None if extra is None else _describe(command, package, extra)


def refuse_missing_packages_of_run(*, has_text: bool) -> None:
    """Refuse a run on this machine whose steps would find a package missing, one of them late.

    Looked for, without importing it, is what the steps of every run import, among it the backend
    that the variable KERAS_BACKEND names (TensorFlow if it is not set or empty).

    Args:
        has_text: Whether the run begins with text, not with a checkpoint.

    Raises:
        InputError: A package is missing; names the first and its extra. Or KERAS_BACKEND is none
            of the two backends.
    """
    for package in (*_OF_RUNS, chosen_backend(), *(_OF_TEXT if has_text else ())):
        if importlib.util.find_spec(package) is None:
            raise InputError(_describe("run", package, _find_extra(package) or "train"))


def chosen_backend() -> str:
    """Return the backend that the variable KERAS_BACKEND names; TensorFlow if it is not set.

    Raises:
        InputError: It names none of the two.
    """
    backend = os.environ.get("KERAS_BACKEND") or "tensorflow"
    if backend not in ("tensorflow", "jax"):
        raise InputError(f"KERAS_BACKEND: got {backend!r}, expected tensorflow or jax")
    return backend


def _find_extra(package: str) -> str | None:
    """Return the extra of a dotted package, or else of the nearest one that it is in, or None."""
    parts = package.split(".")
    names = (".".join(parts[:count]) for count in range(len(parts), 0, -1))
    return next((_EXTRAS[name] for name in names if name in _EXTRAS), None)


def _describe(command: str, package: str, extra: str) -> str:
    return (
        f"{command}: needs the package {package}, which is not installed; it comes with "
        f"pip install 'albert-pipeline[{extra}]', from a checkout `make setup-all`"
    )
