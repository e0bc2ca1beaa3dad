"""Estimates memory, time and price of a pretraining on a slice of TPUs.

Memory, FLOPs and exchanged bytes are the compiler's; time is FLOPs over an assumed utilisation.
"""

import dataclasses
from collections.abc import Sequence
from concurrent.futures import Executor

from albert_core.config import AlbertConfig
from albert_core.errors import InputError
from albert_core.estimation.accelerators import Slice, check_strategy, check_utilisation
from albert_core.estimation.compiled_step import (
    CompiledStep,
    compile_step,
    flops_of_all_layers,
    in_compiler_process,
    submit_single_layer,
)
from albert_core.estimation.pretraining_step import PretrainingStep
from albert_core.estimation.prices import Prices
from albert_core.pretraining.config import PretrainingConfig
from albert_core.processes.interruptible_calls import call_stoppably
from albert_core.progress import ReportProgress, quiet, report_message

_NUM_PROCESSES = 2
_MOST_ATTEMPTS = 4


@dataclasses.dataclass(frozen=True, kw_only=True)
class PhaseEstimate:
    """The estimate of a phase on a slice.

    Attributes:
        request: The step that was compiled.
        compiled: Its memory, FLOPs and exchanged bytes by the compiler.
        flops_per_step: FLOPs of a chip in a step, of all its micro-batches; a loop's body counts as
            often as it runs.
        formula_flops_per_step: FLOPs of a chip in a step by `ObjectiveConfig.flops_per_token`.
        skipped_flops_per_step: The part of these that the last layer saves.
        utilisation: Assumed fraction of a chip's peak rate.
        price_per_hour: Price of the whole slice; None if it is not in the table.
    """

    request: PretrainingStep
    compiled: CompiledStep
    flops_per_step: float
    formula_flops_per_step: float
    skipped_flops_per_step: float
    utilisation: float
    price_per_hour: float | None

    @property
    def num_data_parallel(self) -> int:
        """Chips, or groups of them, that a batch is divided among."""
        return self.request.num_data_parallel

    @property
    def num_micro_batches(self) -> int:
        """Micro-batches whose gradients a step accumulates."""
        return self.request.num_micro_batches

    @property
    def formula_ratio(self) -> float:
        """Compiled FLOPs over the formula's."""
        return self.flops_per_step / self.formula_flops_per_step

    @property
    def needed_ratio(self) -> float:
        """Compiled FLOPs over those of the formula less what the last layer skips."""
        return self.flops_per_step / (self.formula_flops_per_step - self.skipped_flops_per_step)

    @property
    def exchange_seconds(self) -> float:
        """Time of a step's exchange at the links' speed; part of it overlaps with computation."""
        chip = self.request.accelerator.chip
        return self.compiled.exchanged_bytes / chip.link_bytes_per_second

    @property
    def step_seconds(self) -> float:
        """Time of a step at the utilisation."""
        peak = self.request.accelerator.chip.peak_flops
        return self.flops_per_step / (peak * self.utilisation)

    @property
    def tokens_per_second(self) -> float:
        """Tokens that the whole slice trains on in a second, padding included."""
        phase = self.request.phase
        return phase.batch_size * phase.sequence_length / self.step_seconds

    @property
    def hours(self) -> float:
        """Time of the whole phase, at the utilisation."""
        return self.request.phase.num_train_steps * self.step_seconds / 3600

    @property
    def cost(self) -> float | None:
        """Price of the whole phase on the whole slice; None without a price of the chips."""
        return None if self.price_per_hour is None else self.hours * self.price_per_hour


