"""The pretraining program: devices, data, model, optimizer, `fit`, held-out evaluation."""

import contextlib
import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path

import keras

from albert_core.artifacts.manifest import Metrics
from albert_core.checkpoints.trained_length import TRAINED_LENGTH, find_trained_length
from albert_core.config import AlbertConfig
from albert_core.model.pretraining import PretrainingModel
from albert_core.pretraining.compilation import compiled_model
from albert_core.pretraining.compute import choose_pretraining_compute
from albert_core.pretraining.config import PretrainingConfig
from albert_core.pretraining.dataset import PretrainingData, locate_corrupt_record
from albert_core.pretraining.held_out import published_metrics
from albert_core.pretraining.initialization import initialize, scale_residual_kernels
from albert_core.pretraining.phase_trainer import PhaseTrainer
from albert_core.pretraining.phases import Phase
from albert_core.pretraining.publication import count_parameters, write_results
from albert_core.pretraining.speed import summarize_speed
from albert_core.progress import ReportProgress, quiet, report_message
from albert_core.records.description import RecordsDescription
from albert_core.storage import local_folder
from albert_core.tokenization import Tokenizer
from albert_core.tracking.step import TrackRow, untracked
from albert_core.training.devices import Devices, use_devices, use_precision
from albert_core.training.history import best_row
from albert_core.training.log import read_log, recover_log
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
        checkpoints: Existing folder; keeps checkpoints and log. A killed run continues from the
            newest checkpoint.
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
        ServiceError: The storage of an `init_checkpoint` in the cloud failed.
    """
    with contextlib.ExitStack() as stack:
        devices = stack.enter_context(
            use_devices(config.strategy, model_parallel_size=config.model_parallel_size)
        )
        report_message(progress, f"training: {devices}")
        phases = config.resolved_phases(next(iter(records)))
        keras.utils.set_random_seed(config.seed)
        data = _open_records(records, phases, config, tokenizer, model_config, devices)
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
        model = _new_model(model_config, config, phases, devices, tokenizer)
        with locate_corrupt_record(data):
            trainer = PhaseTrainer(model, data, phases, config, devices)
            state = trainer.run(checkpoints=checkpoints, work=work, progress=progress, track=track)
        phases = _with_settled_steps(phases, state)
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


def _open_records(
    records: Mapping[int, RecordsDescription],
    phases: Sequence[Phase],
    config: PretrainingConfig,
    tokenizer: Tokenizer,
    model_config: AlbertConfig,
    devices: Devices,
) -> list[PretrainingData]:
    """Return the records of each phase as batches for this process; nothing is read yet.

    Raises:
        InputError: `masking` is neither the default nor what static records were masked with.
    """
    return [
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


def _new_model(
    model_config: AlbertConfig,
    config: PretrainingConfig,
    phases: Sequence[Phase],
    devices: Devices,
    tokenizer: Tokenizer,
) -> PretrainingModel:
    """Return the compiled model, with the weights of `init_checkpoint` or new ones.

    Raises:
        InputError: The checkpoint's architecture or vocabulary is another, or there is none.
        ServiceError: The storage of a checkpoint in the cloud failed.
    """
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
    return model


def _with_settled_steps(phases: Sequence[Phase], state: TrainingState) -> tuple[Phase, ...]:
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
        phases: With these steps, as `_with_settled_steps` returns them.
        state: The final one.
    """
    if not state.timings:
        return {}
    return {
        "settled_phases": [
            PhaseTiming(**timing).describe(phase.num_train_steps)
            # Phases that did not begin have no timing.
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
        # `begins` has one item more, the end of the last phase.
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
