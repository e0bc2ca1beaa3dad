"""The command `albert compile`; its signature is the command line."""

from typing import Any

from albert_core.artifacts.output_file import refuse_foreign_file
from albert_core.errors import InputError
from albert_core.estimation.prices import LIST_PRICES
from albert_core.progress import to_stderr
from albert_core.storage import write_bytes
from components.service_calls import CallConfig
from pipeline.config import RunConfig
from pipeline.remote.platforms.registry import PLATFORMS, PlatformName
from pipeline.remote.resources import read_resources

_UPLOAD_TAGS = ("latest",)


def compile_for(
    *,
    output: str,
    target: PlatformName,
    work_root: str,
    resources: str = "",
    caching: bool = False,
    upload: str = "",
    upload_tags: tuple[str, ...] = _UPLOAD_TAGS,
    **settings: Any,
) -> None:
    """Compile the pipeline of a configuration for Kubeflow or Vertex AI; nothing is submitted.

    Prints a table of what it will run: step, image, machine, price where it is known, inputs.

    The configuration's values are the defaults of the pipeline's parameters. ALBERT_REGISTRY is
    the registry that holds the images.

    Args:
        output: YAML file to write; takes the place of a compiled pipeline, but of no other file.
        target: `kubeflow` or `vertex`.
        work_root: Folder of work in progress, gs:// or s3://, by which later runs go on with this
            one's.
        resources: YAML file with what steps get, where it is not the default: machines,
            accelerators, retries, timeouts.
        caching: Let the target skip steps it has seen with these inputs, as they are now; for a
            pipeline that runs once, now.
        upload: Repository of templates to upload it to, such as
            https://us-central1-kfp.pkg.dev/PROJECT/REPOSITORY; for `vertex` only.
        upload_tags: Names of the uploaded version.
        **settings: The sections of the run's configuration.
    """
    from pipeline.cli.plan_display import print_plan
    from pipeline.remote.compilation import compile_pipeline
    from pipeline.remote.package import is_own_package, parse_package
    from pipeline.remote.template_upload import check_repository, upload_template

    refuse_foreign_file(output, is_own_package, what="a compiled pipeline")
    if upload:
        check_repository(upload, upload_tags, target=target)
    elif upload_tags != _UPLOAD_TAGS:
        raise InputError(
            f"--upload_tags: got {', '.join(upload_tags) or 'none'} without --upload, expected the "
            "repository that the pipeline is uploaded to; or remove them"
        )
    compiled = compile_pipeline(
        RunConfig(**settings),
        resources=read_resources(PLATFORMS[target].rules, resources),
        work_root=work_root,
        caching=caching,
        progress=to_stderr("compile"),
    )
    write_bytes(output, compiled.text.encode())
    print_plan(parse_package(compiled.text, source=output), LIST_PRICES)
    print(f"{output}: for {target}, {compiled.num_parameter_bytes:,} bytes of parameters")
    if upload:
        print(f"uploaded: {upload_template(compiled.text, upload, upload_tags, CallConfig())}")