def estimate(
    *,
    model: AlbertConfig,
    config: PretrainingConfig,
    sequence_length: int,
    accelerator: Slice,
    utilisation: float,
    prices: Prices,
    progress: ReportProgress = quiet,
) -> list[PhaseEstimate]:
    """Compile the training step of every phase; return what each phase needs.

    Args:
        model: The architecture.
        config: How to train.
        sequence_length: Length of the sequences where the configuration has no phases.
        accelerator: What to train on.
        utilisation: Assumed fraction of a chip's peak rate.
        prices: What an hour of a chip costs.
        progress: Called with a message about what is compiled.

    Returns:
        An estimate of each phase, in their order.

    Raises:
        InputError: The compiler is not installed, or has no /dev/shm; `utilisation` is not above 0
            and at most 1; one of several chips is to train; the chips or the batch cannot be
            divided evenly; the layers of a phase do not go together with the model's; a step cannot
            be made with its settings; or it needs more memory than a chip has: further steps are
            then compiled, so that the message says what would fit.
    """
    check_utilisation(utilisation)
    check_strategy(config.strategy, accelerator, "pretraining")
    if accelerator.num_chips % config.model_parallel_size:
        raise InputError(
            f"pretraining.model_parallel_size: got {config.model_parallel_size}, expected a "
            f"divisor of the {accelerator.num_chips} chips of {accelerator.name}"
        )
    config.check_depths(model)
    requests = [
        PretrainingStep(
            model=phase.architecture(model), config=config, phase=phase, accelerator=accelerator
        )
        for phase in config.resolved_phases(sequence_length)
    ]
    for request in requests:
        _ = request.num_micro_batches  # refuses a batch that cannot be divided

    def estimate_all() -> list[PhaseEstimate]:
        """Estimate one phase after the other in one process of the compiler."""
        with in_compiler_process(_NUM_PROCESSES) as executor:
            return [
                _estimate_phase(request, executor, utilisation, prices, progress)
                for request in requests
            ]

    return fill_minutes(call_stoppably(estimate_all))


def fill_minutes(estimates: Sequence[PhaseEstimate]) -> list[PhaseEstimate]:
    """Return copies with the steps that fit into each phase's part of the training's minutes.

    The parts go by the phases' tokens. A number of steps is the part over the estimate's seconds
    per step, rounded, 1 at least. It is replaced in each copy's phase; the configuration, with all
    phases, stays. If the training does not last a number of minutes, the estimates are returned as
    they are.

    Args:
        estimates: Estimates of the phases, in order; at least one.
    """
    config = estimates[0].request.config
    minutes = config.phase_minutes([estimate.request.phase for estimate in estimates])
    if not minutes:
        return list(estimates)
    begins = [0.0, *(phase.end_s for phase in minutes)]
    filled = []
    for estimate, begin_s, phase_minutes in zip(estimates, begins[:-1], minutes, strict=True):
        request = estimate.request
        num_steps = max(1, round((phase_minutes.end_s - begin_s) / estimate.step_seconds))
        phase = dataclasses.replace(request.phase, num_train_steps=num_steps)
        request = dataclasses.replace(request, phase=phase)
        filled.append(dataclasses.replace(estimate, request=request))
    return filled


def _estimate_phase(
    request: PretrainingStep,
    executor: Executor,
    utilisation: float,
    prices: Prices,
    progress: ReportProgress,
) -> PhaseEstimate:
    """Compile the step of a phase, told to `progress`; return what the phase needs.

    For a model whose layers are scanned a second step, of one layer, is compiled beside it, to
    count the FLOPs of all layers by the difference.

    Raises:
        InputError: The step cannot be made with its settings, or needs more memory than a chip has;
            then what would fit is looked for and named.
    """
    phase, num_chips = request.phase, request.accelerator.num_chips
    layers = f" and {phase.num_hidden_layers} layers" if phase.num_hidden_layers else ""
    report_message(
        progress, f"compiling the step of sequence length {phase.sequence_length}{layers}"
    )
    compiling = executor.submit(compile_step, request)
    compiling_single = submit_single_layer(request, executor)
    compiled = compiling.result()
    if not compiled.is_within_memory:
        report_message(
            progress, f"{_gib(compiled.memory_bytes)} a chip do not fit; looking for what does"
        )
        raise InputError(_explain_excess(request, compiled, executor))
    flops = flops_of_all_layers(request, compiled, compiling_single)
    tokens = phase.batch_size * phase.sequence_length
    sizes = (
        request.model,
        phase.sequence_length,
        request.config.masking.max_predictions(phase.sequence_length),
    )
    price = prices.per_chip_hour.get(request.accelerator.generation)
    return PhaseEstimate(
        request=request,
        compiled=compiled,
        flops_per_step=flops * request.num_micro_batches,
        formula_flops_per_step=request.config.flops_per_token(*sizes) * tokens / num_chips,
        skipped_flops_per_step=request.config.skipped_flops_per_token(*sizes) * tokens / num_chips,
        utilisation=utilisation,
        price_per_hour=None if price is None else price * num_chips,
    )


