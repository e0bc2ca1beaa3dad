"""What `albert estimate` prints of a pretraining, and while it compiles."""

import contextlib
from collections.abc import Iterator, Sequence

import rich.progress

from albert_core.estimation.estimate import PhaseEstimate
from albert_core.estimation.prices import Prices
from albert_core.progress import ReportProgress, to_stderr
from pipeline.cli.tables import make_console

_GIB, _MIB = 2**30, 2**20


@contextlib.contextmanager
def compilation_progress() -> Iterator[ReportProgress]:
    """Yield a function to report what is compiled with.

    On a terminal a report is a line on standard error that counts the seconds and is gone at the
    end; elsewhere it is a plain line.
    """
    console = make_console(to_stderr=True)
    if not console.is_terminal:
        yield to_stderr("estimate")
        return
    columns = (
        rich.progress.SpinnerColumn(),
        rich.progress.TextColumn("{task.description}", markup=False),
        rich.progress.TimeElapsedColumn(),
    )
    with rich.progress.Progress(*columns, console=console, transient=True) as display:

        def report(done: int, total: int, text: str) -> None:
            """Replace the line, whose seconds begin anew."""
            for shown in display.task_ids:
                display.remove_task(shown)
            display.add_task(text, total=None)

        yield report


def print_estimate(estimates: Sequence[PhaseEstimate], prices: Prices) -> None:
    """Print memory, work, time and price of every phase, and of the run.

    Args:
        estimates: One for each phase, at least one, all on the same slice.
        prices: The prices they were made with.
    """
    first = estimates[0]
    accelerator, config = first.request.accelerator, first.request.config
    print(accelerator)
    for estimate in estimates:
        print(*_phase_lines(estimate), sep="\n")
    hours = sum(estimate.hours for estimate in estimates)
    num_steps = sum(estimate.request.phase.num_train_steps for estimate in estimates)
    print(
        f"the run     {num_steps:,} steps ({config.optimizer}) in {format_hours(hours)}: "
        f"{hours * accelerator.num_chips:,.0f} chip-hours, {_cost(estimates, prices)}"
    )
    print(f"prices      {prices.source}; noted {prices.date}")
    print("An estimate, not a measurement: starts, evaluation and saving come on top.")


def _phase_lines(estimate: PhaseEstimate) -> list[str]:
    """Return the lines about one phase: an empty one, then batch, memory, work, exchange and time.

    The phase must fit into memory: the lines say so unchecked.
    """
    request, compiled = estimate.request, estimate.compiled
    phase, accelerator = request.phase, request.accelerator
    num_gib, limit = compiled.memory_bytes / _GIB, accelerator.chip.memory_gib
    num_parts = estimate.num_micro_batches
    in_parts = f" in {num_parts} micro-batches" if num_parts > 1 else ""
    rematerialized = ", rematerialised" if request.config.rematerialize else ""
    layers = f", {phase.num_hidden_layers} layers" if phase.num_hidden_layers else ""
    exchange = estimate.exchange_seconds / estimate.step_seconds
    return [
        "",
        f"sequence length {phase.sequence_length}{layers}, {phase.batch_size:,} sequences a step, "
        f"{phase.batch_size // estimate.num_data_parallel:,} a chip{in_parts}{rematerialized}",
        f"memory      {num_gib:.2f} of {limit} GiB a chip: fits, {limit - num_gib:.2f} GiB free",
        f"work        {estimate.flops_per_step:.3g} FLOPs a chip and step: "
        f"{estimate.formula_ratio:.3f} of the formula, {estimate.needed_ratio:.3f} of it without "
        "what the last layer skips",
        f"exchange    {compiled.exchanged_bytes / _MIB:,.1f} MiB a chip and step, "
        f"{exchange:.1%} of its time at the links' speed",
        f"speed       {estimate.step_seconds:.4g} s a step, "
        f"{estimate.tokens_per_second:,.0f} tokens/s, at {estimate.utilisation:.0%} of the peak",
        f"time        {format_hours(estimate.hours)} for {phase.num_train_steps:,} steps",
        f"compiled    in {compiled.seconds:.0f} s",
    ]


def format_hours(hours: float) -> str:
    """Return a time in words: seconds below two minutes, minutes below two hours, else hours."""
    if hours < 2 / 60:
        return f"{hours * 3600:.0f} s"
    return f"{hours * 60:.0f} min" if hours < 2 else f"{hours:,.1f} h"


def _cost(estimates: Sequence[PhaseEstimate], prices: Prices) -> str:
    """Return the price of all phases as text; if one has none, how to give it."""
    costs = [estimate.cost for estimate in estimates]
    if any(cost is None for cost in costs):
        return prices.describe_missing(estimates[0].request.accelerator.generation)
    return f"{sum(cost for cost in costs if cost is not None):,.0f} {prices.currency}"
