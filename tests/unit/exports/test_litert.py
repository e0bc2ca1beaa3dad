"""LiteRT files are the same model as the checkpoint, at its size, without TensorFlow's own ops."""

from pathlib import Path

import pytest

from albert_core.errors import InputError
from albert_core.exports.checksum import write_sealed
from albert_core.exports.litert import open_litert, write_litert
from tests.helpers.checkpoint_samples import classifier, pretrained
from tests.helpers.export_samples import KINDS, SINGLE, WIDE, assert_same_model, parameter_bytes


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_computes_the_same(kind: str, tmp_path: Path) -> None:
    checkpoint = KINDS[kind]()
    write_litert(checkpoint, tmp_path)
    assert_same_model(checkpoint, open_litert(tmp_path))


def test_every_weight_is_stored_once(tmp_path: Path) -> None:
    checkpoint = pretrained(WIDE)
    write_litert(checkpoint, tmp_path)
    assert (tmp_path / "model.tflite").stat().st_size <= 1.1 * parameter_bytes(checkpoint)


def test_damaged_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.tflite"
    with pytest.raises(InputError, match=r"model\.tflite: cannot be read"):
        open_litert(tmp_path)
    write_litert(classifier(2, SINGLE), tmp_path)
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    with pytest.raises(InputError, match=r"model\.tflite: got a file of .* does not end in its"):
        open_litert(tmp_path)
    path.write_bytes(whole.replace(b"TFL3", b"TFL4", 1))
    with pytest.raises(InputError, match=r"model\.tflite: .* the file was altered"):
        open_litert(tmp_path)


def test_a_file_that_is_no_model_is_refused(tmp_path: Path) -> None:
    write_sealed(tmp_path / "model.tflite", b"nothing that LiteRT knows")
    with pytest.raises(InputError, match=r"model\.tflite: LiteRT cannot open it"):
        open_litert(tmp_path)
