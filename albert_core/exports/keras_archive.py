"""Archives of Keras: `model.keras`, which `keras.saving.load_model` reads on any backend.

Whoever loads one has this package installed and imports `albert_core.model`, whose classes are
registered there with Keras.
"""

from pathlib import Path

import numpy as np

from albert_core.checkpoints.checkpoint import Checkpoint, model_of
from albert_core.exports.runner import Inputs, Outputs, Runner, outputs_by_name

ARCHIVE_NAME = "model.keras"


def write_keras_archive(checkpoint: Checkpoint, folder: Path) -> None:
    """Write `model.keras` into an existing folder."""
    model_of(checkpoint).save(folder / ARCHIVE_NAME)


def open_keras_archive(folder: Path) -> Runner:
    """Return the model of a folder that `write_keras_archive` wrote."""
    import keras

    import albert_core.model  # noqa: F401  (registers its classes)

    model = keras.saving.load_model(folder / ARCHIVE_NAME)

    def run(inputs: Inputs) -> Outputs:
        outputs = outputs_by_name(model, inputs)
        return {name: np.asarray(value) for name, value in outputs.items()}

    return run
