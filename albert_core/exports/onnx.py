"""Models as ONNX: `model.onnx`, of any batch size and length, each weight stored once.

tf2onnx gives every transposed use of a weight a copy of its own, and copies of shared layers are
what makes ALBERT in ONNX several times as large as it is. Here the file holds the checkpoint's
arrays under their names, and transposes are part of the graph: onnxruntime does them when it opens
the file.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from albert_core.checkpoints.checkpoint import Checkpoint
from albert_core.errors import InputError
from albert_core.exports.graph import float32_graph
from albert_core.exports.runner import Inputs, Outputs, Runner
from albert_core.exports.seal import read_sealed, write_sealed

if TYPE_CHECKING:
    import onnx

ONNX_NAME = "model.onnx"
_OPSET = 18
_ONLY_ERRORS = 3


def write_onnx(checkpoint: Checkpoint, folder: Path, *, quantized: bool = False) -> None:
    """Write a checkpoint's model as ONNX.

    Args:
        checkpoint: The model.
        folder: Receives `model.onnx`.
        quantized: Whether matrices and word embeddings are int8, a quarter of the size; see
            `albert_core.exports.onnx_quantization`.

    Raises:
        InputError: Keras does not run on TensorFlow, or the weights do not fit the model.
    """
    import tf2onnx

    graph = float32_graph(checkpoint)
    model, _ = tf2onnx.convert.from_function(
        graph.function, input_signature=graph.signature, opset=_OPSET
    )
    _store_once(model, checkpoint.weights)
    if quantized:
        from albert_core.exports.onnx_quantization import quantize

        model = quantize(model)
    write_sealed(folder / ONNX_NAME, model.SerializeToString(deterministic=True))


def open_onnx(folder: Path, *, num_threads: int | None = None) -> Runner:
    """Return a model that `write_onnx` wrote, in onnxruntime on the CPU.

    Args:
        folder: The folder with `model.onnx`.
        num_threads: Threads of a matrix product; as many as this process may have cores if None.

    Raises:
        InputError: The file is missing, cut off, altered or no model that onnxruntime can run.
    """
    import onnxruntime
    from onnxruntime.capi import onnxruntime_pybind11_state as errors

    path = folder / ONNX_NAME
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = num_threads or len(os.sched_getaffinity(0))
    options.log_severity_level = _ONLY_ERRORS
    try:
        session = onnxruntime.InferenceSession(
            read_sealed(path), options, providers=["CPUExecutionProvider"]
        )
    except (errors.Fail, errors.InvalidGraph, errors.InvalidProtobuf) as error:
        raise InputError(f"{path}: onnxruntime cannot open it ({error})") from error
    input_names = [value.name for value in session.get_inputs()]
    output_names = [value.name for value in session.get_outputs()]

    def run(inputs: Inputs) -> Outputs:
        given = {name: np.asarray(inputs[name], np.int32) for name in input_names}
        return dict(zip(output_names, session.run(output_names, given), strict=True))

    return run


def _store_once(model: "onnx.ModelProto", weights: Mapping[str, np.ndarray]) -> None:
    """Replace the constants that are a weight, or one transposed, by the weight."""
    import onnx

    names = {_content(array): name for name, array in reversed(weights.items())}
    stored: dict[str, onnx.TensorProto] = {}
    replaced: dict[str, str] = {}
    transposes = {}
    for constant in model.graph.initializer:
        array = onnx.numpy_helper.to_array(constant)
        name, new_name = names.get(_content(array)), constant.name
        if name is not None:
            new_name = name
        elif array.ndim == 2 and (name := names.get(_content(array.T))) is not None:
            new_name, array = f"{name}/transposed", array.T
            transposes[new_name] = onnx.helper.make_node(
                "Transpose", [name], [new_name], name=new_name, perm=[1, 0]
            )
        replaced[constant.name] = new_name
        stored[name or new_name] = onnx.numpy_helper.from_array(
            np.ascontiguousarray(array), name or new_name
        )
    nodes = [*transposes.values(), *model.graph.node]
    for node in nodes:
        node.input[:] = [replaced.get(value, value) for value in node.input]
    _assign(model.graph, nodes, list(stored.values()))


def _assign(
    graph: "onnx.GraphProto", nodes: list["onnx.NodeProto"], constants: list["onnx.TensorProto"]
) -> None:
    copied = [type(node).FromString(node.SerializeToString()) for node in nodes]
    del graph.node[:], graph.initializer[:]
    graph.node.extend(copied)
    graph.initializer.extend(constants)


def _content(array: np.ndarray) -> tuple[tuple[int, ...], str, bytes]:
    return array.shape, array.dtype.str, np.ascontiguousarray(array).tobytes()
