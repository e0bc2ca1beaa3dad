"""Counted work of a training step, against counts made elsewhere."""

import keras
import pytest

from albert_core.presets import preset
from albert_core.training.flops import (
    measured_matrix_flops,
    peak_flops,
    skipped_flops_per_token,
    training_flops_per_token,
)

MODEL = preset("base_v2", vocab_size=30_000)


@pytest.mark.parametrize(
    ("name", "gflops_at_128", "gflops_at_512"),
    [
        # With 20 and 77 predictions a sequence; counted apart from this code.
        ("base_v2", 0.528, 0.570),
        ("large_v2", 1.854, 1.967),
        ("xlarge_v2", 7.329, 7.555),
        ("xxlarge_v2", 14.58, 14.80),
    ],
)
def test_work_of_the_released_sizes(name, gflops_at_128, gflops_at_512):
    model = preset(name, vocab_size=30_000)
    assert training_flops_per_token(model, 128, 20) / 1e9 == pytest.approx(gflops_at_128, rel=0.02)
    assert training_flops_per_token(model, 512, 77) / 1e9 == pytest.approx(gflops_at_512, rel=0.02)


def test_the_last_layer_skips_the_more_the_fewer_positions_are_read():
    shares = [
        skipped_flops_per_token(MODEL, 128, num) / training_flops_per_token(MODEL, 128, num)
        for num in (1, 20, 127, 200)
    ]
    assert shares == sorted(shares, reverse=True)
    assert 0 < shares[0] < 1 / 12
    assert shares[-2:] == [0.0, 0.0]


@pytest.mark.parametrize(
    ("driver_says", "flops"),
    [
        ("NVIDIA H100 80GB HBM3", 989e12),
        ("TPU v5 lite", 197e12),
        ("TPU v5", 459e12),
        ("cpu", None),
    ],
)
def test_peaks_are_found_by_the_drivers_names(driver_says, flops):
    assert peak_flops(driver_says) == flops


@pytest.mark.backends
def test_a_machine_without_a_data_sheet_is_measured():
    keras.config.set_dtype_policy("float32")
    assert 1e8 < measured_matrix_flops(num_repeats=1) < 1e16
