"""The commands of a whole run: run, compile and estimate; their signatures are the command line."""

from pathlib import Path
from typing import Any

from albert_core.artifacts.output_file import refuse_foreign_file
from albert_core.config import ModelConfig
from albert_core.errors import InputError
from albert_core.estimation.prices import LIST_PRICES
from albert_core.pretraining.config import PretrainingConfig
from albert_core.progress import to_stderr
from albert_core.records.config import RecordsConfig
from albert_core.storage import is_remote, join, write_bytes
from albert_core.tokenization.config import VocabConfig
from components.resolve.dates import NO_DATE, has_date, parse_date, today, with_date
from components.service_calls import CallConfig
from pipeline.config import RunConfig, Runner
from pipeline.remote.platforms.registry import PLATFORMS, PlatformName
from pipeline.remote.resources import read_resources


def run(
    *,
    output: str,
    date: str = "",
    reconfigure: bool = False,
    runner: Runner = "process",
    **settings: Any,
) -> None:
    """Run the whole pipeline on this machine; what is done already is not done again.

    Args:
        output: The run's folder, local, gs:// or s3://; may hold {{ds}}.
        date: Date that takes the place of {{ds}} in output, corpus.files and title, YYYY-MM-DD; a
            run with retraining goes on from the model accepted last before it. Today, in UTC, if
            a run needs one.
        reconfigure: Let the folder take over changed settings; the steps they touch run again.
        runner: What a step is: a `process` in this environment, or a `docker` container without
            network, of the images of `make images`.
        **settings: The sections of the run's configuration.
    """
    from pipeline.cli.run_display import print_next_commands
    from pipeline.cli.tables import print_result
    from pipeline.local.run import run_locally
    from pipeline.local.stored_run import run_to_bucket

    config = RunConfig(**settings)
    day = parse_date(date or today())
    is_needed = config.is_dated or (date and not has_date(output))
    folder = with_date(output, day)
    options: dict[str, Any] = {"date": day if is_needed else NO_DATE, "reconfigure": reconfigure}
    if is_remote(folder):
        if runner == "docker":
            raise InputError(
                f"output {folder}: got an address in the cloud with runner docker, whose "
                "containers have no network; expected a local folder, or --runner process"
            )
        result = run_to_bucket(config, folder, **options)
        page = join(folder, result.page.name)
    else:
        result = run_locally(config, Path(folder), runner=runner, **options)
        folder, page = str(result.folder), str(result.page)
    print_result(result.summary, result.steps_run, page)
    print_next_commands(folder)


def compile_for(
    *,
    output: str,
    target: PlatformName,
    work_root: str,
    resources: str = "",
    caching: bool = False,
    upload: str = "",
    upload_tags: tuple[str, ...] = ("latest",),
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


def estimate(
    *,
    model: ModelConfig,
    vocab: VocabConfig,
    records: RecordsConfig,
    pretraining: PretrainingConfig,
    accelerator: str,
    utilisation: float = 0.4,
    prices: str = "",
) -> None:
    """Tell what a pretraining would need on a slice of TPUs, without having one.

    Args:
        model: The architecture.
        vocab: The vocabulary; its size counts.
        records: The records; their sequence length counts.
        pretraining: How to pretrain.
        accelerator: The slice: v5e-256, v6e-8 (chips) or v5p-8 (cores), for example.
        utilisation: Fraction of the chips' peak that training is taken to reach.
        prices: YAML file with date, source, currency and per_chip_hour; list prices without it.
    """
    from pipeline.cli.estimate_display import print_estimate
    from pipeline.estimation import estimate_run

    estimates, table = estimate_run(
        model=model,
        vocab=vocab,
        records=records,
        pretraining=pretraining,
        accelerator=accelerator,
        utilisation=utilisation,
        prices=prices,
    )
    print_estimate(estimates, table)
