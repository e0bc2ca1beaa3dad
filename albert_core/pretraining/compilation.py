"""The model of a pretraining with its optimizer and schedule, ready for `fit`."""

from collections.abc import Sequence
from typing import Any

from albert_core.config import AlbertConfig
from albert_core.model import AlbertForPreTraining
from albert_core.model.pretraining import PretrainingModel
from albert_core.model.replaced_token_detection import AlbertForReplacedTokenDetection
from albert_core.optimizers.factory import make_phased_optimizer
from albert_core.optimizers.phases import PhasedSchedule, SettledSchedule
from albert_core.pretraining.config import PretrainingConfig
from albert_core.pretraining.phases import Phase
from albert_core.training.compute import possible_settings
from albert_core.training.devices import Devices


def compiled_model(
    model_config: AlbertConfig,
    config: PretrainingConfig,
    phases: Sequence[Phase],
    devices: Devices,
) -> PretrainingModel:
    """Return a new model for the objective, compiled with the optimizer and schedule of the phases.

    Its weights are drawn from Keras's global seed, and its layers compute in the precision of
    Keras's global policy, whatever `config` says: callers set both before. The numbers of the
    schedules are not checked, and `num_micro_batches` stays 1: callers set it afterwards.

    Args:
        model_config: The architecture.
        config: How to train.
        phases: Phases of `config`, resolved; all or some of them.
        devices: Decide whether the step is compiled by XLA where the configuration does not, by
            what is likely to be the fastest; nothing is timed.

    Raises:
        InputError: A setting of another schedule than the named one is not at its default.
    """
    model = _new_model(model_config, config)
    schedule = schedule_of_phases(config, phases)
    optimizer = make_phased_optimizer(
        config.optimizer, schedule, ema_decay=config.ema_decay, **config.optimizer_settings
    )
    compute, *_ = possible_settings(
        devices,
        model_config.hidden_size,
        precision=config.precision,
        jit_compile=config.jit_compile,
    )
    model.compile(optimizer=optimizer, jit_compile=compute.jit_compile)
    return model


def _new_model(model_config: AlbertConfig, config: PretrainingConfig) -> PretrainingModel:
    """Return a new model that learns the objective of the settings, not compiled.

    For replaced-token detection it has a generator of the size in the settings beside it.
    """
    settings: dict[str, Any] = {
        "rematerialize": config.rematerialize,
        "sentence_order_weight": config.sentence_order_weight,
    }
    if not config.detects_replaced_tokens:
        return AlbertForPreTraining(model_config, **settings)
    detection = config.replaced_token_detection
    generator_config = detection.generator(model_config)
    return AlbertForReplacedTokenDetection(
        model_config, generator_config, loss_weight=detection.loss_weight, **settings
    )


def schedule_of_phases(
    config: PretrainingConfig, phases: Sequence[Phase]
) -> PhasedSchedule | SettledSchedule:
    """Return the schedule of all phases, one after the other.

    For a training by minutes it is a schedule of the first phase's kind whose numbers are settled
    while training.

    Raises:
        InputError: A setting of another schedule than the named one is not at its default.
    """
    schedules = [config.get_schedule(phase) for phase in phases]
    if config.train_minutes is not None:
        return SettledSchedule(schedules[0])
    return PhasedSchedule(
        schedules,
        num_steps=[phase.num_train_steps for phase in phases],
        spans_run=config.spans_run,
    )
