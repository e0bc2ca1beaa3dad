"""Estimates memory, time and price of a fine-tuning: by the compiler for TPUs, or calculated."""

import dataclasses
from collections.abc import Iterator
from concurrent.futures import Executor

from albert_core.errors import InputError
from albert_core.estimation.accelerators import Slice, check_strategy, check_utilisation
from albert_core.estimation.compiled_step import (
    compile_step,
    flops_of_all_layers,
    in_compiler_process,
    submit_single_layer,
)
from albert_core.estimation.memory import weights_bytes
from albert_core.estimation.prices import Prices
from albert_core.estimation.task_estimate import (
    TaskEstimate,
    bytes_of_sequence,
    safe_memory,
)
from albert_core.estimation.task_step import StepLayout, TaskStep
from albert_core.processes.interruptible_calls import call_stoppably
from albert_core.progress import ReportProgress, quiet, report_message
from albert_core.tasks.sizes import TaskSize

_GIB = 2**30
_MOST_ATTEMPTS = 4
_NUM_PROCESSES = 2


@dataclasses.dataclass(frozen=True, kw_only=True)
class FinetuningEstimate:
    """The estimate of a fine-tuning as asked for, and of layouts that fit if it does not.

    Attributes:
        asked: Estimate with the layout of the settings.
        proposals: Estimates with other layouts, which fit, the fastest first; empty if `asked`
            fits.
        most_examples: Calculated number of examples that fit at a time on a chip, or on a group of
            chips.
        most_rematerialized: That number with rematerialisation; None with dropout, which forbids
            it.
    """

    asked: TaskEstimate
    proposals: tuple[TaskEstimate, ...]
    most_examples: int
    most_rematerialized: int | None

    @property
    def best(self) -> TaskEstimate:
        """The fastest that fits: as asked, or the first of the proposals."""
        return self.proposals[0] if self.proposals else self.asked


def estimate_finetuning(
    step: TaskStep,
    size: TaskSize,
    *,
    utilisation: float,
    prices: Prices,
    compiles: bool,
    progress: ReportProgress = quiet,
) -> FinetuningEstimate:
    """Estimate memory, time and price of a fine-tuning.

    Where what is asked for does not fit, that is no error as long as another layout does: then
    there are proposals.

    Args:
        step: Its training step, as asked for.
        size: The size of the task.
        utilisation: Assumed fraction of a chip's peak rate.
        prices: What an hour of a chip costs.
        compiles: Whether the step of a slice of TPUs is compiled; all else is calculated. Compiled
            is what is asked for if it fits by the calculation, else the first proposal; and where
            that does not fit as compiled, smaller micro-batches and then rematerialisation.
        progress: Called with a message about what is compiled.

    Raises:
        InputError: `utilisation` is not above 0 and at most 1; one of several chips is to train;
            the chips cannot be divided by the model's parts; nothing fits, or nothing that was
            compiled; the step cannot be made with its settings; or the compiler is not installed,
            or has no /dev/shm.
    """
    check_utilisation(utilisation)
    accelerator, parts = step.accelerator, step.layout.model_parallel_size
    check_strategy(step.config.strategy, accelerator, "finetuning")
    if accelerator.num_chips % parts:
        raise InputError(
            f"finetuning.model_parallel_size: got {parts}, expected a divisor of the "
            f"{accelerator.num_chips} chips of {accelerator.name}"
        )
    price = prices.per_chip_hour.get(accelerator.generation)
    asked = TaskEstimate(
        step=step,
        size=size,
        utilisation=utilisation,
        price_per_hour=None if price is None else price * accelerator.num_chips,
    )
    proposals = () if asked.is_within_memory else _propose(asked)
    estimate = FinetuningEstimate(
        asked=asked,
        proposals=proposals,
        most_examples=_most_examples(step, rematerialize=False),
        most_rematerialized=(
            None if step.model.has_dropout else _most_examples(step, rematerialize=True)
        ),
    )
    if not (compiles and isinstance(accelerator, Slice)):
        return estimate

    def compile_best() -> FinetuningEstimate:
        with in_compiler_process(_NUM_PROCESSES) as executor:
            return _compile_best(estimate, executor, progress)

    return call_stoppably(compile_best)


def _most_examples(
    step: TaskStep, *, rematerialize: bool, model_parallel_size: int | None = None
) -> int:
    """Return how many examples fit at a time on a chip, or on a group of them; 0 if not even one.

    The batch sets no limit. Memory for the sum of gradients is always counted, as if a step had
    several micro-batches.

    Args:
        step: Gives model, settings, task and chips, but not the layout.
        rematerialize: Whether the layers are rematerialised.
        model_parallel_size: Chips of a group; None: as in the step's layout.
    """
    size = model_parallel_size or step.layout.model_parallel_size
    layout = StepLayout(rematerialize=rematerialize, model_parallel_size=size)
    limit = safe_memory(step)
    left = limit - weights_bytes(step.model, step.config.optimizer, size, accumulates=True)
    return max(0, int(left / (bytes_of_sequence(step, layout) * step.sequences_of_example)))


def _propose(asked: TaskEstimate) -> tuple[TaskEstimate, ...]:
    """Return estimates of other layouts that fit by the calculation, the fastest first.

    With micro-batches, with rematerialisation and, only where neither helps, with groups of chips
    that hold one copy of the weights together.

    Raises:
        InputError: Nothing fits.
    """
    proposals = tuple(_layouts_that_fit(asked))
    if not proposals:
        raise _nothing_fits(asked)
    return proposals


