"""`albert pretrain` with `auto`: timed steps change no bit, and a killed run keeps its choice."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import keras
import pytest

from albert_core.training.compute import ComputeSettings
from tests.helpers.tiny_pretraining import train

pytestmark = [
    pytest.mark.slow,
    pytest.mark.usefixtures("eager"),  # what is compiled is not the subject
    pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="JAX times nothing"),
]

FLOAT32, BFLOAT16 = (
    ComputeSettings(precision=precision, jit_compile=False) for precision in ("float32", "bfloat16")
)
# Dropout draws from the random state, which timed steps must leave as it was.
SHORT = {
    "overrides": {"hidden_dropout_prob": 0.1},
    "num_train_steps": 4,
    "num_warmup_steps": 1,
    "evaluation_interval_steps": 2,
}


class InterruptedHereError(Exception):
    pass


def weights_hash(output: Path) -> str:
    return hashlib.sha256((output / "model.safetensors").read_bytes()).hexdigest()


def test_a_killed_run_ends_as_one_with_the_settings_that_it_chose(
    material, tmp_path, monkeypatch
) -> None:
    said: list[str] = []

    def run(name: str, *, ends_at: int | None = None, **settings: object) -> str:
        def progress(done: int, total: int, text: str) -> None:
            said.append(text)
            if ends_at and done > ends_at:  # where the first checkpoint is
                raise InterruptedHereError

        output = tmp_path / name
        manifest = train(material, output, progress=progress, **SHORT, **settings)
        assert (manifest.metrics["precision"], manifest.metrics["jit_compile"]) == (
            "bfloat16",
            False,
        )
        return weights_hash(output)

    def machine(*possible: ComputeSettings) -> None:
        monkeypatch.setattr(
            "albert_core.training.compute_choice.possible_settings", lambda *_, **__: possible
        )

    def last(possible: Sequence[ComputeSettings], seconds: Sequence[float]) -> ComputeSettings:
        assert len(seconds) == 2
        assert all(one > 0 for one in seconds)
        return possible[-1]

    fixed = run("fixed", precision="bfloat16")
    assert not any(text.startswith("timing") for text in said)

    machine(FLOAT32, BFLOAT16)
    for name, value in {"fastest": last, "_ROUNDS": 1, "_LEAST_STEPS": 1, "_SECONDS": 0}.items():
        monkeypatch.setattr(f"albert_core.training.timed_steps.{name}", value)
    with pytest.raises(InterruptedHereError):
        run("chosen", ends_at=2, precision="auto")
    assert said.count("timing a few steps in 2 ways") == 1
    machine(FLOAT32)  # as if the folder had been moved to another machine
    assert run("chosen", precision="auto") == fixed
    assert said.count("timing a few steps in 2 ways") == 1
    why = "as the training began; float32 is faster here"
    assert f"computing in bfloat16 without XLA ({why})" in said
