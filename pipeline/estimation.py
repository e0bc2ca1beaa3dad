"""Time and cost of a run's pretraining on a slice of TPUs, and the limit to that cost."""

import dataclasses
from collections.abc import Sequence

from albert_core.checks import check_minimum
from albert_core.config import ModelConfig
from albert_core.errors import InputError
from albert_core.estimation.accelerators import find_slice
from albert_core.estimation.estimate import PhaseEstimate
from albert_core.estimation.estimate import estimate as estimate_phases
from albert_core.estimation.prices import LIST_PRICES, Prices
from albert_core.pretraining.config import PretrainingConfig
from albert_core.progress import to_stderr
from albert_core.records.config import RecordsConfig
from albert_core.settings import parse_settings
from albert_core.tokenization.config import VocabConfig
from pipeline.config import RunConfig, read_yaml
from pipeline.remote.tpu import TpuSlice


@dataclasses.dataclass(frozen=True, kw_only=True)
class CostLimit:
    """The most that pretraining may cost, by the estimate.

    Attributes:
        max_cost: The most, in the currency of the prices; 0 for no limit.
        utilisation: Fraction of the chips' peak that training is taken to reach.
        prices: YAML file with date, source, currency and per_chip_hour; list prices without it.
    """

    max_cost: float = 0.0
    utilisation: float = 0.4
    prices: str = ""

    def __post_init__(self) -> None:
        """Refuse a negative `max_cost`; the other values are checked when an estimate is made.

        Raises:
            InputError: It is negative.
        """
        check_minimum("--max_cost", self.max_cost, 0)


def estimate_run(
    *,
    model: ModelConfig,
    vocab: VocabConfig,
    records: RecordsConfig,
    pretraining: PretrainingConfig,
    accelerator: str,
    utilisation: float,
    prices: str,
) -> tuple[list[PhaseEstimate], Prices]:
    """Estimate every phase of a pretraining, without running anything on a TPU.

    Compiles the training step of each phase, which takes a while; progress goes to standard error.

    Args:
        model: The architecture; its vocabulary size is replaced by `vocab.size`.
        vocab: The vocabulary; only its size is used.
        records: The records; only their sequence length is used, for a pretraining without phases.
        pretraining: How to pretrain.
        accelerator: Name of the slice, such as v5e-256.
        utilisation: Fraction of the chips' peak that training is taken to reach.
        prices: YAML file of prices; empty for the list prices.

    Returns:
        The estimates in the order of the phases, and the prices they were made with.

    Raises:
        InputError: The slice is unknown, the file of prices is missing or wrong, or the training
            does not fit.
    """
    table = read_prices(prices)
    estimates = estimate_phases(
        model=model.with_vocabulary(vocab.size),
        config=pretraining,
        sequence_length=records.sequence_length,
        accelerator=find_slice(accelerator),
        utilisation=utilisation,
        prices=table,
        progress=to_stderr("estimate"),
    )
    return estimates, table


def read_prices(path: str) -> Prices:
    """Return the prices of a file, or the list prices without one.

    Args:
        path: YAML file with date, source, currency and per_chip_hour; empty for the list prices.

    Raises:
        InputError: The file is missing or wrong.
    """
    if not path:
        return LIST_PRICES
    return parse_settings(Prices, read_yaml(path), source=f"--prices {path}")


def check_cost(config: RunConfig, tpu: TpuSlice | None, limit: CostLimit) -> None:
    """Refuse a run whose pretraining is estimated above the limit.

    Does nothing when `limit.max_cost` is 0, nor for a run from a checkpoint, which pretrains
    nothing. Else it compiles the training step, which takes a while, with progress on standard
    error.

    Args:
        config: The run.
        tpu: The slice it pretrains on; None if it pretrains on something else.
        limit: The most it may cost.

    Raises:
        InputError: The estimate is above the limit; or there is no estimate, because the run
            pretrains without TPUs, does not fit, or the prices have none for the slice.
    """
    if not limit.max_cost or config.checkpoint.path:
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
    )
    refuse_above(limit.max_cost, estimates, prices)


def refuse_above(max_cost: float, estimates: Sequence[PhaseEstimate], prices: Prices) -> None:
    """Refuse a pretraining whose phases together are estimated at more than a limit.

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
        raise InputError(f"--prices: no price of {name} ({prices.source}); give a file that has it")
    cost = sum(cost for cost in costs if cost is not None)
    if cost > max_cost:
        raise InputError(
            f"--max_cost: got {max_cost:,.2f}, but pretraining on {name} is estimated at "
            f"{cost:,.2f} {prices.currency}; raise it, or train less"
        )
