"""In what precision a model computes, and whether XLA compiles it, on every kind of device."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import pytest

from albert_core.checksums import write_sealed
from albert_core.files import write_json
from albert_core.training.compute import (
    ComputeSettings,
    choose_settings,
    find_recorded,
    former_settings,
    possible_settings,
)
from albert_core.training.devices import Devices
from albert_core.training.timed_steps import fastest

ON_TENSORFLOW = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="of the TensorFlow backend"
)
FLOAT32, BFLOAT16 = (
    ComputeSettings(precision="float32", jit_compile=True),
    ComputeSettings(precision="bfloat16", jit_compile=False),
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
        ("AMX", 64, {}, [("float32", True)]),
        ("", 768, {}, [("float32", False)]),
        ("", 256, {}, [("float32", False)]),
        (None, 64, {}, [("float32", True)]),
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


def never(possible: Sequence[ComputeSettings]) -> ComputeSettings:
    raise AssertionError(f"timed {possible}")


def choose(
    *possible: ComputeSettings, recorded: Any = None, time_steps: Any = never
) -> ComputeSettings:
    former = former_settings(device("CPU"), 64, precision="float32", jit_compile=False)
    return choose_settings(possible, former=former, recorded=recorded, time_steps=time_steps)


@pytest.mark.backends
def test_steps_are_timed_only_where_nothing_else_decides() -> None:
    assert choose(BFLOAT16) == BFLOAT16
    assert choose(FLOAT32, BFLOAT16, recorded=BFLOAT16.recorded()) == BFLOAT16
    assert choose(FLOAT32, BFLOAT16, time_steps=lambda possible: possible[1]) == BFLOAT16
    of_earlier_version = choose(BFLOAT16, recorded={})
    assert of_earlier_version == ComputeSettings(precision="float32", jit_compile=False)
    assert str(choose(FLOAT32, recorded=BFLOAT16.recorded())) == (
        "bfloat16 without XLA (as the training began)"
    )


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [((0.010, 0.009), BFLOAT16), ((0.010, 0.0098), FLOAT32), ((0.010, 0.020), FLOAT32)],
)
def test_a_little_faster_is_not_enough(
    seconds: tuple[float, float], expected: ComputeSettings
) -> None:
    assert fastest((FLOAT32, BFLOAT16), seconds) == expected


def test_the_reason_tells_the_times() -> None:
    assert str(fastest((FLOAT32, BFLOAT16), (0.010, 0.009))) == (
        "bfloat16 without XLA (timed: 9.0 ms a step, 10.0 in float32 with XLA)"
    )


def test_what_checkpoints_keep_is_found_again(tmp_path: Path) -> None:
    folder = tmp_path / "training"
    trainings = {tmp_path / "none": "w none", folder: "w"}
    assert find_recorded(trainings) is None
    old, new, newest = (folder / f"checkpoint-00000000{step}" for step in (1, 2, 3))
    for path in (old, new, newest):
        path.mkdir(parents=True)
    write_json(old / "state.json", {"step": 1, "sha256": "x"})
    assert find_recorded(trainings) == {}  # of a version that did not keep it
    write_sealed(new / "state.json", {"step": 2, "compute": BFLOAT16.recorded()}, work="w")
    (newest / "state.json").write_text("{")
    assert find_recorded(trainings) == {"precision": "bfloat16", "jit_compile": False}
    write_sealed(newest / "state.json", {"compute": FLOAT32.recorded()}, work="of another")
    assert find_recorded(trainings) == BFLOAT16.recorded()
