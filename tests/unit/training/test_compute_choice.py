"""How a training computes: as it began, as the machine tells, or as a few steps show."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import pytest

from albert_core.files.atomic import write_json
from albert_core.files.checksums import write_sealed
from albert_core.progress import quiet
from albert_core.training import compute_choice
from albert_core.training.compute import ComputeSettings
from albert_core.training.compute_choice import choose_compute
from albert_core.training.config import TrainingConfig
from albert_core.training.devices import Devices
from albert_core.training.timed_steps import fastest

FLOAT32, BFLOAT16 = (
    ComputeSettings(precision="float32", jit_compile=True),
    ComputeSettings(precision="bfloat16", jit_compile=False),
)
AS_SET = TrainingConfig(precision="float32", jit_compile=False)
CPU = Devices(strategy="single", num_devices=1, name="CPU")
TWO_GPUS = Devices(strategy="mirrored", num_devices=2, name="NVIDIA H100 80GB HBM3")
IS_JAX = keras.backend.backend() == "jax"


@pytest.fixture
def choose(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A function that chooses among possible ways, and takes the last one if it times them."""

    def choose(
        *possible: ComputeSettings,
        config: TrainingConfig = AS_SET,
        devices: Devices = CPU,
        trainings: dict[Path, str] | None = None,
        **settings: Any,
    ) -> ComputeSettings:
        monkeypatch.setattr(compute_choice, "possible_settings", lambda *_, **__: possible)
        return choose_compute(
            config,
            64,
            devices,
            trainings=trainings or {},
            seed=0,
            progress=quiet,
            **{"new_training": pytest.fail, **settings},
        )

    def last(possible: Sequence[ComputeSettings], new_training: Any, **_: Any) -> ComputeSettings:
        assert new_training is not pytest.fail, "timed"
        return possible[-1]

    monkeypatch.setattr(compute_choice, "time_settings", last)
    return choose


@pytest.fixture
def checkpoints(tmp_path: Path) -> list[Path]:
    """The folders of three checkpoints without files, the oldest first."""
    paths = [tmp_path / f"checkpoint-00000000{step}" for step in (1, 2, 3)]
    for path in paths:
        path.mkdir()
    return paths


@pytest.mark.backends
def test_steps_are_timed_only_where_nothing_else_decides(choose: Any) -> None:
    assert choose(BFLOAT16) == BFLOAT16
    assert choose(FLOAT32, BFLOAT16, new_training=lambda compute: None) == BFLOAT16
    assert choose(FLOAT32, BFLOAT16, new_training=None) == FLOAT32
    former = ComputeSettings(precision="float32", jit_compile=False)
    assert choose(BFLOAT16, keeps_former_defaults=True) == former


def test_a_training_goes_on_as_its_newest_whole_checkpoint_says(
    choose: Any, checkpoints: list[Path], tmp_path: Path
) -> None:
    trainings = {tmp_path / "none": "w none", tmp_path: "w"}
    old, new, newest = checkpoints
    assert choose(FLOAT32, trainings=trainings) == FLOAT32
    write_json(old / "state.json", {"step": 1, "sha256": "x"})
    # Of a version that did not keep it.
    as_formerly = choose(BFLOAT16, trainings=trainings)
    assert as_formerly == ComputeSettings(precision="float32", jit_compile=False)
    write_sealed(new / "state.json", {"step": 2, "compute": BFLOAT16.recorded()}, work="w")
    (newest / "state.json").write_text("{")
    as_begun = choose(FLOAT32, trainings=trainings)
    assert str(as_begun) == "bfloat16 without XLA (as the training began; float32 is faster here)"
    write_sealed(newest / "state.json", {"compute": FLOAT32.recorded()}, work="of another")
    assert choose(FLOAT32, trainings=trainings) == BFLOAT16


@pytest.mark.backends
def test_a_training_goes_on_without_the_compilation_that_is_impossible(
    choose: Any, checkpoints: list[Path], tmp_path: Path
) -> None:
    """TensorFlow cannot have XLA on several devices, and JAX is never to be without it."""
    began = ComputeSettings(precision="bfloat16", jit_compile=not IS_JAX)
    write_sealed(checkpoints[0] / "state.json", {"compute": began.recorded()}, work="w")
    moved = {"trainings": {tmp_path: "w"}, "devices": TWO_GPUS}
    chosen = choose(BFLOAT16, config=TrainingConfig(), **moved)
    assert chosen == ComputeSettings(precision="bfloat16", jit_compile=IS_JAX)
    before, here = ("without", "with") if IS_JAX else ("with", "without")
    assert chosen.why == f"the training began {before} XLA, and goes on {here} it here"
    assert choose(BFLOAT16, config=TrainingConfig(jit_compile=not IS_JAX), **moved) == began
    if not IS_JAX:
        assert choose(BFLOAT16, config=TrainingConfig(), trainings=moved["trainings"]) == began


@pytest.mark.backends
@pytest.mark.parametrize("hidden_size", [256, 768])
@pytest.mark.parametrize("is_new", [True, False])
def test_what_keeps_former_defaults_computes_in_float32_on_every_processor(
    is_new: bool,
    hidden_size: int,
    checkpoints: list[Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Trainings of versions that kept no choice, and the recipes of the original."""
    instructions = f"albert_core.backends.{keras.backend.backend()}.compilation"
    monkeypatch.setattr(f"{instructions}.bfloat16_instructions", lambda: "AMX", raising=False)
    if not is_new:
        write_sealed(checkpoints[0] / "state.json", {"step": 1}, work="w")
    chosen = choose_compute(
        TrainingConfig(),
        hidden_size,
        CPU,
        trainings={tmp_path: "w"},
        new_training=None,
        seed=0,
        progress=quiet,
        keeps_former_defaults=is_new,
    )
    # Below 512 the first versions had XLA compile a step.
    assert chosen == ComputeSettings(precision="float32", jit_compile=IS_JAX or hidden_size == 256)


@pytest.mark.backends
def test_of_several_processes_the_first_ones_choice_holds(
    choose: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[float] = []
    monkeypatch.setattr(
        compute_choice, "broadcast_from_first_process", lambda value: sent.append(value) or 2.0
    )
    chosen = choose(FLOAT32)
    assert (chosen, chosen.why) == (BFLOAT16, "as the first process computes")
    assert choose(BFLOAT16, keeps_former_defaults=False) == BFLOAT16
    assert sent == [1.0, 2.0]


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
