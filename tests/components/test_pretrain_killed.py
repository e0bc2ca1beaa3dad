"""A pretraining that is killed again and again ends with the weights of one that never was."""

import hashlib
import json
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path

import keras
import pytest
import yaml

from tests.helpers.tiny_pretraining import OVERRIDES
from tests.helpers.zygote import Fork

pytestmark = [pytest.mark.slow, pytest.mark.backends]

NUM_STEPS = 120
EVALUATED = 40
# What comes back of a state is the same code under both backends; JAX's own way of restoring it
# shows in one kill and one termination, each of which compiles or reads every program again.
NUM_KILLS = 1 if keras.backend.backend() == "jax" else 3
SETTINGS = {
    # Dropout needs the random state to come back, too.
    "model": {"preset": "tiny", "overrides": {**OVERRIDES, "hidden_dropout_prob": 0.1}},
    "pretraining": {
        # Both kinds of state: one moment for matrices of the blocks, AdamW's two for the rest.
        "optimizer": "muon",
        "bias_correction": True,
        "beta_2": 0.98,
        "learning_rate": 0.005,
        "num_train_tokens": NUM_STEPS * 256 * 24,
        "schedule": "warmup_stable_decay",
        "warmup_ratio": 0.04,
        "position_offset_probability": 0.5,
        "batch_size": 256,
        "evaluation_interval_steps": EVALUATED,
        "checkpoint_interval_steps": 7,
        "log_interval_steps": 1,
        "jit_compile": keras.backend.backend() == "jax",  # TensorFlow starts faster without
    },
}


@pytest.fixture
def start(material, pretraining_zygote, tmp_path) -> Callable[[Path], Fork]:
    """Start `albert pretrain` with an output folder.

    JAX compiles the step for the first run only: its programs are kept for the whole session.
    """
    config = tmp_path / "config.yaml"
    config.write_text(yaml.safe_dump(SETTINGS), encoding="utf-8")
    inputs = ["--vocab_dir", str(material.vocab), "--records_dir", str(material.short)]
    command = ["pretrain", "--config", str(config), *inputs, "--output"]
    return lambda output: pretraining_zygote.start([*command, str(output)], {})


def logged_step(output: Path) -> int:
    """Return the last step in the log of a run that is under way."""
    for log in output.parent.glob(f".{output.name}.work/pretrain-*/progress/training_log.jsonl"):
        lines = log.read_text(encoding="utf-8").splitlines(keepends=True)
        whole = [line for line in lines if line.endswith("\n")]
        return json.loads(whole[-1])["global_step"] if whole else 0
    return 0


def send_at(process: Fork, output: Path, step: int, kind: signal.Signals) -> str:
    """Send a signal once a step is logged; return what the process said, when it is gone."""
    while logged_step(output) < step:
        assert process.returncode is None, process.wait(0)
        time.sleep(0.002)
    process.send_signal(kind)
    return process.wait(timeout=60)


def finish(process: Fork) -> None:
    said = process.wait(timeout=300)
    assert process.returncode == 0, said


def weights_hash(output: Path) -> str:
    return hashlib.sha256((output / "model.safetensors").read_bytes()).hexdigest()


def moments_of_signals() -> list[tuple[int, signal.Signals]]:
    """Return the steps at which a signal is sent, as many of each kind, in order."""
    rng = random.Random(keras.backend.backend())  # other moments under the other backend
    steps = rng.sample([n for n in range(3, NUM_STEPS - 10) if n != EVALUATED], 2 * NUM_KILLS - 1)
    kills = [(step, signal.SIGKILL) for step in steps[:NUM_KILLS]]
    terminations = [(step, signal.SIGTERM) for step in steps[NUM_KILLS:]]
    # It is logged just before its evaluation begins.
    return sorted([*kills, *terminations, (EVALUATED, signal.SIGTERM)])


def test_kills_and_terminations_change_no_bit(start, tmp_path):
    undisturbed, disturbed = tmp_path / "undisturbed", tmp_path / "disturbed"
    finish(start(undisturbed))
    for step, kind in moments_of_signals():
        process = start(disturbed)
        said = send_at(process, disturbed, step, kind)
        if kind == signal.SIGTERM:
            assert process.returncode == 143
            assert "stopped by SIGTERM after" in said
        else:
            assert process.returncode == -signal.SIGKILL
    finish(start(disturbed))
    assert weights_hash(disturbed) == weights_hash(undisturbed)
    for name in ("metrics.jsonl", "training_log.jsonl"):
        assert without_times(disturbed / name) == without_times(undisturbed / name)


def without_times(path: Path) -> list[dict[str, float]]:
    """Return the rows of a log less what depends on the clock."""
    by_the_clock = ("second", "wait", "utilization")
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return [
        {name: v for name, v in row.items() if not any(word in name for word in by_the_clock)}
        for row in rows
    ]
