"""The same loss curve on one device and on several, which must be there before Keras is."""

import socket
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import pytest
import yaml

from albert_core.config import WEIGHTS_NAME
from albert_core.model.weights import read_weights
from tests.helpers.compilation import CHEAP_XLA_FLAGS
from tests.helpers.observed_devices import OBSERVED_ALBERT, rows_said
from tests.helpers.tiny_pretraining import OVERRIDES, history_of, losses_of
from tests.helpers.zygote import ALBERT, Fork, Zygote

pytestmark = pytest.mark.slow

Start = Callable[..., Fork]
NUM_STEPS = 8
TOLERANCE = 1e-4
SETTINGS = {
    "model": {"preset": "tiny", "overrides": {**OVERRIDES, "num_hidden_layers": 2}},
    "pretraining": {
        "optimizer": "lamb",
        "learning_rate": 0.01,
        "num_train_steps": NUM_STEPS,
        "num_warmup_steps": 2,
        "batch_size": 16,
        "evaluation_interval_steps": NUM_STEPS,
        "log_interval_steps": 1,
        "precision": "float32",
    },
}
JAX = {"KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"}
EIGHT_DEVICES = {**JAX, "XLA_FLAGS": f"{CHEAP_XLA_FLAGS} --xla_force_host_platform_device_count=8"}
# What TensorFlow takes for one device is set by a call, not by the environment.
TWO_LOGICAL_CPUS = f"""
import tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
{OBSERVED_ALBERT}
"""
# Fails with the kernels of the blocks, and their moments, that every device holds as a whole.
CUTS_KERNELS = """
from albert_core.config import AlbertConfig
from albert_core.model import AlbertEncoder
from albert_core.optimizers.factory import make_optimizer
from albert_core.training.devices import use_devices
config = AlbertConfig(
    vocab_size=32, hidden_size=32, num_attention_heads=4, intermediate_size=64, num_hidden_layers=1
)
with use_devices("model_parallel", model_parallel_size=2):
    encoder = AlbertEncoder(config)
    encoder.build()
    optimizer = make_optimizer("adamw", learning_rate=0.1, num_train_steps=2, num_warmup_steps=1)
    optimizer.build(encoder.trainable_variables)
variables = [*encoder.weights, *optimizer.variables]
cut = [v for v in variables if "inner_group_0" in v.path and "kernel" in v.path]
whole = [v.path for v in cut if v.value.addressable_shards[0].data.shape == v.shape]
assert len(cut) == 18 and not whole, whole
"""


@pytest.fixture(scope="module")
def arguments(material, tmp_path_factory) -> list[str]:
    config = tmp_path_factory.mktemp("settings") / "config.yaml"
    config.write_text(yaml.safe_dump(SETTINGS), encoding="utf-8")
    inputs = ["--vocab_dir", str(material.vocab), "--records_dir", str(material.short)]
    return ["pretrain", "--config", str(config), *inputs]


@pytest.fixture(scope="module")
def start(pretraining_zygote, tmp_path_factory) -> Iterator[Start]:
    """Start `albert` with arguments, an output folder and an environment."""
    # Read when JAX is imported; XLA_FLAGS are read when it first looks for devices.
    jax_zygote = Zygote(tmp_path_factory.mktemp("jax"), JAX)
    zygotes = {"jax": jax_zygote, "tensorflow": pretraining_zygote}

    def start(
        arguments: list[str], output: Path, environment: Mapping[str, str], code: str = ALBERT
    ) -> Fork:
        zygote = zygotes[environment["KERAS_BACKEND"]]
        return zygote.start([*arguments, "--output", str(output)], environment, code)

    yield start
    jax_zygote.close()


def finished(process: Fork) -> str:
    """Return what a process said on its way to success."""
    said = process.wait(timeout=200)
    assert process.returncode == 0, said
    return said


@pytest.fixture(scope="module")
def one_jax_device(start, arguments, tmp_path_factory) -> list[float]:
    output = tmp_path_factory.mktemp("one") / "model"
    assert "training: single on 1 cpu device" in finished(start(arguments, output, JAX))
    return losses_of(output)


@pytest.mark.parametrize(
    ("options", "strategy", "trained_rows"),
    [
        ([], "data_parallel on 8 cpu devices (there are 8)", (2, 16)),
        (["--pretraining.device_batch_size", "1"], "data_parallel on 8 cpu devices", (1, 8)),
        (
            [
                *("--pretraining.strategy", "model_parallel"),
                *("--pretraining.model_parallel_size", "2"),
            ],
            "model_parallel on 8 cpu devices",
            (4, 16),
        ),
    ],
    ids=["data parallel", "in two micro-batches", "model parallel"],
)
def test_eight_devices_of_jax(
    start, arguments, one_jax_device, tmp_path, options, strategy, trained_rows
):
    """Each device has its rows of a batch, or of a micro-batch."""
    output = tmp_path / "model"
    said = finished(start([*arguments, *options], output, EIGHT_DEVICES, OBSERVED_ALBERT))
    assert strategy in said
    assert losses_of(output) == pytest.approx(one_jax_device, abs=TOLERANCE)
    assert [8, *trained_rows] in rows_said(said)
    each, rows = trained_rows
    assert {(devices, rows / each) for devices, each, rows in rows_said(said)} == {(8, rows / each)}


