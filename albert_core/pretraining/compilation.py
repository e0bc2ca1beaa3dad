"""The model of a pretraining with its optimizer and schedule, ready for `fit`."""

from collections.abc import Sequence

from albert_core.backends import should_jit
from albert_core.config import AlbertConfig
from albert_core.model import AlbertForPreTraining
from albert_core.optimizers.factory import make_phased_optimizer
from albert_core.optimizers.phases import PhasedSchedule, SettledSchedule
from albert_core.pretraining.config import Phase, PretrainingConfig
from albert_core.training.devices import Devices


def compiled_model(
    model_config: AlbertConfig,
    config: PretrainingConfig,
    phases: Sequence[Phase],
    devices: Devices,
) -> AlbertForPreTraining:
    """Return a new model, compiled with the optimizer and schedule of the phases.

    Its weights are drawn from Keras's global seed. The numbers of the schedules are not checked,
    and `num_micro_batches` stays 1: callers set it.

    Args:
        model_config: The architecture.
        config: How to train.
        phases: Those of `config`, resolved, or some of them.
        devices: Decide whether the step is compiled by XLA where the configuration does not.

    Raises:
        InputError: A setting of another schedule than the named one is not at its default.
    """
    model = AlbertForPreTraining(
        model_config,
        rematerialize=config.rematerialize,
        sentence_order_weight=config.sentence_order_weight,
    )
    schedule = schedule_of_phases(config, phases)
    optimizer = make_phased_optimizer(
        config.optimizer, schedule, ema_decay=config.ema_decay, **config.optimizer_settings
    )
    jit_compile = config.jit_compile
    if jit_compile is None:
        jit_compile = should_jit(devices, model_config.hidden_size)
    model.compile(optimizer=optimizer, jit_compile=jit_compile)
    return model


def schedule_of_phases(
    config: PretrainingConfig, phases: Sequence[Phase]
) -> PhasedSchedule | SettledSchedule:
    """Return the schedule of all phases; of a training by minutes one that is settled later.

    Raises:
        InputError: A setting of another schedule than the named one is not at its default.
    """
    schedules = [config.get_schedule(phase) for phase in phases]
    if config.train_minutes is not None:
        return SettledSchedule(schedules[0])
    return PhasedSchedule(
        schedules,
        num_steps=[phase.num_train_steps for phase in phases],
        num_before=[phase.num_steps_before for phase in phases],
    )
