"""Store the constants of an ONNX graph as a checkpoint's arrays, each once and under its name.

tf2onnx folds the transpose of a weight into a copy of it, at every use. ALBERT's layers share their
weights, so that the copies make the file several times as large as the model. Here the transpose is
a node of the graph again; onnxruntime folds it when it opens the file, so that running costs the
same.
"""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import onnx
from onnx import helper, numpy_helper

_Content = tuple[tuple[int, ...], str, bytes]


def store_once(model: onnx.ModelProto, weights: Mapping[str, np.ndarray]) -> None:
    """Store each weight once in a model, in place of all constants that equal it or its transpose.

    Weights that no constant equals are not stored. The names and the order of nodes and other
    constants, and the names of axes, are replaced by ones that depend only on the graph: tf2onnx
    takes names from a counter of the process, and the same checkpoint should always become the same
    file. Inputs and outputs keep their names. Nodes that no output needs are dropped.

    Args:
        model: The model, whose graph is replaced.
        weights: Arrays by the original's names.
    """
    # By content: the names that tf2onnx gives to constants do not tell the variable.
    names = {_content(array): name for name, array in weights.items()}
    constants: dict[str, onnx.TensorProto] = {}
    transposes: dict[str, onnx.NodeProto] = {}
    new_names: dict[str, str] = {}
    arrays = {value.name: numpy_helper.to_array(value) for value in model.graph.initializer}
    for index, name in enumerate(sorted(arrays, key=lambda name: _content(arrays[name]))):
        array = arrays[name]
        # `stored` is the constant in the file, `used` what the nodes read: it, or its transpose.
        stored = used = names.get(_content(array), f"constant_{index}")
        original = names.get(_content(array.T)) if array.ndim == 2 else None
        if original and stored not in weights:
            stored, used, array = original, f"{original}/transposed", np.ascontiguousarray(array.T)
            transposes[used] = helper.make_node("Transpose", [stored], [used], perm=[1, 0])
        new_names[name] = used
        constants[stored] = numpy_helper.from_array(array, stored)
    inputs, outputs = model.graph.input, model.graph.output
    _name_axes(inputs, outputs)
    new_names |= {value.name: value.name for value in outputs}
    nodes = [*transposes.values(), *_rename(_sort_nodes(model.graph), new_names)]
    graph = helper.make_graph(nodes, "albert", inputs, outputs, list(constants.values()))
    model.graph.CopyFrom(graph)


def _sort_nodes(graph: onnx.GraphProto) -> list[onnx.NodeProto]:
    """Return the nodes that the outputs need, each after those it reads.

    The order follows from the graph's edges alone: a depth-first walk from the outputs. It is a
    loop because a graph of many layers can be deeper than Python's recursion limit.
    """
    makers = {value: node for node in graph.node for value in node.output}
    ordered: dict[str, onnx.NodeProto] = {}
    pending = [makers[value.name] for value in reversed(graph.output)]
    while pending:
        node = pending[-1]
        inputs = [makers[value] for value in node.input if value in makers]
        missing = [maker for maker in inputs if maker.output[0] not in ordered]
        if missing:
            pending.extend(missing)
        else:
            ordered[node.output[0]] = pending.pop()
    return list(ordered.values())


def _rename(nodes: Sequence[onnx.NodeProto], names: Mapping[str, str]) -> list[onnx.NodeProto]:
    """Return copies of nodes, named by type and index.

    Args:
        nodes: The nodes, each after those it reads.
        names: New names of constants and of the graph's outputs; other values are named after
            their node.
    """
    names = dict(names)
    renamed = []
    for index, node in enumerate(nodes):
        copy = onnx.NodeProto()
        copy.CopyFrom(node)
        copy.name = f"{node.op_type}_{index}"
        for output, value in enumerate(node.output):
            names.setdefault(value, f"{copy.name}_{output}")
        copy.input[:] = [names.get(value, value) for value in node.input]
        copy.output[:] = [names[value] for value in node.output]
        renamed.append(copy)
    return renamed


def _name_axes(
    inputs: Iterable[onnx.ValueInfoProto], outputs: Iterable[onnx.ValueInfoProto]
) -> None:
    """Name all axes of inputs and the batch axis of outputs, in place; clear outputs' other names.

    tf2onnx makes up a name for each unknown size, by a counter of the process.
    """
    for value in inputs:
        axes = value.type.tensor_type.shape.dim
        last = "predictions" if value.name == "masked_lm_positions" else "sequence"
        names = ("batch", last) if len(axes) == 2 else ("batch", "choices", last)
        for axis, name in zip(axes, names, strict=True):
            axis.dim_param = name
    for value in outputs:
        for axis in value.type.tensor_type.shape.dim:
            axis.ClearField("dim_param")
        value.type.tensor_type.shape.dim[0].dim_param = "batch"


def _content(array: np.ndarray) -> _Content:
    """Return shape, type and bytes of an array, by which equal arrays are found."""
    return array.shape, array.dtype.str, np.ascontiguousarray(array).tobytes()
