"""Read and write checkpoints of the original, of Hugging Face's transformers and of this program.

Importing this package loads neither Keras nor TensorFlow; calling what needs them does.
"""

from albert_core.checkpoints.checkpoint import Checkpoint, build_model
from albert_core.checkpoints.conversion import Conversion, convert, read_checkpoint
from albert_core.checkpoints.description import Description, describe
from albert_core.checkpoints.folder import read_folder, save_folder
from albert_core.checkpoints.huggingface import read_huggingface, save_huggingface
from albert_core.checkpoints.kinds import CheckpointFormat, PathKind, detect
from albert_core.checkpoints.release import read_release, save_release
from albert_core.checkpoints.tf1 import (
    Restored,
    find_tf1_checkpoint,
    load_tf1_checkpoint,
    read_tf1_checkpoint,
    save_tf1_checkpoint,
    write_tf1_checkpoint,
)

__all__ = [
    "Checkpoint",
    "CheckpointFormat",
    "Conversion",
    "Description",
    "PathKind",
    "Restored",
    "build_model",
    "convert",
    "describe",
    "detect",
    "find_tf1_checkpoint",
    "load_tf1_checkpoint",
    "read_checkpoint",
    "read_folder",
    "read_huggingface",
    "read_release",
    "read_tf1_checkpoint",
    "save_folder",
    "save_huggingface",
    "save_release",
    "save_tf1_checkpoint",
    "write_tf1_checkpoint",
]
