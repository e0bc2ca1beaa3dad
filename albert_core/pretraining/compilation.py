"""The model of a pretraining with its optimizer and schedule, ready for `fit`."""

from collections.abc import Sequence

import keras

from albert_core.config import AlbertConfig
from albert_core.model import AlbertForPreTraining
from albert_core.optimizers.factory import make_phased_optimizer
from albert_core.optimizers.phases import PhasedSchedule
from albert_core.pretraining.config import Phase, PretrainingConfig
from albert_core.training.devices import Devices

# On CPUs XLA fuses element-wise operations, but its matrix products are slower than oneDNN's: below
# this size the first outweighs the second.
_SMALL_HIDDEN_SIZE = 512


def compiled_model(
    model_config: AlbertConfig,
    config: PretrainingConfig,
    phases: Sequence[Phase],
    devices: Devices,
) -> AlbertForPreTraining:
    """Return a new model, compiled with the optimizer and schedule of the phases."""
    model = AlbertForPreTraining(model_config, rematerialize=config.rematerialize)
    schedules = [config.get_schedule(phase) for phase in phases]
    schedule = PhasedSchedule(schedules, num_steps=[phase.num_train_steps for phase in phases])
    optimizer = make_phased_optimizer(config.optimizer, schedule)
    jit_compile = config.jit_compile
    if jit_compile is None:
        jit_compile = _should_jit(model_config, devices)
    model.compile(optimizer=optimizer, jit_compile=jit_compile)
    return model


def _should_jit(model_config: AlbertConfig, devices: Devices) -> bool:
    """Whether XLA makes the training step faster, as measured."""
    if keras.backend.backend() == "jax":
        return True
    if devices.strategy != "single":
        return False  # XLA fails in MirroredStrategy: it cannot resolve the replicas' variables
    return devices.name != "CPU" or model_config.hidden_size < _SMALL_HIDDEN_SIZE