def test_model_parallelism_cuts_the_kernels_of_the_blocks(start, tmp_path):
    finished(start([], tmp_path, EIGHT_DEVICES, CUTS_KERNELS))


def test_two_processes_of_jax(start, arguments, one_jax_device, tmp_path):
    """Both see one folder; the first of them writes."""
    output = tmp_path / "model"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    processes = [
        start(
            arguments,
            output,
            {
                **JAX,
                "KERAS_DISTRIBUTION_JOB_ADDRESSES": address,
                "KERAS_DISTRIBUTION_NUM_PROCESSES": "2",
                "KERAS_DISTRIBUTION_PROCESS_ID": str(index),
            },
            OBSERVED_ALBERT,
        )
        for index in (0, 1)
    ]
    for process in processes:
        said = finished(process)
        assert "data_parallel on 2 cpu devices in 2 processes" in said
        assert [2, 8, 16] in rows_said(said)
    assert losses_of(output) == pytest.approx(one_jax_device, abs=TOLERANCE)


def test_two_logical_devices_of_tensorflow(start, arguments, tmp_path):
    mirrored = [*arguments, "--pretraining.strategy", "mirrored"]
    environment = {"KERAS_BACKEND": "tensorflow"}
    # XLA compiles for longer than these steps take; `mirrored` does without it.
    single = [*arguments, "--pretraining.jit_compile", "false"]
    (num_rows,) = rows_said(finished(start(single, tmp_path / "one", environment, OBSERVED_ALBERT)))
    said = finished(start(mirrored, tmp_path / "two", environment, TWO_LOGICAL_CPUS))
    assert "mirrored on 2 CPU devices" in said
    assert rows_said(said) == [num_rows / 2] * 2
    parts = [*mirrored, "--pretraining.device_batch_size", "4"]
    finished(start(parts, tmp_path / "parts", environment, TWO_LOGICAL_CPUS))
    one = losses_of(tmp_path / "one")
    assert losses_of(tmp_path / "two") == pytest.approx(one, abs=TOLERANCE)
    assert losses_of(tmp_path / "parts") == pytest.approx(one, abs=TOLERANCE)
    (row,), (row_of_two,) = history_of(tmp_path / "one"), history_of(tmp_path / "two")
    for name in ("masked_lm_loss", "sentence_order_loss"):
        assert row_of_two[name] == pytest.approx(row[name], abs=TOLERANCE), name
    # In an evaluation each replica divides by the number of its own predictions.
    assert row_of_two["loss"] == pytest.approx(row["loss"], rel=0.01)


@pytest.mark.parametrize(
    ("environment", "code", "single", "several"),
    [
        (
            EIGHT_DEVICES,
            ALBERT,
            [],
            [
                *("--pretraining.strategy", "model_parallel"),
                *("--pretraining.model_parallel_size", "2"),
                *("--pretraining.device_batch_size", "2"),
            ],
        ),
        (
            {"KERAS_BACKEND": "tensorflow"},
            TWO_LOGICAL_CPUS,
            ["--pretraining.jit_compile", "false"],
            ["--pretraining.strategy", "mirrored", "--pretraining.device_batch_size", "4"],
        ),
    ],
    ids=["jax", "tensorflow"],
)
def test_muon_whose_products_cross_devices_and_averaged_weights(
    start, arguments, tmp_path, environment, code, single, several
):
    """In model parallelism the rows of a matrix are on several devices, which multiply it whole."""
    options = {
        "optimizer": "muon",
        "bias_correction": "true",
        "ema_decay": "0.5",
        "num_train_steps": "5",
        "evaluation_interval_steps": "5",
    }
    muon = [*arguments, *(f"--pretraining.{name}={value}" for name, value in options.items())]
    single = [*muon, *single, "--pretraining.strategy", "single"]
    finished(start(single, tmp_path / "one", environment, code))
    finished(start([*muon, *several], tmp_path / "several", environment, code))
    one, of_several = losses_of(tmp_path / "one"), losses_of(tmp_path / "several")
    assert len(one) == 5
    assert of_several == pytest.approx(one, abs=TOLERANCE)
    # Published are the averages.
    published = [read_weights(tmp_path / name / WEIGHTS_NAME) for name in ("one", "several")]
    for name, average in published[0].items():
        np.testing.assert_allclose(published[1][name], average, atol=TOLERANCE, err_msg=name)


def test_a_batch_that_the_devices_cannot_divide(start, arguments, tmp_path):
    options = ["--pretraining.batch_size", "12"]
    process = start([*arguments, *options], tmp_path / "model", EIGHT_DEVICES)
    said = process.wait(timeout=300)
    assert process.returncode == 2
    assert "batch_size: got 12, expected a multiple of 8 (8 devices)" in said
    assert not list(tmp_path.iterdir())


def test_a_strategy_of_the_other_backend(start, arguments, tmp_path):
    process = start([*arguments, "--pretraining.strategy", "mirrored"], tmp_path / "model", JAX)
    said = process.wait(timeout=300)
    assert process.returncode == 2
    assert "got mirrored, expected with the jax backend auto, single, data_parallel" in said
