"""The constants of an ONNX graph: a checkpoint's arrays, each once and under its name.

tf2onnx gives every transposed use of a weight a copy of its own, and copies of what layers share
are what makes an ALBERT several times as large as it is. Here a transpose is part of the graph;
onnxruntime does it when it opens the file.
"""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import onnx
from onnx import helper, numpy_helper

_Content = tuple[tuple[int, ...], str, bytes]


def store_once(model: onnx.ModelProto, weights: Mapping[str, np.ndarray]) -> None:
    """Replace every constant that is a weight, or one transposed, by the weight itself.

    All else gets numbers for names, and an order of its own: those of tf2onnx depend on what it
    converted before, and a checkpoint should always become the same file.
    """
    names = {_content(array): name for name, array in weights.items()}
    constants: dict[str, onnx.TensorProto] = {}
    transposes: dict[str, onnx.NodeProto] = {}
    new_names: dict[str, str] = {}
    arrays = {value.name: numpy_helper.to_array(value) for value in model.graph.initializer}
    for index, name in enumerate(sorted(arrays, key=lambda name: _content(arrays[name]))):
        array = arrays[name]
        stored = used = names.get(_content(array), f"constant_{index}")
        whole = names.get(_content(array.T)) if array.ndim == 2 else None
        if whole and stored not in weights:
            stored, used, array = whole, f"{whole}/transposed", np.ascontiguousarray(array.T)
            transposes[used] = helper.make_node("Transpose", [stored], [used], perm=[1, 0])
        new_names[name] = used
        constants[stored] = numpy_helper.from_array(array, stored)
    inputs, outputs = model.graph.input, model.graph.output
    _name_axes(inputs, outputs)
    new_names |= {value.name: value.name for value in outputs}
    nodes = [*transposes.values(), *_numbered(_ordered(model.graph), new_names)]
    graph = helper.make_graph(nodes, "albert", inputs, outputs, list(constants.values()))
    model.graph.CopyFrom(graph)


def _ordered(graph: onnx.GraphProto) -> list[onnx.NodeProto]:
    """Return the nodes, each after those it reads, in an order that follows from the graph."""
    makers = {value: node for node in graph.node for value in node.output}
    ordered: dict[str, onnx.NodeProto] = {}
    pending = [makers[value.name] for value in reversed(graph.output)]
    while pending:
        node = pending[-1]
        read = [makers[value] for value in node.input if value in makers]
        missing = [maker for maker in read if maker.output[0] not in ordered]
        if missing:
            pending.extend(missing)
        else:
            ordered[node.output[0]] = pending.pop()
    return list(ordered.values())


def _numbered(nodes: Sequence[onnx.NodeProto], names: Mapping[str, str]) -> list[onnx.NodeProto]:
    """Return nodes with numbers for names, and values named after them or as `names` says."""
    names = dict(names)
    numbered = []
    for index, node in enumerate(nodes):
        copy = onnx.NodeProto()
        copy.CopyFrom(node)
        copy.name = f"{node.op_type}_{index}"
        for place, value in enumerate(node.output):
            names.setdefault(value, f"{copy.name}_{place}")
        copy.input[:] = [names.get(value, value) for value in node.input]
        copy.output[:] = [names[value] for value in node.output]
        numbered.append(copy)
    return numbered


def _name_axes(
    inputs: Iterable[onnx.ValueInfoProto], outputs: Iterable[onnx.ValueInfoProto]
) -> None:
    """Give the axes of inputs their names; of outputs the batch its."""
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
    return array.shape, array.dtype.str, np.ascontiguousarray(array).tobytes()
