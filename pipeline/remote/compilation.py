"""The pipeline of a configuration, compiled to one file for a platform."""

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

from albert_core.errors import InputError, NoAccessError, NoConnectionError
from albert_core.progress import ReportProgress, quiet, report_message
from albert_core.settings import plain_values
from albert_core.tracking.config import GROUP_OF_OUTPUT
from components.image import check_image_variables, get_registry, image_name
from components.resolve.dates import NO_DATE, with_date
from pipeline.albert import OptionalSteps, build_pipeline
from pipeline.config import RunConfig
from pipeline.preflight import pipeline_arguments
from pipeline.remote.inputs import RemoteInputs, list_inputs, refuse_local_inputs
from pipeline.remote.package_text import package_text
from pipeline.remote.platform_config import RemotePlatformConfig
from pipeline.remote.platforms.rules import PlatformRules
from pipeline.remote.resources import Resources


@dataclasses.dataclass(frozen=True, kw_only=True)
class CompiledPipeline:
    """A compiled pipeline.

    Attributes:
        text: The file: YAML, for Kubeflow with a second document of settings for Kubernetes.
        parameters: The values of its parameters, which are their defaults in the file.
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
    """Compile a configuration for a platform; the same input gives the same bytes.

    Needs the variable ALBERT_REGISTRY. Nothing is written or submitted, and images are not looked
    for. Inputs are looked for in their buckets first; without access or a way to a bucket they stay
    unchecked, unless `caching` is set. Steps get the settings of `storage`, or those of this
    process where these are empty, and those of `tracking`, as environment variables, which no cache
    goes by.

    Args:
        config: The run; its inputs are in buckets.
        resources: What the steps get, and on which platform.
        work_root: Folder of work in progress in a bucket, the same for runs that may go on with
            each other's work.
        caching: Let the platform skip steps whose inputs it has seen. It goes by hashes of the
            inputs that are taken now, so it is for a pipeline that runs now, not for one that runs
            again when the text has changed. Without it every step starts, and ends at once if its
            work is done.
        progress: Called with what could not be checked.

    Raises:
        InputError: ALBERT_REGISTRY is not set or no registry, an input is on this machine or
            missing, a setting is wrong, or the parameters are too large or cannot be written.
        NoAccessError: `caching` is set, and a bucket cannot be read from here.
        NoConnectionError: `caching` is set, and there is no way to the buckets.
        ServiceError: A storage that was reached failed.
    """
    storage = config.storage.or_from_environment()
    config.tracking.check_elsewhere(resources.platform.title)
    if not get_registry():
        raise InputError(
            "ALBERT_REGISTRY: got nothing, expected the registry that holds the images, for "
            "example europe-docker.pkg.dev/PROJECT/REPOSITORY; export it"
        )
    check_image_variables()
    _refuse_long_title(config.title, resources.platform)
    refuse_local_inputs(config, work_root)
    try:
        listing: list[str] | None = list_inputs(config)
    except (NoAccessError, NoConnectionError) as error:
        if caching:
            raise
        report_message(progress, f"inputs not looked at ({error})")
        listing = None
    platform = resources.platform
    tracking = config.tracking.for_run(with_date(config.title, "").strip(), folder=None)
    environment = {**storage.environment, **tracking.environment(GROUP_OF_OUTPUT)}
    date = platform.scheduled_date if config.is_dated else NO_DATE
    inputs = RemoteInputs(date=date, listing=listing, with_hashes=caching)
    parameters = pipeline_arguments(config, inputs, work_root=work_root)
    _refuse_large(parameters, platform)
    pipeline = build_pipeline(
        RemotePlatformConfig(resources.with_environment(environment), caching=caching),
        OptionalSteps.for_run(config, is_remote=True),
        _vertex_models(config),
    )
    text = package_text(pipeline, parameters, target=platform.title)
    return CompiledPipeline(text=text, parameters=parameters)


def _vertex_models(config: RunConfig) -> dict[str, Any]:
    """Return the settings of Vertex AI's registry of models, as plain values; {} without one.

    The image is that of the trainer and the format the first of the run's, if they are not set.
    """
    models = config.vertex_models
    if not models.project:
        return {}
    return plain_values(
        dataclasses.asdict(
            dataclasses.replace(
                models,
                image=models.image or image_name("trainer"),
                format=models.format or next(iter(config.export.formats), ""),
            )
        )
    )


def _refuse_long_title(title: str, platform: PlatformRules) -> None:
    """Refuse a title that is longer than the platform takes.

    Raises:
        InputError: The title is longer than `platform.max_title_characters`.
    """
    if len(title) > platform.max_title_characters:
        raise InputError(
            f"title: got {len(title)} characters, expected {platform.max_title_characters} at "
            f"most, the limit of {platform.title}"
        )


def _refuse_large(parameters: Mapping[str, Any], platform: PlatformRules) -> None:
    """Refuse parameters that are longer as JSON than the platform takes, if it has a limit.

    Raises:
        InputError: They are; the message names the largest one.
    """
    size, limit = _num_bytes(parameters), platform.max_parameter_bytes
    if limit is None or size <= limit:
        return
    sizes = {name: _num_bytes(value) for name, value in parameters.items()}
    largest = max(sizes, key=lambda name: sizes[name])
    raise InputError(
        f"parameters: got {size:,} bytes as JSON, of which {largest} is {sizes[largest]:,}; "
        f"expected at most {limit:,}, the limit of {platform.title}; name folders or globs instead "
        "of many files (corpus.files, cleaning.evaluation_sets), or fewer tasks in a run"
    )


def _num_bytes(value: Any) -> int:
    return len(json.dumps(value).encode())
