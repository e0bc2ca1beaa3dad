"""The pretraining program: devices, data, model, optimizer, `fit`, held-out evaluation."""

import contextlib
import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras

from albert_core.artifacts.manifest import Metrics
from albert_core.checkpoints.trained_length import TRAINED_LENGTH, find_trained_length
from albert_core.config import AlbertConfig
from albert_core.model.pretraining import PretrainingModel
from albert_core.pretraining.compilation import compiled_model
from albert_core.pretraining.compute import choose_pretraining_compute
from albert_core.pretraining.config import PretrainingConfig
from albert_core.pretraining.dataset import PretrainingData, locate_corrupt_record
from albert_core.pretraining.effective_rank import measure_effective_ranks
from albert_core.pretraining.held_out import HeldOutModel, evaluate_held_out, published_metrics
from albert_core.pretraining.initialization import initialize, scale_residual_kernels
from albert_core.pretraining.phases import Phase
from albert_core.pretraining.publication import count_parameters, write_results
from albert_core.pretraining.speed import SpeedMeter, summarize_speed
from albert_core.progress import ReportProgress, quiet
from albert_core.records.description import RecordsDescription
from albert_core.storage import local_folder
from albert_core.tokenization import Tokenizer
from albert_core.tracking.step import TrackRow, untracked
from albert_core.training.devices import Devices, use_devices, use_precision
from albert_core.training.history import best_row
from albert_core.training.log import read_log, recover_log
from albert_core.training.loop import train
from albert_core.training.minutes import PhaseTiming
from albert_core.training.state import TrainingState


def run_pretraining(
    *,
    records: Mapping[int, RecordsDescription],
    tokenizer: Tokenizer,
    model_config: AlbertConfig,
    config: PretrainingConfig,
    results: Path,
    checkpoints: Path,
    work: str,
    progress: ReportProgress = quiet,
    track: TrackRow = untracked,
) -> Metrics:
    """Pretrain on records; write the best model of the last phase reached into `results`.

    A model that begins without `init_checkpoint` has its residual kernels scaled by
    `residual_init_scale`. Phases may train fewer layers than the model has: if the last phase
    reached is one of these, the written model has only its layers, and the first process reports
    this to `progress`.

    Changes global settings of Keras: the random seed, and the precision, which is float32
    afterwards. With several processes, only the first writes `results`.

    Args:
        records: The records to read, by sequence length: every length that a phase asks for. If
            the settings have no phases, the first length is trained on.
        tokenizer: The vocabulary of those records.
        model_config: The architecture.
        config: How to train.
        results: Existing folder; receives configuration, weights, vocabulary, metrics, log and
            eval_results.txt; after replaced-token detection also the generator.
        checkpoints: Keeps the checkpoints; a killed run continues from the newest.
        work: What is trained: settings and inputs. Checkpoints of other work are not taken up.
        progress: Called with the progress of the work.
        track: Called with each row of the log and of the evaluations.

    Returns:
        The metrics of `evaluate_held_out` for that model, with its step and the `masking` in words;
        the effective ranks of the outputs at the last evaluation, unless several processes train;
        `trained_sequence_length`, where it is known; sizes and speed; `strategy`, the devices in
        words, `precision` and `jit_compile`; `stopped_by`, the setting that ended training early,
        if one did; for a training by minutes `settled_phases`, the steps of each phase that began.

    Raises:
        InputError: Settings, records, devices, a checkpoint or `init_checkpoint` do not go
            together, or the minutes are too few for the warm-up and the decay.
        StepFailedError: Training was interrupted or diverged, or a record cannot be read;
            checkpoints are kept.
    """
    with contextlib.ExitStack() as stack:
        devices = stack.enter_context(
            use_devices(config.strategy, model_parallel_size=config.model_parallel_size)
        )
        progress(0, 0, f"training: {devices}")
        phases = config.resolved_phases(next(iter(records)))
        keras.utils.set_random_seed(config.seed)
        data = [
            PretrainingData.from_records(
                records[phase.sequence_length],
                masking=config.masking,
                tokenizer=tokenizer,
                # Phases on the same records must not repeat each other's order and masks.
                seed=config.seed + index,
                replaces_tokens=config.detects_replaced_tokens,
                process_index=devices.process_index,
                num_processes=devices.num_processes,
                position_offset_probability=config.position_offset_probability,
                max_position_offset=config.max_position_offset(
                    phase.sequence_length, model_config.max_position_embeddings
                ),
            )
            for index, phase in enumerate(phases)
        ]
        with locate_corrupt_record(data):  # which timed steps may meet
            compute = choose_pretraining_compute(
                model_config,
                config,
                phases,
                data,
                devices,
                checkpoints=checkpoints,
                work=work,
                progress=progress,
            )
        config = dataclasses.replace(config, **compute.recorded())
        stack.enter_context(use_precision(compute.precision))
        model = compiled_model(model_config, config, phases, devices)
        if config.init_checkpoint:
            initialize(
                model,
                config.init_checkpoint,
                tokenizer,
                may_differ_in_depth=bool(config.num_train_steps),
            )
        else:
            scale_residual_kernels(model, config.residual_init_scale)
        with locate_corrupt_record(data):
            state = _train(model, data, phases, config, devices, checkpoints, work, progress, track)
        phases = _settled(phases, state)
        best = best_row(state.history, config.monitor)
        if devices.is_chief:
            recover_log(checkpoints, state)
            architecture = phases[best.get("phase", 0)].architecture(model_config)
            if architecture != model_config:
                progress(state.step, state.step, _describe_depth(architecture, model_config))
            write_results(results, model, architecture, tokenizer, state, best, checkpoints)
    log = read_log(checkpoints)
    return {
        **published_metrics(best),
        **{name: value for name, value in state.history[-1].items() if name.endswith("_rank")},
        **_trained_length(phases, state, config, model_config),
        **count_parameters(model),
        **summarize_speed(phases, data, state, log),
        **_describe_settled(phases, state),
        "strategy": str(devices),
        **compute.recorded(),
        **({"stopped_by": state.stopped_by} if state.stopped_by else {}),
    }


