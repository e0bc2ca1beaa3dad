"""The pipeline of a configuration as one file that Kubeflow or Vertex AI takes."""

import dataclasses
import itertools
import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kfp import compiler

from albert_core.errors import InputError, NoAccessError
from albert_core.progress import ReportProgress, quiet
from components.resolve.dates import NO_DATE, SCHEDULED_DATE
from pipeline.albert import build_pipeline, optional_steps_of
from pipeline.config import RunConfig
from pipeline.preflight import pipeline_arguments
from pipeline.remote.inputs import RemoteInputs, list_inputs, refuse_local_inputs
from pipeline.remote.placement import TargetPlacement
from pipeline.remote.resources import Resources

# What Kubeflow's API server takes, if it is not told otherwise by MAX_PARAMETER_BYTES.
MAX_PARAMETER_BYTES = 10_000


@dataclasses.dataclass(frozen=True, kw_only=True)
class CompiledPipeline:
    """A pipeline as a target takes it.

    Attributes:
        text: The file: YAML, of Kubeflow with a second document for what is of Kubernetes only.
        parameters: The values of its parameters, which are their defaults there.
    """

    text: str
    parameters: Mapping[str, Any]

    @property
    def num_parameter_bytes(self) -> int:
        """Size of the parameters as JSON."""
        return _num_bytes(self.parameters)


def compile_pipeline(
    config: RunConfig,
    *,
    resources: Resources,
    work_root: str,
    caching: bool = False,
    progress: ReportProgress = quiet,
) -> CompiledPipeline:
    """Compile a configuration for a target; the same input gives the same bytes.

    Args:
        config: The run; its inputs are in buckets.
        resources: What the steps get, and on which target.
        work_root: gs:// folder of work in progress, the same for runs that may go on with each
            other's work.
        caching: Let the target skip steps whose inputs it has seen. It goes by hashes that are
            taken now, so it is for a pipeline that runs now, not for one that runs again when the
            text has changed. Without it steps start, and find finished work by its contents.
        progress: Told what could not be checked.

    Raises:
        InputError: An input is on this machine or missing, or the parameters are too large.
    """
    if "ALBERT_REGISTRY" not in os.environ:
        raise InputError(
            "ALBERT_REGISTRY: got nothing, expected the registry that holds the images, for "
            "example europe-docker.pkg.dev/PROJECT/REPOSITORY; export it"
        )
    refuse_local_inputs(config, work_root)
    try:
        listing: list[str] | None = list_inputs(config)
    except NoAccessError as error:
        if caching:
            raise
        progress(0, 0, f"inputs not looked at ({error})")
        listing = None
    date = SCHEDULED_DATE[resources.target] if config.is_dated else NO_DATE
    inputs = RemoteInputs(date=date, listing=listing, with_hashes=caching)
    parameters = pipeline_arguments(config, inputs, work_root=work_root)
    if resources.target == "kubeflow":
        _refuse_large(parameters)
    placement = TargetPlacement(resources, caching=caching)
    pipeline = build_pipeline(placement, optional_steps_of(config, is_remote=True))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "pipeline.yaml"
        compiler.Compiler().compile(pipeline, str(path), pipeline_parameters=parameters)
        text = _without_header(path.read_text(encoding="utf-8"))
    return CompiledPipeline(text=text, parameters=parameters)


def _without_header(text: str) -> str:
    """Leave out kfp's comment on the inputs, which names them in an order that changes."""
    lines = text.splitlines(keepends=True)
    return "".join(itertools.dropwhile(lambda line: line.startswith("#"), lines))


def _refuse_large(parameters: Mapping[str, Any]) -> None:
    size = _num_bytes(parameters)
    if size <= MAX_PARAMETER_BYTES:
        return
    sizes = {name: _num_bytes(value) for name, value in parameters.items()}
    largest = max(sizes, key=lambda name: sizes[name])
    raise InputError(
        f"parameters: got {size:,} bytes as JSON, of which {largest} is {sizes[largest]:,}; "
        f"expected at most {MAX_PARAMETER_BYTES:,}, the limit of Kubeflow; name folders or globs "
        "instead of many files (corpus.files, cleaning.evaluation_sets), or fewer tasks in a run"
    )


def _num_bytes(value: Any) -> int:
    return len(json.dumps(value).encode())
