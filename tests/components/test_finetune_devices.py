"""The same fine-tuning on one device and on several, whole and in micro-batches."""

import json
import socket
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from albert_core.artifacts.manifest import read_manifest
from albert_core.config import WEIGHTS_NAME
from albert_core.model.weights import read_weights
from tests.helpers.finetuning_cases import (
    RUN_CASES,
    RUN_CASES_ON_TWO_LOGICAL_CPUS,
    losses_and_scores,
)
from tests.helpers.tiny_tasks import write_tiny_model, write_tiny_tasks
from tests.helpers.zygote import Zygote

pytestmark = pytest.mark.slow

Cases = Mapping[str, Mapping[str, Any]]
TOLERANCE = 1e-6  # relative, of float32
# The shape of xxlarge, in small: one group of wide layers with many heads.
XXLARGE = {
    "num_hidden_layers": 3,
    "num_attention_heads": 8,
    "hidden_size": 64,
    "intermediate_size": 256,
    "embedding_size": 16,
}
JAX = {
    "KERAS_BACKEND": "jax",
    "JAX_PLATFORMS": "cpu",
    "JAX_DISABLE_MOST_OPTIMIZATIONS": "true",
}
EIGHT_DEVICES = {"XLA_FLAGS": "--xla_force_host_platform_device_count=8"}
SINGLE = {"strategy": "single"}
IN_GROUPS = {"strategy": "model_parallel", "model_parallel_size": 2}
# Of batches of 12, which neither 8 devices nor micro-batches of 5 divide.
KINDS = ("held", "whale", "no-whale", "roles", "sea")  # choices, spans twice, tags, pairs apart
JAX_CASES: dict[str, dict[str, Any]] = {
    **{
        f"{task} {name}": {"task": task, "settings": {"batch_size": 12, **settings}}
        for task in KINDS
        for name, settings in {"single": SINGLE, "spread": {"device_batch_size": 1}}.items()
    },
    "two devices": {"task": "held", "settings": {"batch_size": 12}, "num_devices": 2},
    "four micro-batches": {
        "task": "held",
        "settings": {"batch_size": 12, **SINGLE, "device_batch_size": 3},
    },
    "rematerialised": {
        "task": "held",
        "settings": {"batch_size": 12, "rematerialize": True, "device_batch_size": 1},
    },
    "model parallel": {
        "task": "held",
        "settings": {"batch_size": 12, **IN_GROUPS},
        "evaluate": True,
    },
    "dropout single": {"task": "held", "settings": {"classifier_dropout": 0.5, **SINGLE}},
    "dropout spread": {"task": "held", "settings": {"classifier_dropout": 0.5}},
    **{
        f"{task} {name}": {
            "task": task,
            "settings": {
                **IN_GROUPS,
                "device_batch_size": 2,
                "rematerialize": True,
                "checkpoint_interval_steps": 3,
            },
            **interruption,
        }
        for task in ("held", "no-whale")
        for name, interruption in {"undisturbed": {}, "killed": {"interrupt_at": 3}}.items()
    },
}
TENSORFLOW_CASES: dict[str, dict[str, Any]] = {
    f"{task} {name}": {
        "task": task,
        "settings": {"batch_size": 11, **settings},
        "evaluate": (task, name) == ("no-whale", "spread"),
    }
    for task in ("held", "no-whale", "roles")
    for name, settings in {
        "single": SINGLE,
        "spread": {"strategy": "mirrored", "device_batch_size": 3},
    }.items()
}


@pytest.fixture(scope="module")
def tasks(tmp_path_factory) -> Path:
    return write_tiny_tasks(tmp_path_factory.mktemp("tasks"))


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    return write_tiny_model(tmp_path_factory.mktemp("model") / "tiny", **XXLARGE)


@pytest.fixture(scope="module")
def run(tasks, model, tmp_path_factory) -> Callable[..., Path]:
    """Fine-tune for all cases, in a fork for each environment; return the folder of outputs."""

    def run(
        cases: Cases, zygote: Zygote, *environments: Mapping[str, str], code: str = RUN_CASES
    ) -> Path:
        folder = tmp_path_factory.mktemp("outputs")
        (folder / "cases.json").write_text(json.dumps(cases))
        arguments = [str(path) for path in (tasks, model, folder / "cases.json", folder)]
        processes = [zygote.start(arguments, environment, code) for environment in environments]
        for process in processes:
            said = process.wait(timeout=600)
            assert process.returncode == 0, said
        return folder

    return run


