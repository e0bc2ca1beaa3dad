"""Archives of Keras: every kind of model comes back, on both backends."""

import zipfile
from pathlib import Path

import numpy as np
import pytest
from checkpoint_samples import SAMPLES, batch_of, of_model

from albert_core.checkpoints import Checkpoint
from albert_core.exports.keras_archive import open_keras_archive, write_keras_archive
from albert_core.exports.runner import reference_runner
from albert_core.model import AlbertForPreTraining, AlbertForQuestionAnsweringWithBeam

pytestmark = [
    pytest.mark.backends,
    # Of Keras's own conversion of a variable of TensorFlow to an array.
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
]


@pytest.mark.parametrize("kind", SAMPLES)
def test_an_archive_computes_the_same(kind: str, tmp_path: Path) -> None:
    checkpoint = SAMPLES[kind]()
    write_keras_archive(checkpoint, tmp_path)
    batch = batch_of(checkpoint)
    expected, found = reference_runner(checkpoint)(batch), open_keras_archive(tmp_path)(batch)
    assert expected.keys() == found.keys()
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value, err_msg=name)
