"""Models as LiteRT (TensorFlow Lite): `model.tflite`, of any batch size and length.

Only operations of plain LiteRT are in it, none of TensorFlow's ("flex"), and each weight once.
"""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from albert_core.checkpoints.checkpoint import Checkpoint
from albert_core.errors import InputError
from albert_core.exports.checksum import read_sealed, write_sealed
from albert_core.exports.graph import Graph, float32_graph
from albert_core.model_function import ModelFunction, ModelInputs, ModelOutputs
from albert_core.processes.machine import num_usable_cores
from albert_core.processes.stops import answered_by_system

LITERT_NAME = "model.tflite"


def write_litert(checkpoint: Checkpoint, folder: Path) -> None:
    """Write a checkpoint's model as LiteRT, in a file that ends in its hash.

    It computes in float32 and has one signature, which names inputs and outputs.

    Args:
        checkpoint: The model.
        folder: Exists; receives `model.tflite`, which replaces one that is there.

    Raises:
        InputError: Keras does not run on TensorFlow, or the weights do not fit the model.
    """
    graph = float32_graph(checkpoint)
    with tempfile.TemporaryDirectory() as saved:
        write_sealed(folder / LITERT_NAME, _convert(graph, saved))


def open_litert(folder: Path, *, num_threads: int | None = None) -> ModelFunction:
    """Return a model that `write_litert` wrote, in the LiteRT interpreter on the CPU.

    Args:
        folder: The folder with `model.tflite`.
        num_threads: Threads of a matrix product; None for one for each core of this process.

    Returns:
        A function that ignores further inputs.

    Raises:
        InputError: The file is missing, cut off, altered or no model that LiteRT can run.
    """
    from ai_edge_litert.interpreter import Interpreter

    path = folder / LITERT_NAME
    content = read_sealed(path)
    try:
        interpreter = Interpreter(
            model_content=content, num_threads=num_threads or num_usable_cores()
        )
        signature = interpreter.get_signature_runner()
    except ValueError as error:
        raise InputError(f"{path}: LiteRT cannot open it ({error})") from error
    names = tuple(signature.get_input_details())

    def run(inputs: ModelInputs) -> ModelOutputs:
        return dict(signature(**{name: np.asarray(inputs[name], np.int32) for name in names}))

    return run


def _convert(graph: Graph, folder: str) -> bytes:
    """Return the flatbuffer of a graph; writes a SavedModel into `folder` on the way."""
    import tensorflow as tf

    module: Any = tf.Module()
    # TensorFlow saves a graph only if the module reaches all its variables.
    module.graph_variables = graph.variables
    signature = graph.function.get_concrete_function()
    tf.saved_model.save(module, folder, signatures=signature)
    with answered_by_system():  # the converter, in C++, keeps all threads of Python waiting
        return tf.lite.TFLiteConverter.from_saved_model(folder).convert()
