"""Time and cost of a pretraining or a fine-tuning on accelerators, and the limit to that cost."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from albert_core.errors import InputError
from albert_core.estimation.accelerators import Slice, find_accelerator, find_slice
from albert_core.estimation.estimate import PhaseEstimate
from albert_core.estimation.estimate import estimate as estimate_phases
from albert_core.estimation.finetuning import FinetuningEstimate, estimate_finetuning
from albert_core.estimation.prices import LIST_PRICES, Prices
from albert_core.estimation.task_step import StepLayout, TaskStep
from albert_core.finetuning.config import FinetuningConfig
from albert_core.finetuning.models import tuned_architecture
from albert_core.presets import ModelConfig
from albert_core.pretraining.config import PretrainingConfig
from albert_core.progress import ReportProgress, report_message, to_stderr
from albert_core.records.config import RecordsConfig
from albert_core.settings import parse_settings
from albert_core.settings.checks import check_minimum
from albert_core.storage import exists, join
from albert_core.tasks import TASKS, Task, find_task, named_task
from albert_core.tasks.declarations import DECLARATION_NAME
from albert_core.tasks.sizes import count_examples, published_size
from albert_core.tokenization.config import VocabConfig
from pipeline.config import RunConfig
from pipeline.config_files import read_section
from pipeline.remote.tpu import TpuSlice

_NOT_COUNTED = (
    "fine-tuning and all other steps are not counted (albert estimate --task tells what a "
    "fine-tuning costs)"
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class CostLimit:
    """The most that pretraining may cost, by the estimate.

    A negative `max_cost`, or a `utilisation` without one, raises InputError; the other values are
    checked when an estimate is made.

    Attributes:
        max_cost: The most, in the currency of the prices; 0 for no limit.
        utilisation: Fraction of the chips' peak that training is taken to reach.
        prices: YAML file with date, source, currency and per_chip_hour; list prices without it.
    """

    max_cost: float = 0.0
    utilisation: float = 0.4
    prices: str = ""

    def __post_init__(self) -> None:
        """Refuse a negative `max_cost`, and a `utilisation` without one, which has no effect.

        Raises:
            InputError: One of these is given.
        """
        check_minimum("--max_cost", self.max_cost, 0)
        if not self.max_cost and self.utilisation != CostLimit.utilisation:
            raise InputError(
                f"--utilisation: got {self.utilisation} without --max_cost, so that nothing is "
                "estimated; add the limit, or remove it (albert estimate tells time and price)"
            )


def estimate_run(
    *,
    model: ModelConfig,
    vocab: VocabConfig,
    records: RecordsConfig,
    pretraining: PretrainingConfig,
    accelerator: str,
    utilisation: float,
    prices: str,
    progress: ReportProgress,
) -> tuple[list[PhaseEstimate], Prices]:
    """Estimate every phase of a pretraining, without running anything on a TPU.

    Compiles the training step of each phase, which takes a while.

    Args:
        model: The architecture; its vocabulary size is replaced by `vocab.size`.
        vocab: The vocabulary; only its size is used.
        records: The records; only their sequence length is used, for a pretraining without phases.
        pretraining: How to pretrain.
        accelerator: Name of the slice, such as v5e-256.
        utilisation: Fraction of the chips' peak that training is taken to reach.
        prices: YAML file of prices; empty for the list prices.
        progress: Called with a message about what is compiled.

    Returns:
        The estimates in the order of the phases, and the prices they were made with. Without a
        price of the chips the estimates have no cost.

    Raises:
        InputError: The slice is unknown, the file of prices is missing or wrong, `utilisation` is
            not above 0 and at most 1, the training cannot be divided by the chips or does not fit,
            or the compiler is not installed.
        ServiceError: The storage failed.
    """
    table = read_prices(prices)
    estimates = estimate_phases(
        model=model.with_vocabulary(vocab.size),
        config=pretraining,
        sequence_length=records.sequence_length,
        accelerator=find_slice(accelerator),
        utilisation=utilisation,
        prices=table,
        progress=progress,
    )
    return estimates, table


def estimate_task(
    *,
    task: str,
    data_dir: str,
    model: ModelConfig,
    vocab: VocabConfig,
    finetuning: FinetuningConfig,
    accelerator: str,
    utilisation: float,
    prices: str,
    is_calculated: bool,
    progress: ReportProgress,
) -> tuple[FinetuningEstimate, Prices]:
    """Estimate a fine-tuning, without running anything on an accelerator.

    Args:
        task: A known task, the folder or the task.yaml of another, or one of `data_dir`.
        data_dir: Folder of the tasks' folders, in which examples are counted; empty for the
            published sizes.
        model: The architecture; its vocabulary size is replaced by `vocab.size`.
        vocab: The vocabulary; only its size is used.
        finetuning: How to fine-tune; `recipe` and `per_task` are resolved for the task.
        accelerator: Name of a slice of TPUs, such as v5e-8, or of GPUs, such as h200 or 8xh100.
        utilisation: Fraction of the chips' peak that training is taken to reach.
        prices: YAML file of prices; empty for the list prices.
        is_calculated: Whether nothing is compiled; else the step of a slice of TPUs is. For GPUs
            all is calculated in any case.
        progress: Called with a message about what is compiled.

    Returns:
        The estimate, and the prices that it was made with.

    Raises:
        InputError: The task, its files, the chips or the file of prices cannot be used;
            `utilisation` is not above 0 and at most 1; a setting is one that no estimate knows of;
            nothing fits; or something is to be compiled without the compiler.
        ServiceError: The storage failed.
    """
    table, chips = read_prices(prices), find_accelerator(accelerator)
    declared, folder = _find_task(task, data_dir)
    config = finetuning.for_task(declared)
    if config.frozen != "nothing":
        raise InputError(
            f"finetuning.frozen: got {config.frozen}, expected nothing: the estimate is of a "
            "training of all weights"
        )
    if config.precision == "float32" and (is_calculated or not isinstance(chips, Slice)):
        raise InputError(
            "finetuning.precision: got float32, expected auto or bfloat16: what is calculated is "
            "of bfloat16; a slice of TPUs can be compiled"
        )
    size = (
        count_examples(declared, folder, leaves_out=config.leaves_out(declared))
        if folder
        else published_size(declared)
    )
    step = TaskStep(
        model=tuned_architecture(model.with_vocabulary(vocab.size), config),
        task=declared,
        config=config,
        layout=StepLayout.from_config(config),
        accelerator=chips,
    )
    estimate = estimate_finetuning(
        step,
        size,
        utilisation=utilisation,
        prices=table,
        compiles=not is_calculated,
        progress=progress,
    )
    return estimate, table


def _find_task(task: str, data_dir: str) -> tuple[Task, Path | None]:
    """Return a task, and the local folder of its files; None for a known task without `data_dir`.

    Files in the cloud are fetched. A folder of this path that has a task.yaml wins over one of that
    name in `data_dir`.

    Args:
        task: A known task, the folder or the task.yaml of another, or one of `data_dir`.
        data_dir: Folder of the tasks' folders; empty: that of the task.yaml.

    Raises:
        InputError: The task is unknown, its declaration is wrong, or there are no files of it.
        ServiceError: The storage of files in the cloud failed.
    """
    declaration = task if task.endswith((".yaml", ".yml")) else join(task, DECLARATION_NAME)
    if task not in TASKS and exists(declaration):
        return find_task(declaration, data_dir or declaration.rpartition("/")[0] or ".")
    if data_dir:
        return find_task(task, data_dir)
    return named_task(task), None


def read_prices(path: str) -> Prices:
    """Return the prices of a file, or the list prices without one.

    Args:
        path: YAML file with date, source, currency and per_chip_hour, local, gs:// or s3://; empty
            for the list prices.

    Raises:
        InputError: The file is missing, cannot be read or is wrong.
        ServiceError: A bucket does not answer.
    """
    if not path:
        return LIST_PRICES
    values = read_section(path, Prices, option="--prices")
    return parse_settings(Prices, values, source=f"--prices {path}")


def check_cost(config: RunConfig, tpu: TpuSlice | None, limit: CostLimit) -> None:
    """Refuse a run whose pretraining is estimated above the limit.

    Does nothing when `limit.max_cost` is 0. For a run from a checkpoint, which pretrains nothing,
    it says that nothing is counted. Else it compiles the training step, which takes a while, with
    progress on standard error, and says what was estimated and what is not counted.

    Args:
        config: The run.
        tpu: The slice it pretrains on; None if it pretrains on something else.
        limit: The most it may cost.

    Raises:
        InputError: The estimate is above the limit; the file of prices is missing or wrong; or
            there is no estimate, because the run pretrains without TPUs, does not fit, or the
            prices have none for the slice.
        ServiceError: The storage failed.
    """
    if not limit.max_cost:
        return
    report = to_stderr("estimate")
    if config.checkpoint.path:
        report_message(
            report, f"--max_cost limits nothing of a run from a checkpoint; {_NOT_COUNTED}"
        )
        return
    if tpu is None:
        raise InputError(
            "--max_cost: got it for pretraining without TPUs, for which there is no estimate; "
            "remove it"
        )
    estimates, prices = estimate_run(
        model=config.model,
        vocab=config.vocab,
        records=config.records,
        pretraining=config.pretraining,
        accelerator=tpu.name,
        utilisation=limit.utilisation,
        prices=limit.prices,
        progress=report,
    )
    cost = refuse_above(limit.max_cost, estimates, prices)
    report_message(
        report, f"pretraining on {tpu.name}: {cost:,.2f} {prices.currency}; {_NOT_COUNTED}"
    )


def refuse_above(max_cost: float, estimates: Sequence[PhaseEstimate], prices: Prices) -> float:
    """Refuse a pretraining whose phases together are estimated at more than a limit.

    Returns the price of all phases.

    Args:
        max_cost: The limit, in the currency of the prices; 0 is a limit, too.
        estimates: One for each phase, at least one, all on the same slice.
        prices: The prices they were made with, named in the message.

    Raises:
        InputError: The sum is above the limit, or a phase has no price.
    """
    name = estimates[0].request.accelerator.name
    costs = [estimate.cost for estimate in estimates]
    if None in costs:
        kind = estimates[0].request.accelerator.generation
        raise InputError(f"--max_cost: {prices.describe_missing(kind)}, or remove --max_cost")
    cost = sum(cost for cost in costs if cost is not None)
    if cost > max_cost:
        raise InputError(
            f"--max_cost: got {max_cost:,.2f}, but pretraining on {name} is estimated at "
            f"{cost:,.2f} {prices.currency}; raise it, or train less"
        )
    return cost
