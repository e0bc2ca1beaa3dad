"""TensorFlow 1 checkpoints: how they are found, read and written, and what is refused."""

import dataclasses
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from albert_core.checkpoints import (
    load_tf1_checkpoint,
    read_checkpoint,
    read_tf1_checkpoint,
    save_release,
    save_tf1_checkpoint,
    write_tf1_checkpoint,
)
from albert_core.errors import InputError
from albert_core.model import AlbertForPreTraining, AlbertForSequenceClassification
from albert_core.model.weights import as_arrays, weights_by_name
from albert_core.optimizers.factory import make_optimizer
from albert_core.tokenization import SentencePieceTokenizer
from tests.helpers.checkpoint_samples import (
    CONFIG,
    KERNEL,
    Arrays,
    classifier,
    names_in,
    pretrained,
)


@pytest.fixture(scope="module")
def weights() -> Arrays:
    return dict(pretrained().weights)


@pytest.fixture
def tf1(weights: Arrays, tokenizer: SentencePieceTokenizer, tmp_path: Path) -> Path:
    """A folder as the original's releases are."""
    checkpoint = dataclasses.replace(pretrained(tokenizer=tokenizer), weights=weights)
    save_release(checkpoint, tmp_path / "release")
    return tmp_path / "release"


def test_nothing_heavy_is_loaded_before_it_is_needed() -> None:
    code = "import sys, albert_core.checkpoints; print({'keras', 'tensorflow'} & set(sys.modules))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert result.stdout.decode().strip() == "set()"


@pytest.mark.parametrize("path", ["", "model.ckpt-best", "model.ckpt-best.index"])
def test_a_checkpoint_is_found_by_folder_and_by_prefix(
    path: str, tf1: Path, weights: Arrays
) -> None:
    arrays = read_tf1_checkpoint(tf1 / path)
    assert arrays.keys() == {*weights, "global_step"}


def test_of_several_checkpoints_the_latest_is_taken_by_the_folders_state(tf1: Path) -> None:
    write_tf1_checkpoint(tf1 / "model.ckpt-7", {"global_step": 7})
    assert read_tf1_checkpoint(tf1)["global_step"] == 7
    (tf1 / "checkpoint").unlink()
    with pytest.raises(InputError, match=r"holds model\.ckpt-7, model\.ckpt-best; expected one"):
        read_tf1_checkpoint(tf1)


def test_where_the_latest_was_renamed_to_the_best_that_is_taken(tf1: Path) -> None:
    """As run_classifier leaves its folder after an evaluation."""
    write_tf1_checkpoint(tf1 / "model.ckpt-7", {"global_step": 7})
    state = tf1 / "checkpoint"
    state.write_text(state.read_text().replace("model.ckpt-7", "model.ckpt-9"))
    assert read_tf1_checkpoint(tf1)["global_step"] == 0  # that of model.ckpt-best


def test_where_no_configuration_is_beside_a_checkpoint_that_of_the_pretraining_is_taken(
    tf1: Path,
) -> None:
    """As by the original, whose --init_checkpoint goes with --albert_config_file."""
    (tf1 / "albert_config.json").unlink()
    assert read_checkpoint(tf1, default_config=CONFIG).config == CONFIG
    with pytest.raises(InputError, match="with --albert_config"):
        read_checkpoint(tf1)


def test_a_folder_without_a_checkpoint_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"holds no \*\.index file; expected one checkpoint"):
        read_tf1_checkpoint(tmp_path)


@pytest.mark.parametrize("name", ["model.ckpt-best.index", "model.ckpt-best.data-00000-of-00001"])
@pytest.mark.parametrize("damage", ["missing", "truncated", "changed"])
def test_a_damaged_file_is_named(name: str, damage: str, tf1: Path) -> None:
    file = tf1 / name
    content = file.read_bytes()
    middle = len(content) // 2
    changed = content[:middle] + bytes([content[middle] ^ 255]) + content[middle + 1 :]
    file.write_bytes({"missing": b"", "truncated": content[:middle], "changed": changed}[damage])
    if damage == "missing":
        file.unlink()
    named = name if damage == "missing" else name.partition("-00000")[0]
    with pytest.raises(InputError, match=named):
        read_tf1_checkpoint(tf1 / "model.ckpt-best")


