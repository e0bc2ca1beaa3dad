"""Checkpoints the original wrote, and ours that the original's code restores."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from albert_core.checkpoints import (
    convert,
    load_tf1_checkpoint,
    read_checkpoint,
    read_tf1_checkpoint,
    save_tf1_checkpoint,
    write_tf1_checkpoint,
)
from albert_core.config import AlbertConfig
from albert_core.model import AlbertForPreTraining, weights_by_name
from albert_core.model.weights import as_arrays
from albert_core.optimizers.factory import make_optimizer
from albert_core.training.checkpoint import restore_latest, save_checkpoint
from albert_core.training.state import TrainingState

pytestmark = pytest.mark.backends

CONFIGS = ("g1i1_factorised", "g2i2_equal_emb")

# What a script of the original does at its end and at its start, without our code.
RESTORE_AS_THE_ORIGINAL = """
import sys
import numpy as np
import tensorflow.compat.v1 as tf

for prefix in sys.argv[1:]:
    names = tf.train.list_variables(prefix)
    with tf.Graph().as_default(), tf.Session() as session:
        variables = {
            name: tf.get_variable(name, shape, tf.int64 if name == "global_step" else tf.float32)
            for name, shape in names
        }
        latest = tf.train.latest_checkpoint(prefix.rpartition("/")[0])
        tf.train.Saver(variables).restore(session, latest)
        np.savez(f"{prefix}.npz", **session.run(variables))
"""

Arrays = dict[str, np.ndarray]


@pytest.fixture(params=CONFIGS)
def golden(request: pytest.FixtureRequest, numeric_goldens: Path) -> Path:
    return numeric_goldens / "model" / request.param


@pytest.fixture
def training_state(numeric_goldens: Path) -> Arrays:
    """All variables after five steps of the original's LAMB."""
    recorded = np.load(numeric_goldens / "model" / CONFIGS[0] / "train5_lamb.npz")
    names = (name for name in recorded.files if name.startswith("step5:"))
    return {name.removeprefix("step5:"): recorded[name] for name in names}


def new_model(folder: Path) -> AlbertForPreTraining:
    return AlbertForPreTraining(AlbertConfig.from_json_file(folder / "albert_config.json"))


def compiled_model(folder: Path) -> AlbertForPreTraining:
    model = new_model(folder)
    optimizer = make_optimizer("lamb", learning_rate=0.01, num_train_steps=9, num_warmup_steps=2)
    model.compile(optimizer=optimizer, jit_compile=False)
    return model


def assert_identical(actual: Arrays, expected: Arrays) -> None:
    assert actual.keys() == expected.keys()
    for name, array in actual.items():
        assert array.dtype == expected[name].dtype, name
        np.testing.assert_array_equal(array, expected[name], err_msg=name)


def test_a_checkpoint_of_the_original_is_read_to_the_last_bit(golden: Path) -> None:
    expected = dict(np.load(golden / "weights.npz"))
    assert_identical(read_tf1_checkpoint(golden / "model.ckpt"), expected)
    model = new_model(golden)
    restored = load_tf1_checkpoint(model, golden)
    assert_identical(as_arrays(weights_by_name(model)), expected)
    assert (set(restored.restored), restored.ignored) == (expected.keys(), ())


def test_every_kind_holds_the_same_bits(golden: Path, tmp_path: Path) -> None:
    """Original to ours, to Hugging Face, to the original, to ours."""
    source = golden / "model.ckpt"
    for number, to in enumerate(("keras", "huggingface", "tf1", "keras")):
        conversion = convert(source, tmp_path / str(number), to=to)
        assert set(conversion.differences) == {
            "sequence_output",
            "pooled_output",
            "masked_lm_logits",
            "sentence_order_logits",
        }
        assert set(conversion.differences.values()) == {0.0}
        source = tmp_path / str(number)
        checkpoint = read_checkpoint(source)
        assert_identical(dict(checkpoint.weights), dict(np.load(golden / "weights.npz")))
        assert checkpoint.config == AlbertConfig.from_json_file(golden / "albert_config.json")


