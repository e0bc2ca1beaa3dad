"""What training on devices sets for the backend."""

import os

import keras
import pytest

from albert_core.training.devices import use_devices

pytestmark = [
    pytest.mark.backends,
    pytest.mark.skipif(keras.backend.backend() != "jax", reason="of the JAX backend"),
]


def test_flags_that_are_given_win_over_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    given = "--xla_gpu_enable_triton_gemm=true"
    monkeypatch.setenv("XLA_FLAGS", given)
    for _ in range(2):
        with use_devices("single"):
            flags = os.environ["XLA_FLAGS"].split()
    assert flags[-1] == given  # XLA takes the last one
    assert flags.count("--xla_gpu_enable_triton_gemm=false") == 1
