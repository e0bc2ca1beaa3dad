"""Speed of a pretraining: tokens a second, use of the devices, time spent waiting for data."""

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import keras

from albert_core.config import AlbertConfig
from albert_core.pretraining.dataset import PretrainingData
from albert_core.pretraining.objectives import ObjectiveConfig
from albert_core.pretraining.phases import Phase
from albert_core.training.devices import Devices
from albert_core.training.flops import measured_matrix_flops, peak_flops
from albert_core.training.plan import TrainingPlan
from albert_core.training.state import TrainingState


class SpeedMeter:
    """Measures the speed between two rows of the log; called for each row, in order.

    `tokens_per_second` counts padding, too. `model_flops_utilization` (MFU) is the rate of the
    model's matrix products over the peak rate of the devices: by the data sheet, or, without one,
    as measured when the process's first meter for these devices and their precision is made.
    `input_wait_fraction` is the fraction of the time that training waited for a batch.

    Args:
        model_config: The architecture.
        objective: Tells the FLOPs of a token.
        data: The records of each phase.
        phases: The phases.
        plan: Tells the phase of a step.
        devices: The devices that train.
    """

    def __init__(
        self,
        model_config: AlbertConfig,
        objective: ObjectiveConfig,
        data: Sequence[PretrainingData],
        phases: Sequence[Phase],
        plan: TrainingPlan,
        devices: Devices,
    ) -> None:
        """Look up the devices' peak rate, or measure it where it is not listed, which takes time.

        The peak is that of all devices; the FLOPs of a token are calculated for each phase.
        """
        self._data, self._phases, self._plan = data, phases, plan
        policy = keras.config.dtype_policy().name
        peak = peak_flops(devices.name) or _measured_peak(devices.name, policy)
        self._peak = devices.num_devices * peak
        self._flops_per_token = [
            objective.flops_per_token(
                phase.architecture(model_config), phase.sequence_length, records.num_predictions
            )
            for records, phase in zip(data, phases, strict=True)
        ]
        self._waited_s = 0.0

    def __call__(self, first: int, last: int, seconds: float) -> dict[str, float]:
        """Return three metrics of the steps after `first` up to `last`, which are of one phase.

        They are `tokens_per_second`, `model_flops_utilization` and `input_wait_fraction`. Waiting
        is counted since the previous call, so that no time is counted twice.

        Args:
            first: Step before the first one measured.
            last: Last step.
            seconds: Time between them, above 0.
        """
        index = self._plan.phase_of_last_step(last)
        phase = self._phases[index]
        tokens_per_second = (last - first) * phase.batch_size * phase.sequence_length / seconds
        waited_s = sum(records.input_timer.seconds for records in self._data)
        # Batches are prepared by threads, whose clock can run a little ahead of this one.
        wait_fraction = min((waited_s - self._waited_s) / seconds, 1.0)
        self._waited_s = waited_s
        utilization = tokens_per_second * self._flops_per_token[index] / self._peak
        return {
            "tokens_per_second": round(tokens_per_second, 1),
            "model_flops_utilization": round(utilization, 4),
            "input_wait_fraction": round(wait_fraction, 4),
        }


@functools.cache
def _measured_peak(device_name: str, policy: str) -> float:
    """Measure the rate of matrix products in FLOP/s; once in a process for the same arguments.

    Args:
        device_name: The default device's name.
        policy: Keras's global policy, which decides in which type the products are made.
    """
    # The arguments are only keys of the cache: the measurement depends on both.
    return measured_matrix_flops()


def summarize_speed(
    phases: Sequence[Phase],
    data: Sequence[PretrainingData],
    state: TrainingState,
    log: Sequence[Mapping[str, Any]],
) -> dict[str, float]:
    """Return the tokens, epochs and tokens a second of a whole pretraining, by name.

    All steps up to the last one count, also those before an interruption. Tokens include padding;
    numbers are rounded.

    Args:
        phases: The phases, in order.
        data: The records of each phase.
        state: The final state, with the number of steps and the seconds they took.
        log: Rows of the log, each with `model_flops_utilization` and `input_wait_fraction`.

    Returns:
        `num_tokens`, `num_epochs` (the sum over the phases), `tokens_per_second`, and the means of
        `model_flops_utilization` and `input_wait_fraction` over the rows, which are missing without
        rows.
    """
    steps_left, num_tokens, num_epochs = state.step, 0, 0.0
    for phase, records in zip(phases, data, strict=True):
        num_steps = min(steps_left, phase.num_train_steps)
        num_sequences = num_steps * phase.batch_size
        steps_left -= num_steps
        num_tokens += num_sequences * phase.sequence_length
        num_epochs += num_sequences / records.records.num_train_records
    means = {
        name: round(sum(row[name] for row in log) / len(log), 4)
        for name in ("model_flops_utilization", "input_wait_fraction")
        if log
    }
    return {
        "num_tokens": num_tokens,
        "num_epochs": round(num_epochs, 2),
        "tokens_per_second": round(num_tokens / max(state.seconds, 1e-9)),
        **means,
    }