def test_a_training_goes_from_the_original_to_ours_and_back(
    training_state: Arrays, numeric_goldens: Path, tmp_path: Path
) -> None:
    """Weights, moments and step: into our optimizer, through our checkpoint, and out again."""
    golden = numeric_goldens / "model" / CONFIGS[0]
    write_tf1_checkpoint(tmp_path / "model.ckpt-5", training_state)
    model = compiled_model(golden)
    restored = load_tf1_checkpoint(model, tmp_path / "model.ckpt-5")
    assert (set(restored.restored), restored.ignored) == (training_state.keys(), ())
    assert int(model.optimizer.iterations) == 5
    save_checkpoint(tmp_path / "ours", model, TrainingState(step=5), keep=1)

    resumed = compiled_model(golden)
    resumed.optimizer.build(resumed.trainable_variables)
    restore_latest(tmp_path / "ours", resumed)
    save_tf1_checkpoint(resumed, tmp_path / "back" / "model.ckpt-5", include_optimizer=True)
    written = read_tf1_checkpoint(tmp_path / "back")
    state = {**training_state, "global_step": training_state["global_step"].astype(np.int64)}
    assert_identical(written, state)
    names = json.loads((numeric_goldens / "model" / "global_variables_example.json").read_text())
    assert written.keys() == set(names)


def test_moments_are_left_where_there_is_no_optimizer(
    training_state: Arrays, numeric_goldens: Path, tmp_path: Path
) -> None:
    write_tf1_checkpoint(tmp_path / "model.ckpt", training_state)
    model = new_model(numeric_goldens / "model" / CONFIGS[0])
    restored = load_tf1_checkpoint(model, tmp_path)
    weights = as_arrays(weights_by_name(model))
    assert_identical(weights, {name: training_state[name] for name in weights})
    assert set(restored.ignored) == training_state.keys() - weights.keys()


def test_the_originals_code_restores_ours(numeric_goldens: Path, tmp_path: Path) -> None:
    """With its own graph, by name, in a process of its own; with the optimizer and without."""
    model = compiled_model(numeric_goldens / "model" / CONFIGS[0])
    export, training = tmp_path / "export" / "model.ckpt-best", tmp_path / "training" / "model.ckpt"
    save_tf1_checkpoint(model, export)
    save_tf1_checkpoint(model, training, include_optimizer=True)
    command = [sys.executable, "-c", RESTORE_AS_THE_ORIGINAL, str(export), str(training)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    weights = as_arrays(weights_by_name(model))
    for prefix, num_slots in ((export, 0), (training, 2 * len(weights))):
        restored = dict(np.load(f"{prefix}.npz"))
        assert_identical({name: restored[name] for name in weights}, weights)
        assert len(restored) == len(weights) + num_slots + 1
        assert (restored["global_step"].dtype, restored["global_step"]) == (np.int64, 0)
        config = AlbertConfig.from_json_file(prefix.with_name("albert_config.json"))
        assert config == model.config


def test_an_encoder_alone_goes_everywhere(golden: Path, tmp_path: Path) -> None:
    """As TF-Hub modules hold it: under a scope of their own, and without the heads."""
    arrays = read_tf1_checkpoint(golden / "model.ckpt")
    encoder = {name: array for name, array in arrays.items() if name.startswith("bert/")}
    source = tmp_path / "hub"
    source.mkdir()
    shutil.copy(golden / "albert_config.json", source)
    scoped = {f"module/{name}": array for name, array in encoder.items()}
    write_tf1_checkpoint(source / "variables", scoped)
    for to in ("huggingface", "tf1", "keras"):
        conversion = convert(source, tmp_path / to, to=to)
        assert conversion.differences == {"sequence_output": 0.0, "pooled_output": 0.0}
        assert_identical(dict(read_checkpoint(tmp_path / to).weights), encoder)
        source = tmp_path / to
