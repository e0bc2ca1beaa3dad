"""The commands of a whole run: run and estimate; their signatures are the command line."""

from pathlib import Path
from typing import Any

from albert_core.errors import InputError
from albert_core.finetuning.config import FinetuningConfig
from albert_core.presets import ModelConfig
from albert_core.pretraining.config import PretrainingConfig
from albert_core.records.config import RecordsConfig
from albert_core.storage import is_remote, join
from albert_core.tokenization.config import VocabConfig
from components.resolve.dates import NO_DATE, has_date, parse_date, today, with_date
from pipeline.config import RunConfig, Runner


def run(
    *,
    output: str,
    date: str = "",
    reconfigure: bool = False,
    runner: Runner = "process",
    yes: bool = False,
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
        yes: Start it even if pretraining would take more than a day on this machine.
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
    options: dict[str, Any] = {
        "date": day if is_needed else NO_DATE,
        "reconfigure": reconfigure,
        "is_confirmed": yes,
    }
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


def estimate(
    *,
    model: ModelConfig,
    vocab: VocabConfig,
    records: RecordsConfig,
    pretraining: PretrainingConfig,
    finetuning: FinetuningConfig,
    accelerator: str,
    task: str = "",
    data_dir: str = "",
    calculated: bool = False,
    utilisation: float = 0.4,
    prices: str = "",
) -> None:
    """Tell what a pretraining or a fine-tuning would need on accelerators, without having them.

    A pretraining is compiled for a slice of TPUs. A fine-tuning is, too; for GPUs it is calculated.

    Args:
        model: The architecture.
        vocab: The vocabulary; its size counts.
        records: The records; their sequence length counts.
        pretraining: How to pretrain.
        finetuning: How to fine-tune; the original's recipe for the task fills what is not given.
        accelerator: A slice of TPUs: v5e-256, v6e-8 (chips) or v5p-8 (cores), for example; for
            fine-tuning also GPUs: l4, a100-40, a100-80, h100, h200, or several, as 8xh100.
        task: Task to fine-tune on, in place of a pretraining: one of GLUE, squad1, squad2, race,
            a folder with a task.yaml, or a name in data_dir.
        data_dir: Folder of the tasks' folders, where examples are counted; the published numbers
            of the known tasks without it.
        calculated: Compile nothing: memory and time of a fine-tuning are calculated at once.
        utilisation: Fraction of the chips' peak that training is taken to reach.
        prices: YAML file with date, source, currency and per_chip_hour; list prices without it.
    """
    from pipeline.cli.estimate_display import compilation_progress, print_estimate
    from pipeline.cli.finetuning_estimate_display import print_finetuning_estimate
    from pipeline.estimation import estimate_run, estimate_task

    common: dict[str, Any] = {
        "model": model,
        "vocab": vocab,
        "accelerator": accelerator,
        "utilisation": utilisation,
        "prices": prices,
    }
    if not task and calculated:
        raise InputError(
            "--calculated: got it without --task, expected it with one: a pretraining is compiled"
        )
    if task:
        with compilation_progress() as progress:
            task_estimate, table = estimate_task(
                task=task,
                data_dir=data_dir,
                finetuning=finetuning,
                is_calculated=calculated,
                progress=progress,
                **common,
            )
        print_finetuning_estimate(task_estimate, table)
        return
    with compilation_progress() as progress:
        estimates, table = estimate_run(
            records=records, pretraining=pretraining, progress=progress, **common
        )
    print_estimate(estimates, table)
