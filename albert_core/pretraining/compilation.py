"""The model of a pretraining with its optimizer and schedule, ready for `fit`."""

from collections.abc import Sequence

import keras

from albert_core.config import AlbertConfig
from albert_core.model import AlbertForPreTraining
from albert_core.optimizers.factory import optimizer_with
from albert_core.optimizers.schedules import ScheduleOfPhases, WarmUpPolynomialDecay
from albert_core.pretraining.config import Phase, PretrainingConfig
from albert_core.training.devices import Devices

_SMALL_HIDDEN_SIZE = 512  # below it XLA's fused loops gain more on a CPU than its products lose


def compiled_model(
    model_config: AlbertConfig,
    config: PretrainingConfig,
    phases: Sequence[Phase],
    devices: Devices,
) -> AlbertForPreTraining:
    """Return a new model, compiled with the optimizer and schedule of the phases."""
    model = AlbertForPreTraining(model_config, rematerialize=config.rematerialize)
    schedules = [
        WarmUpPolynomialDecay(
            phase.learning_rate,
            num_train_steps=max(phase.num_train_steps, 1),
            num_warmup_steps=phase.num_warmup_steps,
            start_warmup_step=config.start_warmup_step,
            power=config.poly_power,
        )
        for phase in phases
    ]
    schedule = ScheduleOfPhases(schedules, num_steps=[phase.num_train_steps for phase in phases])
    jit_compile = config.jit_compile
    if jit_compile is None:
        jit_compile = _pays_xla(model_config, devices)
    model.compile(optimizer=optimizer_with(schedule, config.optimizer), jit_compile=jit_compile)
    return model


def _pays_xla(model_config: AlbertConfig, devices: Devices) -> bool:
    if keras.backend.backend() == "jax":
        return True
    if devices.strategy != "single":  # TensorFlow's XLA takes the replicas' variables for foreign
        return False
    return devices.name != "CPU" or model_config.hidden_size < _SMALL_HIDDEN_SIZE
