"""Models as ONNX: `model.onnx`, of any batch size and length, each weight stored once."""

from pathlib import Path

import numpy as np

from albert_core.checkpoints.checkpoint import Checkpoint
from albert_core.errors import InputError
from albert_core.exports.checksum import read_sealed, write_sealed
from albert_core.exports.graph import float32_graph
from albert_core.model_function import ModelFunction, ModelInputs, ModelOutputs
from albert_core.processes.machine import num_usable_cores
from albert_core.processes.stops import answered_by_system

ONNX_NAME = "model.onnx"
_OPSET = 18
_LOG_SEVERITY_ERROR = 3


def write_onnx(checkpoint: Checkpoint, folder: Path, *, quantized: bool = False) -> None:
    """Write a checkpoint's model as ONNX, in a file that ends in its hash.

    Each weight is in it once, under the original's name; equal checkpoints give equal files.

    Args:
        checkpoint: The model.
        folder: Exists; receives `model.onnx`, which replaces one that is there.
        quantized: Whether matrices and word embeddings are int8, a quarter of the size; see
            `albert_core.exports.onnx_quantization`.

    Raises:
        InputError: Keras does not run on TensorFlow, or the weights do not fit the model.
    """
    import tf2onnx

    from albert_core.exports.onnx_weights import store_once

    graph = float32_graph(checkpoint)
    # Its calls of TensorFlow keep all threads of Python waiting, for 2 seconds with ALBERT base.
    with answered_by_system():
        model, _ = tf2onnx.convert.from_function(
            graph.function, input_signature=graph.signature, opset=_OPSET
        )
    store_once(model, checkpoint.weights)
    if quantized:
        from albert_core.exports.onnx_quantization import quantize

        model = quantize(model)
    # The same checkpoint is always the same file; protobuf orders maps as it likes otherwise.
    write_sealed(folder / ONNX_NAME, model.SerializeToString(deterministic=True))


def open_onnx(folder: Path, *, num_threads: int | None = None) -> ModelFunction:
    """Return a model that `write_onnx` wrote, in onnxruntime on the CPU.

    Args:
        folder: The folder with `model.onnx`.
        num_threads: Threads of a matrix product; None for one for each core of this process.

    Returns:
        A function that ignores further inputs.

    Raises:
        InputError: The file is missing, cut off, altered or no model that onnxruntime can run.
    """
    import onnxruntime
    from onnxruntime.capi import onnxruntime_pybind11_state as errors

    path = folder / ONNX_NAME
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = num_threads or num_usable_cores()
    options.log_severity_level = _LOG_SEVERITY_ERROR
    # Threads that wait by spinning doubled the processor time of small batches here, which a server
    # needs for HTTP and other processes for themselves.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        session = onnxruntime.InferenceSession(
            read_sealed(path), options, providers=["CPUExecutionProvider"]
        )
    except (errors.Fail, errors.InvalidGraph, errors.InvalidProtobuf) as error:
        raise InputError(f"{path}: onnxruntime cannot open it ({error})") from error
    input_names = [value.name for value in session.get_inputs()]
    output_names = [value.name for value in session.get_outputs()]

    def run(inputs: ModelInputs) -> ModelOutputs:
        arrays = {name: np.asarray(inputs[name], np.int32) for name in input_names}
        return dict(zip(output_names, session.run(output_names, arrays), strict=True))

    return run