def _explain_excess(request: PretrainingStep, compiled: CompiledStep, executor: Executor) -> str:
    """Return the message that a step does not fit, with settings with which it would.

    Compiles some steps to find these: with fewer sequences at a time and, unless it is on already
    or there is dropout, with rematerialisation. Where none fits, the message names model
    parallelism or larger chips instead, untried.

    Args:
        request: The step.
        compiled: What the compiler said of it.
        executor: The executor of `in_compiler_process`.
    """
    num_gib = request.accelerator.chip.memory_gib
    excess = compiled.memory_bytes / (num_gib * 2**30)
    num_sequences = request.sequences_at_a_time
    remedies = [
        _find_fitting_settings(request, _halve_until_fitting(num_sequences, excess), executor)
    ]
    if not (request.config.rematerialize or request.model.has_dropout):
        config = dataclasses.replace(request.config, rematerialize=True)
        smaller = dataclasses.replace(request, config=config)
        remedies.append(_find_fitting_settings(smaller, num_sequences, executor))
    advice = " or ".join(remedy for remedy in remedies if remedy) or (
        "model parallelism (pretraining.strategy model_parallel, pretraining.model_parallel_size), "
        "or chips with more memory"
    )
    return (
        f"{request.accelerator.name} at sequence length {request.phase.sequence_length}: the step "
        f"needs {_gib(compiled.memory_bytes)} a chip, expected at most {num_gib} GiB; it fits with "
        f"{advice}"
    )


def _find_fitting_settings(
    request: PretrainingStep, num_sequences: int, executor: Executor
) -> str | None:
    """Return options of the command line with which the step fits, as compiled, and its memory.

    Tries `num_sequences` at a time on a device, and then fewer, four sizes at most, until one fits
    or is odd. None if none of these fits.
    """
    num_gib = request.accelerator.chip.memory_gib
    for _ in range(_MOST_ATTEMPTS):
        phase = dataclasses.replace(request.phase, device_batch_size=num_sequences)
        compiled = executor.submit(compile_step, dataclasses.replace(request, phase=phase)).result()
        if compiled.is_within_memory:
            flag = "--pretraining.rematerialize true " if request.config.rematerialize else ""
            size = f"--pretraining.device_batch_size {num_sequences}"
            return f"{flag}{size} ({_gib(compiled.memory_bytes)} a chip)"
        smaller = _halve_until_fitting(num_sequences, compiled.memory_bytes / (num_gib * 2**30))
        if smaller == num_sequences:
            break
        num_sequences = smaller
    return None


def _halve_until_fitting(num_sequences: int, excess: float) -> int:
    """Halve a batch until its memory would fit if all of it scaled; return its size then.

    Args:
        num_sequences: Sequences of the batch. An odd number is not halved, even if it does not fit.
        excess: Its memory over that of a chip.
    """
    while excess > 1.0 and num_sequences % 2 == 0:
        num_sequences, excess = num_sequences // 2, excess / 2
    return num_sequences


def _gib(num_bytes: float) -> str:
    return f"{num_bytes / 2**30:.2f} GiB"
