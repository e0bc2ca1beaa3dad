"""What counts as trouble in training, and what its settings may be."""

import pytest

from albert_core.errors import InputError
from albert_core.finetuning.config import FinetuningConfig
from albert_core.inference.task_settings import parse_finetuning
from albert_core.training.safeguards import DivergenceError, SafeguardConfig, StuckError


@pytest.mark.parametrize("loss", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_is_trouble_whatever_the_settings(loss):
    with pytest.raises(DivergenceError, match=f"the loss is {loss} at step 7"):
        SafeguardConfig(spike_ratio=0.0).check_loss(7, loss, None)


def test_a_spike_is_measured_against_the_lowest_loss():
    guard = SafeguardConfig(spike_ratio=1.5)
    guard.check_loss(1, 9.0, None)
    guard.check_loss(2, 4.4, 3.0)
    with pytest.raises(DivergenceError, match=r"jumped to 4.600 .* the lowest so far \(3.000"):
        guard.check_loss(3, 4.6, 3.0)


def test_no_spike_where_none_is_looked_for():
    SafeguardConfig(spike_ratio=0.0).check_loss(3, 1000.0, 3.0)


def history(*accuracies: float) -> list[dict[str, float]]:
    return [
        {"global_step": 100.0 * (index + 1), "sentence_order_accuracy": accuracy}
        for index, accuracy in enumerate(accuracies)
    ]


def test_sentence_order_at_chance_is_stuck_after_so_many_steps():
    guard = SafeguardConfig(stuck_after_steps=300)
    guard.check_history(history(0.50, 0.51))
    with pytest.raises(StuckError, match=r"never above 0\.510 up to step 300"):
        guard.check_history(history(0.50, 0.51, 0.49))
    guard.check_history(history(0.50, 0.55, 0.49))


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"spike_ratio": 0.9}, "safeguards.spike_ratio: got 0.9"),
        ({"spike_ratio": float("nan")}, "safeguards.spike_ratio: got nan"),
        ({"roll_back_factor": 1.0}, "safeguards.roll_back_factor: got 1.0"),
        ({"max_roll_backs": -1}, "safeguards.max_roll_backs: got -1"),
        ({"max_roll_backs": 7}, "safeguards.max_roll_backs: got 7 with the action stop"),
        ({"roll_back_factor": 0.1}, "safeguards.roll_back_factor: got 0.1 with the action stop"),
    ],
)
def test_settings_out_of_range(settings, named):
    with pytest.raises(InputError, match=named):
        SafeguardConfig(**settings)


def test_models_of_versions_that_took_settings_without_effect_are_read(tmp_path):
    def read(**safeguards: object) -> FinetuningConfig:
        values = {"safeguards": safeguards}
        return parse_finetuning(values, max_length=128, pooling="pooler", source=tmp_path)

    rolled_back = {"roll_back_factor": 0.25, "max_roll_backs": 1, "spike_ratio": 3.0}
    unused = read(action="stop", **rolled_back)
    assert unused.safeguards == SafeguardConfig(spike_ratio=3.0)
    used = read(action="roll_back", **rolled_back)
    assert used.safeguards == SafeguardConfig(action="roll_back", **rolled_back)