def _train(
    model: PretrainingModel,
    data: Sequence[PretrainingData],
    phases: Sequence[Phase],
    config: PretrainingConfig,
    devices: Devices,
    checkpoints: Path,
    work: str,
    progress: ReportProgress,
    track: TrackRow,
) -> TrainingState:
    """Train all phases, each on its own data; return the final state.

    The last row of its history also has the effective ranks, unless several processes train.

    Args:
        model: Compiled.
        data: The records of each phase.
        phases: Phases of `config`, resolved.
        config: How to train, with the precision and the compilation that were chosen.
        devices: The devices that train.
        checkpoints: Folder of checkpoints, best weights and log.
        work: What is trained.
        progress: Called with the progress of the work.
        track: Called with each row of the log and of the evaluations.

    Raises:
        InputError: A batch cannot be divided evenly, too few records are held out, the newest
            checkpoint does not fit the model, or the minutes are too few for the warm-up.
        StepFailedError: Training was interrupted or diverged, or a checkpoint cannot be written.
    """
    plan = config.plan(phases)
    num_data_parallel = devices.num_data_parallel
    num_micro_batches = [phase.num_micro_batches(num_data_parallel) for phase in phases]
    # Evaluated in micro-batches too: whatever fits into memory for training fits here.
    held_out = [
        records.held_out_batches(phase.batch_size // num, multiple_of=num_data_parallel)
        for records, phase, num in zip(data, phases, num_micro_batches, strict=True)
    ]

    depths = [phase.architecture(model.config).num_hidden_layers for phase in phases]
    models = [HeldOutModel(model, records.special_ids.mask) for records in data]

    def evaluate(step: int) -> dict[str, Any]:
        """Return the held-out metrics at a step, on the records of its phase, and their masking.

        Gives the model the number of layers of that phase.
        """
        index = plan.phase_of(max(step - 1, 0))
        model.set_depth(depths[index])
        masking = data[index].masking_of_batches
        described = {"masking": masking.describe()} if masking else {}
        with model.optimizer.averages_in_place():
            return {**evaluate_held_out(models[index], held_out[index]), **described}

    def batches_from(step: int) -> Any:
        """Return the batches of the phase at a step, from there on.

        Sets the model's micro-batches and layers, and has its step compiled again, for this phase.
        """
        index = plan.phase_of(step)
        model.set_depth(depths[index])
        model.num_micro_batches = num_micro_batches[index]
        # Otherwise TensorFlow traces one step for the shapes of all phases, which is slower.
        model.make_train_function(force=True)
        begin = plan.phase_ends[index] - plan.phase_steps[index]
        return data[index].train_batches(phases[index].batch_size, start_step=step - begin)

    state = train(
        model,
        batches_from=batches_from,
        evaluate=evaluate,
        plan=plan,
        folder=checkpoints,
        work=work,
        progress=progress,
        safeguards=config.safeguards,
        measure_speed=SpeedMeter(model.config, config, data, phases, plan, devices),
        compute=config.compute,
        track=track,
        is_chief=devices.is_chief,
    )
    # Once, as it costs as much as an evaluation; the outputs of several processes are on several
    # machines.
    if devices.num_processes == 1:
        index = plan.phase_of(max(state.step - 1, 0))
        model.set_depth(depths[index])
        batches = held_out[index]
        with model.optimizer.averages_in_place():
            ranks = measure_effective_ranks(model, batches, multiple_of=num_data_parallel)
        state.history[-1].update(ranks)
    return state


def _settled(phases: Sequence[Phase], state: TrainingState) -> tuple[Phase, ...]:
    """Return the phases with the steps that minutes gave them; those that did not begin have 0.

    A phase whose steps were not settled has those that were done. Without minutes they are as they
    were.
    """
    if not state.timings:
        return tuple(phases)
    settled, steps_left = [], state.step
    for index, phase in enumerate(phases):
        num_steps = 0
        if index < len(state.timings):
            num_steps = state.timings[index]["num_steps"] or steps_left
        settled.append(dataclasses.replace(phase, num_train_steps=num_steps))
        steps_left -= num_steps
    return tuple(settled)


def _describe_settled(
    phases: Sequence[Phase], state: TrainingState
) -> dict[str, list[dict[str, int]]]:
    """Return `settled_phases`: the steps of phases by minutes that began; empty without minutes.

    Args:
        phases: With these steps, as `_settled` returns them.
        state: The final one.
    """
    if not state.timings:
        return {}
    return {
        "settled_phases": [
            PhaseTiming(**timing).describe(phase.num_train_steps)
            for phase, timing in zip(phases, state.timings, strict=False)
        ]
    }


def _trained_length(
    phases: Sequence[Phase],
    state: TrainingState,
    config: PretrainingConfig,
    model_config: AlbertConfig,
) -> dict[str, int]:
    """Return `trained_sequence_length`: the longest sequences whose positions were all trained.

    The lengths of the phases that training reached count, with the offsets of their positions, and
    that of the model it began from. Empty if that model does not tell its own.
    """
    begins = itertools.accumulate((phase.num_train_steps for phase in phases), initial=0)
    lengths = [
        config.trained_length([phase.sequence_length], model_config.max_position_embeddings)
        for phase, begin in zip(phases, begins, strict=False)
        if begin < state.step
    ]
    if config.init_checkpoint:
        initial = find_trained_length(local_folder(config.init_checkpoint))
        if initial is None:
            return {}
        lengths.append(initial)
    return {TRAINED_LENGTH: max(lengths)}


def _describe_depth(published: AlbertConfig, planned: AlbertConfig) -> str:
    """Return the message that training stopped in a phase of fewer layers than the model's."""
    return (
        f"stopped before the phase with all {planned.num_hidden_layers} layers: the published "
        f"model has {published.num_hidden_layers}"
    )
