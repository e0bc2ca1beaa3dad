"""How a training computes: as it began, as the machine tells, or as a few steps show."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from albert_core.checksums import write_sealed
from albert_core.files import write_json
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
CPU = Devices(strategy="single", num_devices=1, name="CPU")


@pytest.fixture
def choose(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A function that chooses among possible ways, and takes the last one if it times them."""

    def choose(
        *possible: ComputeSettings, trainings: dict[Path, str] | None = None, **settings: Any
    ) -> ComputeSettings:
        monkeypatch.setattr(compute_choice, "possible_settings", lambda *_, **__: possible)
        return choose_compute(
            TrainingConfig(precision="float32", jit_compile=False),
            64,
            CPU,
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
    assert choose(FLOAT32, BFLOAT16, new_training=lambda one: None) == BFLOAT16
    assert choose(FLOAT32, BFLOAT16, new_training=None) == FLOAT32
    former = ComputeSettings(precision="float32", jit_compile=False)
    assert choose(BFLOAT16, is_as_formerly=True) == former


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
    assert str(as_begun) == "bfloat16 without XLA (as the training began)"
    write_sealed(newest / "state.json", {"compute": FLOAT32.recorded()}, work="of another")
    assert choose(FLOAT32, trainings=trainings) == BFLOAT16


@pytest.mark.backends
def test_of_several_processes_the_first_ones_choice_holds(
    choose: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[float] = []
    monkeypatch.setattr(compute_choice, "of_first_process", lambda value: sent.append(value) or 2.0)
    chosen = choose(FLOAT32)
    assert (chosen, chosen.why) == (BFLOAT16, "as the first process computes")
    assert choose(BFLOAT16, is_as_formerly=False) == BFLOAT16
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
