"""ONNX files are the same model as the checkpoint, at its size; int8 ones nearly so."""

import dataclasses
from pathlib import Path

import keras
import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from albert_core.checkpoints.checkpoint import reference_function
from albert_core.errors import InputError
from albert_core.exports.onnx import open_onnx, write_onnx
from tests.helpers.checkpoint_samples import classifier, pretrained
from tests.helpers.export_samples import (
    KINDS,
    SINGLE,
    WIDE,
    assert_close,
    assert_same_model,
    mixed_batch,
    parameter_bytes,
)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_computes_the_same(kind: str, tmp_path: Path) -> None:
    checkpoint = KINDS[kind]()
    write_onnx(checkpoint, tmp_path)
    assert_same_model(checkpoint, open_onnx(tmp_path))


def test_every_weight_is_stored_once_under_its_name(tmp_path: Path) -> None:
    checkpoint = pretrained(WIDE)
    write_onnx(checkpoint, tmp_path)
    assert (tmp_path / "model.onnx").stat().st_size <= 1.1 * parameter_bytes(checkpoint)
    model = onnx.load(tmp_path / "model.onnx")
    onnx.checker.check_model(model, full_check=True)
    stored = {value.name: numpy_helper.to_array(value) for value in model.graph.initializer}
    kernel = "bert/encoder/transformer/group_0/inner_group_0/ffn_1/intermediate/dense/kernel"
    for name in ("bert/embeddings/word_embeddings", kernel, "cls/seq_relationship/output_weights"):
        np.testing.assert_array_equal(stored[name], checkpoint.weights[name])


def test_int8_is_a_fraction_of_the_size_and_predicts_alike(tmp_path: Path) -> None:
    """The head of sentence order is computed as that of a classification."""
    checkpoint = pretrained(dataclasses.replace(WIDE, initializer_range=0.1))
    write_onnx(checkpoint, tmp_path, quantized=True)
    assert (tmp_path / "model.onnx").stat().st_size <= 0.35 * parameter_bytes(checkpoint)
    inputs = mixed_batch(checkpoint, 32, 24)
    expected, outputs = reference_function(checkpoint)(inputs), open_onnx(tmp_path)(inputs)
    assert outputs.keys() == expected.keys()
    for name, values in expected.items():  # of random logits the largest is no matter of course
        assert np.corrcoef(outputs[name].ravel(), values.ravel())[0, 1] > 0.998, name
        if name.endswith("logits"):
            difference = _probabilities(outputs[name]) - _probabilities(values)
            assert np.abs(difference).max() < 0.05, name


def test_exports_are_float32_whatever_is_trained_in(tmp_path: Path) -> None:
    checkpoint = KINDS["classifier"]()
    inputs = mixed_batch(checkpoint, 2, 8)
    expected = reference_function(checkpoint)(inputs)
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        write_onnx(checkpoint, tmp_path)
        assert keras.config.dtype_policy().name == "mixed_bfloat16"
    finally:
        keras.config.set_dtype_policy("float32")
    assert_close(open_onnx(tmp_path)(inputs), expected)


@pytest.mark.parametrize("quantized", [False, True])
def test_a_checkpoint_always_becomes_the_same_file(quantized: bool, tmp_path: Path) -> None:
    checkpoint, files = classifier(2, SINGLE), []
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        write_onnx(checkpoint, tmp_path / name, quantized=quantized)
        files.append((tmp_path / name / "model.onnx").read_bytes())
    assert files[0] == files[1]


def test_another_backend_is_refused_with_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(InputError, match="KERAS_BACKEND: got 'jax', expected 'tensorflow'"):
        write_onnx(classifier(2, SINGLE), tmp_path)


def test_damaged_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    with pytest.raises(InputError, match=r"model\.onnx: cannot be read"):
        open_onnx(tmp_path)
    write_onnx(classifier(2, SINGLE), tmp_path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=r"model\.onnx: got a file of .* does not end in its hash"):
        open_onnx(tmp_path)
    middle = len(whole) // 2
    path.write_bytes(whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :])
    with pytest.raises(InputError, match=r"model\.onnx: .* the file was altered; copy or export"):
        open_onnx(tmp_path)


def _probabilities(logits: np.ndarray) -> np.ndarray:
    exponentials = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return exponentials / exponentials.sum(axis=-1, keepdims=True)
