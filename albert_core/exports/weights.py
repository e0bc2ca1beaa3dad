"""Formats of weights alone: those that `albert convert` writes, run by the Keras model."""

from pathlib import Path

from albert_core.checkpoints import Checkpoint, CheckpointFormat, read_checkpoint
from albert_core.checkpoints.checkpoint import reference_function
from albert_core.checkpoints.conversion import write_proven
from albert_core.model_function import ModelFunction


def write_weights_format(checkpoint: Checkpoint, folder: Path, *, to: CheckpointFormat) -> None:
    """Write a checkpoint in another format into an empty folder, and prove it the same to 1e-6.

    Raises:
        InputError: The format cannot express the model, its weights do not fit its architecture, or
            the folder holds something else.
        StepFailedError: What was written, read back, computes something else.
    """
    write_proven(checkpoint, folder, to=to)


def open_weights_format(folder: Path) -> ModelFunction:
    """Return the Keras model of a folder that `write_weights_format` wrote, not compiled.

    Raises:
        InputError: The folder cannot be read, or its weights do not fit the architecture.
    """
    return reference_function(read_checkpoint(folder))
