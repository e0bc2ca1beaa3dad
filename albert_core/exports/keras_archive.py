"""Keras archives: `model.keras`, which `keras.saving.load_model` reads on any backend.

The archive names classes of `albert_core.model`, so that the package must be installed, and
imported before loading, where an archive is read.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from albert_core.checkpoints.checkpoint import Checkpoint, build_model
from albert_core.model_function import ModelFunction, eager_function, encoder_function

if TYPE_CHECKING:
    import keras

ARCHIVE_NAME = "model.keras"


def write_keras_archive(checkpoint: Checkpoint, folder: Path) -> None:
    """Write `model.keras`, without the vocabulary, into an existing folder.

    A file there is replaced. The model has Keras's current dtype policy.

    Raises:
        InputError: The weights do not fit the model.
    """
    build_model(checkpoint).save(folder / ARCHIVE_NAME)


def open_keras_archive(folder: Path) -> ModelFunction:
    """Return the model of a folder that `write_keras_archive` wrote; Keras's errors pass."""
    return eager_function(_load(folder))


def open_keras_archive_encoder(folder: Path) -> ModelFunction:
    """Return the encoder of the model of a folder that `write_keras_archive` wrote.

    Keras's errors pass.
    """
    return encoder_function(_load(folder))


def _load(folder: Path) -> "keras.Model":
    """Return the Keras model of the archive in a folder; registers the classes it names before."""
    import keras

    import albert_core.model  # noqa: F401  (registers its classes)

    return keras.saving.load_model(folder / ARCHIVE_NAME)
