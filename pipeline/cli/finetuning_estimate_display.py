"""What `albert estimate --task` prints of a fine-tuning."""

from collections.abc import Iterator

from albert_core.estimation.accelerators import Gpus
from albert_core.estimation.finetuning import FinetuningEstimate
from albert_core.estimation.prices import Prices
from albert_core.estimation.task_estimate import TaskEstimate
from pipeline.cli.estimate_display import format_hours

_GIB = 2**30


def print_finetuning_estimate(estimate: FinetuningEstimate, prices: Prices) -> None:
    """Print what a fine-tuning needs as it is asked for, what would fit, and time and price.

    Args:
        estimate: The estimate.
        prices: The prices it was made with.
    """
    print(*_lines(estimate, prices), sep="\n")


def _lines(estimate: FinetuningEstimate, prices: Prices) -> Iterator[str]:
    """Yield the lines that `print_finetuning_estimate` prints.

    They name the accelerator, the task and its settings; the memory needed, and the layouts that
    fit if the one asked for does not; how many examples fit at a time; work, speed, time and price
    of the fastest layout that fits; and what the estimate leaves out.

    Args:
        estimate: The estimate.
        prices: The prices it was made with.
    """
    step, size = estimate.asked.step, estimate.asked.size
    task, config, chip = step.task, step.config, step.accelerator.chip
    yield str(step.accelerator)
    recipe = f"the original's recipe ({task.recipe.source})"
    has_recipe = config.recipe == "original" and task.recipe.settings()
    yield (
        f"{task.name}: {size.num_train:,} examples to train on, {size.num_dev:,} to evaluate "
        f"({size.source}); {recipe if has_recipe else 'the settings of finetuning'}"
    )
    group = step.sequences_of_example
    group_text = f", {group} sequences an example" if group > 1 else ""
    yield (
        f"sequence length {config.sequence_length}{group_text}, {config.batch_size:,} examples a "
        f"step, {_division(estimate.asked)}"
    )
    yield ""
    verdict = "does not fit" if estimate.proposals else "fits"
    yield f"memory      {_memory(estimate.asked)}: {verdict}"
    for proposal in estimate.proposals:
        yield f"  fits with {proposal.step.layout.options or 'the settings as they are'}"
        yield f"            {_memory(proposal)}, {_division(proposal)}: {_total(proposal, prices)}"
    most = f"{estimate.most_examples:,} examples of {chip.memory_gib:g} GiB"
    if estimate.most_rematerialized is not None:
        most += f", {estimate.most_rematerialized:,} rematerialised"
    yield f"at a time   at most {most} (calculated)"
    yield from _time_lines(estimate.best)
    yield f"price       {_total(estimate.best, prices)}"
    yield f"prices      {prices.source}; noted {prices.date}"
    yield (
        "An estimate, not a measurement, with all sequences at full length: batches of shorter "
        "ones take less; starts, the frozen probe and saving come on top."
    )
    if isinstance(step.accelerator, Gpus):
        yield "Calculated for JAX; TensorFlow keeps more values of a layer."


def _time_lines(estimate: TaskEstimate) -> Iterator[str]:
    """Yield the lines about work, speed and time of the layout that is best."""
    by = "compiled" if estimate.compiled_flops else "calculated"
    yield f"work        {estimate.flops_per_step:.3g} FLOPs a chip and step ({by})"
    yield (
        f"speed       {estimate.step_seconds:.3g} s a step, {estimate.evaluation_seconds:.3g} s "
        f"an evaluation, at {estimate.utilisation:.0%} of the peak"
    )
    trainings = estimate.num_trainings
    times = f", {trainings} times" if trainings > 1 else ""
    yield (
        f"time        {format_hours(estimate.hours)} for {estimate.num_train_steps:,} steps and "
        f"{estimate.num_evaluations:,} evaluations{times}"
    )
    if estimate.compiled:
        yield f"compiled    in {estimate.compiled.seconds:.0f} s"


def _memory(estimate: TaskEstimate) -> str:
    """Return as text what is needed of a chip's memory, and whether compiled or calculated."""
    limit = estimate.step.accelerator.chip.memory_gib
    by = "compiled" if estimate.compiled else "calculated"
    return f"{estimate.memory_bytes / _GIB:.2f} of {limit:g} GiB a chip ({by})"


def _division(estimate: TaskEstimate) -> str:
    """Return in words how many examples of a step a chip or group has, in how many parts."""
    step = estimate.step
    group = step.layout.model_parallel_size
    holder = "a chip" if group == 1 else f"a group of {group} chips"
    parts = step.num_micro_batches
    in_parts = f" in {parts} micro-batches" if parts > 1 else ""
    return f"{step.examples_at_a_time * parts:,} {holder}{in_parts}"


def _total(estimate: TaskEstimate, prices: Prices) -> str:
    """Return time, hours of all chips and price as text; without a price, how to give it."""
    chip_hours = estimate.hours * estimate.step.accelerator.num_chips
    cost = estimate.cost
    price = (
        prices.describe_missing(estimate.step.accelerator.generation)
        if cost is None
        else f"{cost:,.2f} {prices.currency}"
    )
    return f"{format_hours(estimate.hours)}, {chip_hours:,.1f} chip-hours, {price}"