def test_a_file_of_another_kind_is_no_checkpoint(tmp_path: Path) -> None:
    (tmp_path / "thesis.index").write_text("Albert, 12")
    (tmp_path / "thesis.data-00000-of-00001").write_text("")
    with pytest.raises(InputError, match=r"thesis\.index: truncated, corrupt or of another format"):
        read_tf1_checkpoint(tmp_path / "thesis")


def test_a_checkpoint_of_objects_is_refused(tmp_path: Path) -> None:
    import tensorflow as tf

    tf.train.Checkpoint(kernel=tf.Variable([0.0])).write(str(tmp_path / "ckpt-1"))
    with pytest.raises(InputError, match="keyed by objects, as TensorFlow 2 writes them"):
        read_tf1_checkpoint(tmp_path)


def test_all_misfits_are_listed_and_nothing_is_assigned(weights: Arrays, tmp_path: Path) -> None:
    bias, extra = "cls/predictions/output_bias", "bert/encoder/surplus"
    arrays = {**weights, extra: np.zeros(2, np.float32), bias: np.zeros(7, np.float32)}
    del arrays[KERNEL]
    write_tf1_checkpoint(tmp_path / "model.ckpt", arrays)
    model = AlbertForPreTraining(CONFIG)
    before = as_arrays(weights_by_name(model))
    with pytest.raises(InputError) as refusal:
        load_tf1_checkpoint(model, tmp_path)
    assert f"missing {KERNEL}" in str(refusal.value)
    assert f"unknown {extra}" in str(refusal.value)
    assert f"{bias} is (7,), expected (120,)" in str(refusal.value)
    after = as_arrays(weights_by_name(model))
    assert all(np.array_equal(before[name], after[name]) for name in before)


def test_a_model_of_another_size_is_refused_with_both_shapes(tf1: Path) -> None:
    wider = AlbertForPreTraining(dataclasses.replace(CONFIG, hidden_size=32))
    with pytest.raises(InputError, match=rf"{KERNEL} is \(16, 16\), expected \(32, 32\)"):
        load_tf1_checkpoint(wider, tf1)


def test_fine_tuning_takes_the_encoder(tf1: Path, weights: Arrays) -> None:
    model = AlbertForSequenceClassification(CONFIG, num_labels=3)
    restored = load_tf1_checkpoint(model, tf1, prefix="bert/")
    assert set(restored.restored) == {name for name in weights if name.startswith("bert/")}
    assert "cls/predictions/output_bias" in restored.ignored
    np.testing.assert_array_equal(as_arrays(weights_by_name(model))[KERNEL], weights[KERNEL])


def test_a_training_that_lacks_a_moment_is_refused(tmp_path: Path) -> None:
    model = AlbertForPreTraining(CONFIG)
    model.compile(make_optimizer("adamw", learning_rate=0.1, num_train_steps=2, num_warmup_steps=0))
    save_tf1_checkpoint(model, tmp_path / "whole" / "model.ckpt", include_optimizer=True)
    arrays = read_tf1_checkpoint(tmp_path / "whole")
    del arrays[f"{KERNEL}/adam_v"]
    write_tf1_checkpoint(tmp_path / "model.ckpt", arrays)
    with pytest.raises(InputError, match=f"missing {KERNEL}/adam_v"):
        load_tf1_checkpoint(model, tmp_path / "model.ckpt")


