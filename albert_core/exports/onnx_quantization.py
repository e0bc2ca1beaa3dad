"""Quantize ONNX models to int8: a quarter of the size, and integer matrix products.

Matrices become int8 with a scale for each column. Activations become uint8 while the model runs,
with one scale for each tensor. Word embeddings become int8 with a scale for each row, and are
converted to float32 where they are used. Everything else stays float32.

Matrices use only -64 to 64 of int8 (`reduce_range`): processors without VNNI add pairs of products
in 16 bits, which larger values overflow silently, so that a model which is right on one machine
would be wrong on another.
"""

import tempfile
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic
from onnxruntime.quantization.shape_inference import quant_pre_process

_WORDS = "bert/embeddings/word_embeddings"
# Smaller matrices, such as the output layer of a classifier, save no space, and the
# prediction follows from them directly.
_FEWEST_OUTPUTS = 16
_LARGEST = 127


def quantize(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a model with int8 matrices and word embeddings, each stored once.

    Matrices of 16 or more rows and columns have a scale for each column, and what they are
    multiplied with is quantized while the model runs; embeddings have a scale for each row.

    Args:
        model: A model that `store_once` changed: its nodes have names, and its word embeddings
            are a constant named as in the original.
    """
    with tempfile.TemporaryDirectory() as folder:
        prepared, result = Path(folder) / "prepared.onnx", Path(folder) / "result.onnx"
        quant_pre_process(model, prepared, skip_optimization=True, skip_symbolic_shape=True)
        quantize_dynamic(
            prepared,
            result,
            op_types_to_quantize=["MatMul"],
            nodes_to_quantize=_large_products(model),
            per_channel=True,
            reduce_range=True,
            weight_type=QuantType.QInt8,
        )
        quantized = onnx.load(result)
    _quantize_words(quantized.graph)
    return quantized


def _large_products(model: onnx.ModelProto) -> list[str]:
    """Return the names of the matrix products whose second factor is large, in the graph's order.

    It is large if it is a constant of two axes with 16 or more rows and columns. Products of
    computed values, such as those of attention, and with other constants are left out.
    """
    wide = {
        constant.name
        for constant in model.graph.initializer
        if len(constant.dims) == 2 and min(constant.dims) >= _FEWEST_OUTPUTS
    }
    return [
        node.name for node in model.graph.node if node.op_type == "MatMul" and node.input[1] in wide
    ]


def _quantize_words(graph: onnx.GraphProto) -> None:
    """Replace the word embeddings [V, E] by int8, scales [V, 1] and nodes that multiply, in place.

    The nodes come first in the graph, and their product has the name of the embeddings. onnxruntime
    folds them when it opens the file, so that they cost nothing later.

    Raises:
        ValueError: The graph has no constant of the name of the word embeddings.
    """
    (table,) = (constant for constant in graph.initializer if constant.name == _WORDS)
    words_VE = numpy_helper.to_array(table)
    graph.initializer.remove(table)
    scales_V1 = np.abs(words_VE).max(axis=1, keepdims=True) / _LARGEST
    # Rows of zeros stay zeros, without a division by 0.
    scales_V1[scales_V1 == 0] = 1
    int8, scales, numbers = (f"{_WORDS}/{name}" for name in ("int8", "scales", "numbers"))
    rows_VE = np.rint(words_VE / scales_V1).astype(np.int8)
    graph.initializer.append(numpy_helper.from_array(rows_VE, int8))
    graph.initializer.append(numpy_helper.from_array(scales_V1, scales))
    graph.node.insert(0, helper.make_node("Cast", [int8], [numbers], to=TensorProto.FLOAT))
    graph.node.insert(1, helper.make_node("Mul", [numbers, scales], [_WORDS]))
