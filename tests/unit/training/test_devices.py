"""What training on devices sets for the backend."""

import os

import keras
import pytest

from albert_core.errors import InputError
from albert_core.training.devices import use_devices, use_precision

pytestmark = pytest.mark.backends


def fail_in_bfloat16() -> None:
    with use_precision("bfloat16"):
        assert keras.config.dtype_policy().name == "mixed_bfloat16"
        raise ZeroDivisionError


def test_a_precision_holds_for_the_models_made_inside_even_after_an_error() -> None:
    with pytest.raises(ZeroDivisionError):
        fail_in_bfloat16()
    assert keras.config.dtype_policy().name == "float32"


@pytest.mark.skipif(keras.backend.backend() != "jax", reason="of the JAX backend")
def test_flags_that_are_given_win_over_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    given = "--xla_gpu_enable_triton_gemm=true"
    monkeypatch.setenv("XLA_FLAGS", given)
    for _ in range(2):
        with use_devices("single"):
            flags = os.environ["XLA_FLAGS"].split()
    assert flags[-1] == given  # XLA takes the last one
    assert flags.count("--xla_gpu_enable_triton_gemm=false") == 1


@pytest.mark.skipif(keras.backend.backend() != "jax", reason="of the JAX backend")
def test_groups_of_devices_do_not_span_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    import jax

    # Two processes of one device: each gives its own rows, which a group of both would share.
    monkeypatch.setattr(jax, "process_count", lambda: 2)
    monkeypatch.setattr(jax, "devices", lambda: [None, None])
    with (
        pytest.raises(InputError, match=r"^x\.model_parallel_size: got 2.* of the 1 devices of e"),
        use_devices("model_parallel", model_parallel_size=2, prefix="x."),
    ):
        pass


@pytest.mark.skipif(keras.backend.backend() != "jax", reason="of the JAX backend")
def test_several_processes_do_not_train_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    import jax

    monkeypatch.setattr(jax, "process_count", lambda: 2)
    message = r"^x\.strategy: got single with 2 processes, expected auto or data_parallel"
    with pytest.raises(InputError, match=message), use_devices("single", prefix="x."):
        pass


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="of the TensorFlow backend")
@pytest.mark.parametrize("variable", ["KERAS_DISTRIBUTION_JOB_ADDRESSES", "TPU_WORKER_HOSTNAMES"])
def test_several_processes_train_under_jax_alone(
    monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, "a:1,b:1")
    with (
        pytest.raises(InputError, match=r"got tensorflow where .* expected jax"),
        use_devices("auto"),
    ):
        pass
