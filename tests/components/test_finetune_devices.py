"""The same fine-tuning on one device and on several, whole and in micro-batches."""

import json
import signal
import socket
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from albert_core.artifacts.manifest import read_manifest
from albert_core.config import WEIGHTS_NAME
from albert_core.finetuning.example_rows import read_example_rows
from albert_core.model.weights import read_weights
from tests.helpers.compilation import CHEAP_XLA_FLAGS
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
    "num_hidden_layers": 2,
    "num_attention_heads": 8,
    "hidden_size": 64,
    "intermediate_size": 256,
    "embedding_size": 16,
}
JAX = {"KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"}
EIGHT_DEVICES = {"XLA_FLAGS": f"{CHEAP_XLA_FLAGS} --xla_force_host_platform_device_count=8"}
SINGLE = {"strategy": "single"}
IN_GROUPS = {
    "strategy": "model_parallel",
    "model_parallel_size": 2,
    "device_batch_size": 2,
    "rematerialize": True,
    "checkpoint_interval_steps": 3,
}
# Batches of 12, which 8 devices do not divide, nor micro-batches of 5.
JAX_CASES: dict[str, dict[str, Any]] = {
    name: {"task": task, "settings": {"batch_size": 12, **settings}, **others}
    for name, task, settings, others in (
        ("choices", "held", SINGLE, {}),
        ("choices, 8 devices", "held", {"device_batch_size": 1}, {"observe": True}),
        (
            "choices, 2 devices",
            "held",
            {"device_batch_size": 5},
            {"num_devices": 2, "observe": True},
        ),
        ("choices, 4 parts", "held", {**SINGLE, "device_batch_size": 3}, {}),
        ("choices, in groups", "held", IN_GROUPS, {"evaluate": True}),
        ("choices, killed", "held", IN_GROUPS, {"interrupt_at": 3}),
        ("spans", "no-whale", SINGLE, {}),
        ("spans, in groups", "no-whale", IN_GROUPS, {"observe": True}),
        ("spans, killed", "no-whale", IN_GROUPS, {"interrupt_at": 3}),
        ("tags", "roles", {**SINGLE, "classifier_dropout": 0.5}, {}),
        ("tags, 8 devices", "roles", {"classifier_dropout": 0.5}, {}),
    )
}
# Batches of 11, which neither 2 devices nor micro-batches of 3 divide.
TENSORFLOW_CASES: dict[str, dict[str, Any]] = {
    name: {"task": task, "settings": {"batch_size": 11, **settings}, **others}
    for name, task, settings, others in (
        ("choices", "held", SINGLE, {}),
        ("choices, 4 parts", "held", {**SINGLE, "device_batch_size": 3}, {}),
        ("spans", "no-whale", SINGLE, {"observe": True}),
        (
            "spans, 2 devices",
            "no-whale",
            {"strategy": "mirrored", "device_batch_size": 3},
            {"evaluate": True, "observe": True},
        ),
    )
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
    zygote = Zygote(tmp_path_factory.mktemp("jax"), JAX, modules=modules)
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
    losses, scores = losses_and_scores(one)
    other_losses, other_scores = losses_and_scores(other)
    np.testing.assert_allclose(other_losses, losses, rtol=TOLERANCE)
    np.testing.assert_allclose(other_scores, scores, atol=TOLERANCE)


@pytest.mark.parametrize(
    "name",
    [
        "choices, 8 devices",
        "choices, 2 devices",
        "choices, 4 parts",
        "choices, in groups",
        "spans, in groups",
        "tags, 8 devices",  # with dropout, which JAX draws for the whole batch
    ],
)
def test_losses_and_scores_under_jax_however_a_batch_is_divided(jax_outputs, name) -> None:
    assert_same(jax_outputs / name.split(",")[0], jax_outputs / name)


@pytest.mark.parametrize("name", ["choices, 4 parts", "spans, 2 devices"])
def test_losses_and_scores_under_tensorflow(tensorflow_outputs, name) -> None:
    assert_same(tensorflow_outputs / name.split(",")[0], tensorflow_outputs / name)


def rows_of_devices(output: Path, what: str) -> Any:
    """Return what `observed_rows` saw of a case."""
    return json.loads(Path(f"{output} {what}").read_text())


def devices_and_parts(output: Path, what: str) -> set[tuple[int, float]]:
    """Return how many devices computed under JAX, and into how many parts they divided batches."""
    return {(devices, rows / each) for devices, each, rows in rows_of_devices(output, what)}


@pytest.mark.parametrize(
    ("name", "num_devices", "num_parts"),
    [("choices, 8 devices", 8, 8), ("choices, 2 devices", 2, 2), ("spans, in groups", 8, 4)],
)
def test_jax_divides_batches_among_its_devices(jax_outputs, name, num_devices, num_parts) -> None:
    """Those of training and of the evaluations in it; two devices of a group have the same rows."""
    assert devices_and_parts(jax_outputs / name, "rows") == {(num_devices, num_parts)}


def test_tensorflow_divides_batches_among_its_devices(tensorflow_outputs) -> None:
    (one,) = rows_of_devices(tensorflow_outputs / "spans", "rows")
    several = rows_of_devices(tensorflow_outputs / "spans, 2 devices", "rows")
    assert_halved(one, several)


def assert_halved(one: int, several: list[int]) -> None:
    """Check the rows of two devices against those of one; odd batches are filled up with a row."""
    assert len(several) == 2
    assert several[0] == several[1]
    assert one <= sum(several) <= 1.2 * one


def test_the_devices_are_told(jax_outputs) -> None:
    several = read_manifest(jax_outputs / "choices, in groups", step="finetune").metrics
    assert several["strategy"] == "model_parallel on 8 cpu devices"
    single = read_manifest(jax_outputs / "choices", step="finetune").metrics
    assert "strategy" not in single


@pytest.mark.parametrize("task", ["choices", "spans"])
def test_killed_between_two_steps_it_ends_with_the_same_bits(jax_outputs, task) -> None:
    undisturbed, killed = (
        read_weights(jax_outputs / f"{task}, {name}" / WEIGHTS_NAME)
        for name in ("in groups", "killed")
    )
    for name, weight in undisturbed.items():
        np.testing.assert_array_equal(killed[name], weight, err_msg=name)


@pytest.mark.parametrize("name", ["choices, in groups", "tags, 8 devices"])
def test_killed_by_sigkill_on_8_devices_it_ends_with_the_same_bits(
    jax_zygote, jax_outputs, tasks, model, tmp_path, name
) -> None:
    """The first has groups of devices, micro-batches and layers computed again; both kinds resume.

    The process dies at step 3 of 4; another one goes on from the checkpoint before.
    """
    case = {**JAX_CASES[name], "kill_at": 3}
    case.pop("evaluate", None)
    case["settings"] = {**case["settings"], "checkpoint_interval_steps": 2}
    arguments = [str(path) for path in (tasks, model, tmp_path / "cases.json", tmp_path)]
    for kill_at, status in ((3, -signal.SIGKILL), (-1, 0)):
        (tmp_path / "cases.json").write_text(json.dumps({"killed": {**case, "kill_at": kill_at}}))
        process = jax_zygote.start(arguments, {**JAX, **EIGHT_DEVICES}, RUN_CASES)
        said = process.wait(timeout=600)
        assert process.returncode == status, said
    undisturbed, killed = (
        read_weights(folder / WEIGHTS_NAME) for folder in (jax_outputs / name, tmp_path / "killed")
    )
    for variable, weight in undisturbed.items():
        np.testing.assert_array_equal(killed[variable], weight, err_msg=variable)


def assert_same_scores_and_vectors(model: Path) -> None:
    """Check that one device and several give the same scores to the last digit, and vectors."""
    one, several = (Path(f"{model} scores of {number}") for number in ("one", "several"))
    scores = [json.loads((path / "metrics.json").read_text()) for path in (one, several)]
    assert scores[0] == scores[1]
    predictions = [
        [row["prediction"] for row in read_example_rows(path)] for path in (one, several)
    ]
    assert predictions[0] == predictions[1]
    vectors = [np.load(f"{model} vectors of {number}.npy") for number in ("one", "several")]
    np.testing.assert_allclose(vectors[1], vectors[0], atol=5e-6)


@pytest.mark.parametrize("what", ["scores", "vectors"])
def test_evaluation_and_vectors_are_spread_over_the_devices_of_jax(jax_outputs, what) -> None:
    model = jax_outputs / "choices, in groups"
    assert_same_scores_and_vectors(model)
    assert devices_and_parts(model, f"rows of {what} of one") == {(1, 1)}
    assert devices_and_parts(model, f"rows of {what} of several") == {(8, 4)}


@pytest.mark.parametrize("what", ["scores", "vectors"])
def test_evaluation_and_vectors_are_spread_over_the_devices_of_tensorflow(
    tensorflow_outputs, what
) -> None:
    model = tensorflow_outputs / "spans, 2 devices"
    assert_same_scores_and_vectors(model)
    (one,) = rows_of_devices(model, f"rows of {what} of one")
    assert_halved(one, rows_of_devices(model, f"rows of {what} of several"))


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
    assert_same(jax_outputs / "choices", outputs / "processes")
    strategy = read_manifest(outputs / "processes", step="finetune").metrics["strategy"]
    assert "data_parallel on 2 cpu devices in 2 processes" in strategy