@pytest.fixture(scope="module")
def jax_zygote(tmp_path_factory) -> Iterator[Zygote]:
    modules = ("components.finetune.step", "albert_core.finetuning.program")
    # What several cases compile is compiled once.
    environment = {
        **JAX,
        "JAX_COMPILATION_CACHE_DIR": str(tmp_path_factory.mktemp("compiled")),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    }
    zygote = Zygote(tmp_path_factory.mktemp("jax"), environment, modules=modules)
    yield zygote
    zygote.close()


@pytest.fixture(scope="module")
def jax_outputs(run, jax_zygote) -> Path:
    return run(JAX_CASES, jax_zygote, {**JAX, **EIGHT_DEVICES})


@pytest.fixture(scope="module")
def tensorflow_outputs(run, run_zygote) -> Path:
    environment = {"KERAS_BACKEND": "tensorflow"}
    return run(TENSORFLOW_CASES, run_zygote, environment, code=RUN_CASES_ON_TWO_LOGICAL_CPUS)


def assert_same(one: Path, other: Path) -> None:
    expected = losses_and_scores(one)
    np.testing.assert_allclose(losses_and_scores(other), expected, rtol=TOLERANCE)


@pytest.mark.parametrize("task", KINDS)
def test_eight_devices_of_jax(jax_outputs, task) -> None:
    assert_same(jax_outputs / f"{task} single", jax_outputs / f"{task} spread")


@pytest.mark.parametrize(
    "name", ["two devices", "four micro-batches", "rematerialised", "model parallel"]
)
def test_however_a_batch_is_divided(jax_outputs, name) -> None:
    assert_same(jax_outputs / "held single", jax_outputs / name)


def test_jax_draws_dropout_for_the_whole_batch(jax_outputs) -> None:
    assert_same(jax_outputs / "dropout single", jax_outputs / "dropout spread")


def test_the_devices_are_told(jax_outputs) -> None:
    several = read_manifest(jax_outputs / "model parallel", step="finetune").metrics
    assert several["strategy"] == "model_parallel on 8 cpu devices"
    single = read_manifest(jax_outputs / "held single", step="finetune").metrics
    assert "strategy" not in single


@pytest.mark.parametrize("task", ["held", "no-whale"])
def test_killed_between_two_steps_it_ends_with_the_same_bits(jax_outputs, task) -> None:
    undisturbed, killed = (
        read_weights(jax_outputs / f"{task} {name}" / WEIGHTS_NAME)
        for name in ("undisturbed", "killed")
    )
    for name, weight in undisturbed.items():
        np.testing.assert_array_equal(killed[name], weight, err_msg=name)


def assert_same_scores(model: Path) -> None:
    """Check that one device and several give the same scores to the last digit."""
    one, several = (Path(f"{model} scores of {number}") for number in ("one", "several"))
    scores = [json.loads((path / "metrics.json").read_text()) for path in (one, several)]
    assert scores[0] == scores[1]
    predictions = [
        [json.loads(line)["prediction"] for line in (path / "examples_dev.jsonl").open()]
        for path in (one, several)
    ]
    assert predictions[0] == predictions[1]


def test_evaluation_is_spread_over_the_devices_of_jax(jax_outputs) -> None:
    assert_same_scores(jax_outputs / "model parallel")


def test_evaluation_is_spread_over_the_devices_of_tensorflow(tensorflow_outputs) -> None:
    assert_same_scores(tensorflow_outputs / "no-whale spread")


def test_two_processes_of_jax(run, jax_zygote, jax_outputs) -> None:
    """Both see one folder; the first of them writes."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    environments = [
        {
            **JAX,
            "KERAS_DISTRIBUTION_JOB_ADDRESSES": address,
            "KERAS_DISTRIBUTION_NUM_PROCESSES": "2",
            "KERAS_DISTRIBUTION_PROCESS_ID": str(index),
        }
        for index in (0, 1)
    ]
    cases = {"processes": {"task": "held", "settings": {"batch_size": 12}}}
    outputs = run(cases, jax_zygote, *environments)
    assert_same(jax_outputs / "held single", outputs / "processes")
    strategy = read_manifest(outputs / "processes", step="finetune").metrics["strategy"]
    assert "data_parallel on 2 cpu devices in 2 processes" in strategy


@pytest.mark.parametrize("task", ["held", "no-whale", "roles"])
def test_two_logical_devices_of_tensorflow(tensorflow_outputs, task) -> None:
    single, spread = (tensorflow_outputs / f"{task} {name}" for name in ("single", "spread"))
    assert_same(single, spread)