def _layouts_that_fit(asked: TaskEstimate) -> Iterator[TaskEstimate]:
    """Yield an estimate of each layout to propose; none if nothing fits.

    Without and with rematerialisation (with dropout only without it), where one example or more
    fits; in groups of the asked size, and of twice as many chips as long as neither fits.
    """
    step = asked.step
    may_rematerialize = (False,) if step.model.has_dropout else (False, True)
    size = step.layout.model_parallel_size
    is_found = False
    while not is_found and size <= step.accelerator.num_chips:
        for rematerialize in may_rematerialize:
            most = _most_examples(step, rematerialize=rematerialize, model_parallel_size=size)
            if most:
                is_found = True
                layout = StepLayout(rematerialize=rematerialize, model_parallel_size=size)
                yield _with_layout(asked, layout, most)
        size *= 2


def _with_layout(estimate: TaskEstimate, layout: StepLayout, most_examples: int) -> TaskEstimate:
    """Return the estimate of a layout with as few micro-batches as memory allows, all full.

    A `device_batch_size` is set only where a device cannot take its part at once: the largest
    divisor of the part that fits. `most_examples` is 1 or more. What was compiled is dropped.
    """
    step = dataclasses.replace(estimate.step, layout=layout)
    device_batch_size = step.examples_at_a_time
    fits = min(device_batch_size, most_examples)
    size = next(number for number in range(fits, 0, -1) if device_batch_size % number == 0)
    if size < device_batch_size:
        layout = dataclasses.replace(layout, device_batch_size=size)
    step = dataclasses.replace(step, layout=layout)
    return dataclasses.replace(estimate, step=step, compiled=None, compiled_flops=0.0)


def _nothing_fits(asked: TaskEstimate) -> InputError:
    """Return the error, without raising it, of a fine-tuning that cannot hold even one example.

    It names the memory as asked for, as compiled or calculated, and larger or more chips as remedy.
    """
    accelerator = asked.step.accelerator
    return InputError(
        f"{accelerator.name}: got {asked.memory_bytes / _GIB:.2f} GiB a chip for the step of "
        f"{asked.step.task.name}, expected at most {accelerator.chip.memory_gib:g} GiB; one "
        "example at a time does not fit either, nor with rematerialisation or model parallelism; "
        "take chips with more memory, or more of them"
    )


def _compile_best(
    estimate: FinetuningEstimate, executor: Executor, progress: ReportProgress
) -> FinetuningEstimate:
    """Return the estimate with the fastest layout that fits as the compiler sees it.

    Where the compiler needs more memory than was calculated, smaller micro-batches are compiled,
    and rematerialised ones if none of these fits.

    Raises:
        InputError: Nothing that was compiled fits.
    """
    asked = estimate.asked
    rematerialized = [e for e in _layouts_that_fit(asked) if e.step.layout.rematerialize]
    for candidate in (estimate.best, *rematerialized):
        compiled = _compile(candidate, executor, progress)
        if candidate is asked:
            asked = compiled
        fitting = _compile_until_fitting(compiled, executor, progress)
        if fitting is asked:
            return dataclasses.replace(estimate, asked=asked, proposals=())
        if fitting:
            is_slow = candidate.step.layout.rematerialize
            proposals = () if is_slow else estimate.proposals
            others = (other for other in proposals if other is not candidate)
            return dataclasses.replace(estimate, asked=asked, proposals=(fitting, *others))
    raise _nothing_fits(asked)


def _compile_until_fitting(
    compiled: TaskEstimate, executor: Executor, progress: ReportProgress
) -> TaskEstimate | None:
    """Return a compiled estimate if it fits, or one of smaller micro-batches that does.

    Compiles up to four smaller sizes. None if none fits, or not even one example would.
    """
    for _ in range(_MOST_ATTEMPTS):
        if compiled.is_within_memory:
            return compiled
        limit = compiled.step.accelerator.chip.memory_gib * _GIB
        at_once = compiled.step.examples_at_a_time
        smaller = min(at_once - 1, int(at_once * limit / compiled.memory_bytes))
        if smaller < 1:
            return None
        layout = dataclasses.replace(compiled.step.layout, device_batch_size=None)
        compiled = _compile(_with_layout(compiled, layout, smaller), executor, progress)
    return compiled if compiled.is_within_memory else None


def _compile(estimate: TaskEstimate, executor: Executor, progress: ReportProgress) -> TaskEstimate:
    """Compile the step of an estimate, told to `progress`; return the estimate with the result.

    Its FLOPs are those of all micro-batches, and 0 if the step needs more memory than a chip has.
    """
    step = estimate.step
    settings = f" with {step.layout.options}" if step.layout.options else ""
    report_message(progress, f"compiling the step of {step.task.name}{settings}, some minutes")
    compiling = executor.submit(compile_step, step)
    compiling_single = submit_single_layer(step, executor)
    compiled = compiling.result()
    flops = 0.0
    if compiled.is_within_memory:
        flops = flops_of_all_layers(step, compiled, compiling_single) * step.num_micro_batches
    return dataclasses.replace(estimate, compiled=compiled, compiled_flops=flops)
