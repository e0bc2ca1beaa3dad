"""Keras archives: `model.keras`, which `keras.saving.load_model` reads on any backend.

The archive names classes of `albert_core.model`, so that the package must be installed, and
imported before loading, where an archive is read.
"""

import zipfile
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

from albert_core.checkpoints.checkpoint import Checkpoint, build_model
from albert_core.errors import InputError
from albert_core.model_function import ModelFunction, eager_function, encoder_function

if TYPE_CHECKING:
    import keras

ARCHIVE_NAME = "model.keras"
_DAMAGE = (
    OSError,
    ValueError,
    LookupError,
    TypeError,
    RuntimeError,
    zipfile.BadZipFile,
    zlib.error,
)


def write_keras_archive(checkpoint: Checkpoint, folder: Path) -> None:
    """Write `model.keras`, without the vocabulary, into an existing folder.

    A file there is replaced. The model has Keras's current dtype policy.

    Raises:
        InputError: The weights do not fit the model.
    """
    build_model(checkpoint).save(folder / ARCHIVE_NAME)


def open_keras_archive(folder: Path) -> ModelFunction:
    """Return the model of a folder that `write_keras_archive` wrote.

    Raises:
        InputError: The archive is missing, cut off or altered, or none that Keras can open.
    """
    return eager_function(_load(folder))


def open_keras_archive_encoder(folder: Path) -> ModelFunction:
    """Return the encoder of the model of a folder that `write_keras_archive` wrote.

    Raises:
        InputError: The archive is missing, cut off or altered, or none that Keras can open.
    """
    return encoder_function(_load(folder))


def _load(folder: Path) -> "keras.Model":
    """Return the Keras model of the archive in a folder; registers the classes it names before.

    Raises:
        InputError: Keras cannot open it.
    """
    import keras

    import albert_core.model  # noqa: F401  (registers its classes)

    path = folder / ARCHIVE_NAME
    try:
        return keras.saving.load_model(path)
    except _DAMAGE as error:
        reason = " ".join(str(error).split())
        raise InputError(
            f"{path}: Keras cannot open it ({reason}); copy or export it again"
        ) from error
