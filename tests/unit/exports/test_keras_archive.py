"""Archives of Keras: every kind of model comes back by Keras's own loader."""

import io
import zipfile
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest

from albert_core.checkpoints.checkpoint import reference_function
from albert_core.exports.keras_archive import (
    ARCHIVE_NAME,
    open_keras_archive,
    write_keras_archive,
)
from albert_core.model import AlbertForPreTraining, AlbertForQuestionAnsweringWithBeam
from tests.helpers.checkpoint_samples import CONFIG, POOLED, SAMPLES, batch_of, pretrained
from tests.helpers.export_samples import SHALLOW, SINGLE, UNEVEN

# Of Keras's own conversion of a variable of TensorFlow to an array.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

# Several groups and blocks are those of one kind; another reads several layers.
CONFIGS = {"pretrained": CONFIG, "uneven": UNEVEN, "layer_mix": SHALLOW}
MODELS = {**SAMPLES, **POOLED, "uneven": pretrained}


@pytest.mark.parametrize("kind", MODELS)
def test_an_archive_computes_the_same(kind: str, tmp_path: Path) -> None:
    checkpoint = MODELS[kind](CONFIGS.get(kind, SINGLE))
    write_keras_archive(checkpoint, tmp_path)
    batch = batch_of(checkpoint)
    expected, found = reference_function(checkpoint)(batch), open_keras_archive(tmp_path)(batch)
    assert expected.keys() == found.keys()
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value, err_msg=name)


def test_weights_lie_where_archives_of_earlier_versions_and_both_backends_have_them(
    tmp_path: Path,
) -> None:
    write_keras_archive(SAMPLES["classification"](), tmp_path)
    places: list[str] = []
    with zipfile.ZipFile(tmp_path / ARCHIVE_NAME) as archive:
        content = io.BytesIO(archive.read("model.weights.h5"))
    with h5py.File(content) as weights:
        weights.visit(places.append)
    assert "bert/groups/container/block/dense_layers/shared_dense_4/vars/0" in places


@pytest.mark.parametrize(
    "model",
    [
        AlbertForPreTraining(SINGLE, rematerialize=True, num_micro_batches=3),
        AlbertForQuestionAnsweringWithBeam(SINGLE, start_n_top=2, end_n_top=3),
    ],
)
def test_an_archive_keeps_a_models_arguments(model: keras.Model, tmp_path: Path) -> None:
    model.save(tmp_path / ARCHIVE_NAME)
    loaded = keras.saving.load_model(tmp_path / ARCHIVE_NAME)
    assert type(loaded) is type(model)
    assert loaded.get_config() == model.get_config()
    assert loaded.config == SINGLE
