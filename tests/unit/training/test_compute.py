"""In what precision a model computes, and whether XLA compiles it, on every kind of device."""

from typing import Any

import keras
import pytest

from albert_core.training.compute import possible_settings
from albert_core.training.devices import Devices

ON_TENSORFLOW = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="of the TensorFlow backend"
)


def device(name: str, strategy: Any = "single") -> Devices:
    return Devices(strategy=strategy, num_devices=1, name=name)


@pytest.fixture
def processor(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """A CPU with the instructions for bfloat16 that the test's parameter names."""
    monkeypatch.setattr(
        f"albert_core.backends.{keras.backend.backend()}.compilation.bfloat16_instructions",
        lambda: request.param,
    )


def ways(devices: Devices, hidden_size: int, **fixed: Any) -> list[tuple[str, bool]]:
    settings = {"precision": "auto", "jit_compile": None, **fixed}
    possible = possible_settings(devices, hidden_size, **settings)
    return [(one.precision, one.jit_compile) for one in possible]


@ON_TENSORFLOW
@pytest.mark.parametrize(
    ("processor", "hidden_size", "fixed", "expected"),
    [
        ("AMX", 768, {}, [("bfloat16", False)]),
        ("AVX512_BF16", 256, {}, [("bfloat16", False)]),
        ("AMX", 64, {}, [("float32", False)]),
        ("", 768, {}, [("float32", False)]),
        ("", 256, {}, [("float32", False)]),
        (None, 64, {}, [("float32", False)]),
        # A prediction casts all weights, in every batch.
        ("AMX", 128, {"purpose": "batches"}, [("float32", False)]),
        ("AMX", 256, {"purpose": "batches"}, [("bfloat16", False)]),
        ("AMX", 768, {"purpose": "single_texts"}, [("float32", False)]),
        (None, 256, {}, [("float32", False), ("bfloat16", False)]),
        # A setting that is given is kept, and the other one is the best beside it.
        ("AMX", 768, {"precision": "float32"}, [("float32", False)]),
        ("AMX", 64, {"precision": "bfloat16"}, [("bfloat16", False)]),
        ("AMX", 768, {"jit_compile": True}, [("bfloat16", True)]),
        ("", 256, {"precision": "bfloat16"}, [("bfloat16", False)]),
        ("", 256, {"jit_compile": False}, [("float32", False)]),
        (None, 256, {"jit_compile": False}, [("float32", False), ("bfloat16", False)]),
        (None, 256, {"precision": "bfloat16", "jit_compile": True}, [("bfloat16", True)]),
    ],
    indirect=["processor"],
)
@pytest.mark.usefixtures("processor")
def test_what_may_be_the_fastest_on_a_processor(
    hidden_size: int, fixed: dict[str, Any], expected: list[tuple[str, bool]]
) -> None:
    assert ways(device("CPU"), hidden_size, **fixed) == expected


@pytest.mark.backends
@pytest.mark.parametrize(
    ("name", "precision"),
    [("NVIDIA H100 80GB HBM3", "bfloat16"), ("TPU v5 lite", "bfloat16"), ("Tesla T4", "float32")],
)
def test_accelerators_decide_themselves(name: str, precision: str) -> None:
    for hidden_size in (64, 768):
        assert ways(device(name), hidden_size) == [(precision, True)]


@ON_TENSORFLOW
@pytest.mark.parametrize("processor", [None], indirect=True)
@pytest.mark.usefixtures("processor")
def test_several_devices_are_neither_compiled_nor_timed() -> None:
    assert ways(device("CPU", "mirrored"), 768) == [("float32", False)]
