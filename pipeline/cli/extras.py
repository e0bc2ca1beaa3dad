"""Which extra of this package brings a package that is missing."""

from collections.abc import Mapping

# By the name under which it is imported; the longest that fits counts.
_EXTRAS: Mapping[str, str] = {
    "ai_edge_litert": "export",
    "apache_beam": "data",
    "dask": "dask",
    "distributed": "dask",
    "docker": "docker",
    "fastapi": "serve",
    "google.cloud.aiplatform": "vertex",
    "google.cloud.aiplatform_v1": "vertex",
    "google": "data",
    "jax": "jax",
    "jinja2": "report",
    "keras": "train",
    "kfp": "pipeline",
    "matplotlib": "report",
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
}


def describe_missing_package(command: str, error: ModuleNotFoundError) -> str | None:
    """Return what to install for a command that found a package missing, in one line.

    None if the package is of no extra: then it is no matter of installation.

    Args:
        command: The command, for the message.
        error: What its import raised.
    """
    parts = (error.name or "").split(".")
    names = (".".join(parts[:count]) for count in range(len(parts), 0, -1))
    extra = next((_EXTRAS[name] for name in names if name in _EXTRAS), None)
    if extra is None:
        return None
    return (
        f"{command}: needs the package {error.name}, which is not installed; it comes with "
        f"pip install 'albert-pipeline[{extra}]', from a checkout pip install -e '.[{extra}]'"
    )