def test_an_optimizer_that_is_not_there_cannot_be_written(tmp_path: Path) -> None:
    model = AlbertForPreTraining(CONFIG)
    with pytest.raises(InputError, match="no optimizer whose state could be written"):
        save_tf1_checkpoint(model, tmp_path / "model.ckpt", include_optimizer=True)
    assert not names_in(tmp_path)


def test_the_moment_of_muon_has_no_place_in_the_original(tmp_path: Path) -> None:
    model = AlbertForPreTraining(CONFIG)
    model.compile(make_optimizer("muon", learning_rate=0.1, num_train_steps=2, num_warmup_steps=0))
    with pytest.raises(InputError, match="compile it with LAMB or AdamW"):
        save_tf1_checkpoint(model, tmp_path / "model.ckpt", include_optimizer=True)


def test_nothing_temporary_is_left_beside_a_checkpoint(tf1: Path) -> None:
    assert names_in(tf1) == {
        "30k-clean.model",
        "30k-clean.vocab",
        "albert_config.json",
        "checkpoint",
        "model.ckpt-best.data-00000-of-00001",
        "model.ckpt-best.index",
        "model.ckpt-best.meta",
        "tokenizer_settings.json",
    }


def restore(prefix: Path, names: set[str]) -> Arrays:
    """Return variables as the original's scripts restore them: by the graph in the .meta file."""
    import tensorflow as tf

    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        saver = tf.compat.v1.train.import_meta_graph(f"{prefix}.meta")
        saver.restore(session, str(prefix))
        variables = {v.op.name: v for v in tf.compat.v1.global_variables()}
        assert variables.keys() == names
        assert tf.compat.v1.train.get_global_step().op.name == "global_step"
        return session.run(variables)


def test_the_graph_beside_a_checkpoint_restores_all_variables(tf1: Path, weights: Arrays) -> None:
    restored = restore(tf1 / "model.ckpt-best", {*weights, "global_step"})
    assert restored.pop("global_step") == 0
    assert all(np.array_equal(restored[name], weights[name]) for name in weights)


def test_the_graph_knows_the_variables_of_a_training(tmp_path: Path) -> None:
    arrays = {"w": np.ones(3, np.float32), "w/adam_m": np.zeros(3, np.float32), "global_step": 7}
    write_tf1_checkpoint(tmp_path / "model.ckpt-7", arrays)
    assert restore(tmp_path / "model.ckpt-7", set(arrays))["global_step"] == 7
    first = (tmp_path / "model.ckpt-7.meta").read_bytes()
    write_tf1_checkpoint(tmp_path / "model.ckpt-7", arrays)
    assert (tmp_path / "model.ckpt-7.meta").read_bytes() == first  # hashes of exports depend on it


def test_evaluation_and_prediction_of_the_original_find_their_checkpoints(
    tokenizer: SentencePieceTokenizer, tmp_path: Path
) -> None:
    tuned = classifier(3, tokenizer=tokenizer)
    save_release(tuned, tmp_path)
    names = {*tuned.weights, "global_step"}
    # do_eval with --train_step=0: checkpoints named after steps, until the step is reached.
    prefixes = [path.with_suffix("") for path in tmp_path.glob("*.index")]
    by_step = {p.name.rsplit("-", 1)[-1]: p for p in prefixes}
    assert by_step.keys() == {"best", "0"}
    evaluated = restore(by_step["0"], names)
    assert evaluated["global_step"] >= 0
    # Afterwards the three files of the best step are renamed, and do_predict reads them.
    for end in ("meta", "data-00000-of-00001", "index"):
        (tmp_path / f"model.ckpt-0.{end}").replace(tmp_path / f"model.ckpt-best.{end}")
    predicted = restore(tmp_path / "model.ckpt-best", names)
    assert all(np.array_equal(predicted[name], tuned.weights[name]) for name in tuned.weights)
    np.testing.assert_array_equal(
        read_tf1_checkpoint(tmp_path)["output_weights"], tuned.weights["output_weights"]
    )
