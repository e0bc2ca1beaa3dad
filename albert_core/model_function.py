"""A model in any runtime, as a function from arrays to arrays. Does not import Keras.

Shape suffixes: B batch, C choices, S sequence, H hidden, P predictions.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import keras

ModelInputs = Mapping[str, np.ndarray]
"""int32 arrays by name: `input_ids`, `input_mask`, `segment_ids` [B, S], for multiple choice
[B, C, S], for two texts that are encoded apart [B, 2, S]; also `masked_lm_positions` [B, P] for
models with pretraining heads and `p_mask` [B, S] for the head of SQuAD 2.0 (see
`Checkpoint.input_names`)."""

ModelOutputs = Mapping[str, np.ndarray]
"""float32 arrays by name: the outputs of the Keras model's dict, or `logits` for a model that
returns one tensor."""

ModelFunction = Callable[[ModelInputs], ModelOutputs]
"""A model, ready to run in some runtime: Keras, TensorFlow, ONNX Runtime, LiteRT."""


def eager_function(model: "keras.Model") -> ModelFunction:
    """Return a function that calls a Keras model without compiling it, and without dropout.

    It returns the outputs of a model that returns a dict by their names, and a single output as
    `logits`.
    """

    def run(inputs: ModelInputs) -> ModelOutputs:
        return _as_arrays(outputs_by_name(model, inputs))

    return run


def encoder_function(model: "keras.Model") -> ModelFunction:
    """Return a function that calls a Keras model's encoder, `model.bert`, without compiling it.

    Dropout is off. Its inputs are `input_ids`, `input_mask` and `segment_ids` [B, S], whatever the
    model's head reads; its outputs are `sequence_output` [B, S, H] and `pooled_output` [B, H].
    """

    def run(inputs: ModelInputs) -> ModelOutputs:
        """Return the encoder's outputs; inputs of other names are ignored."""
        outputs = model.bert(
            inputs["input_ids"],
            input_mask=inputs["input_mask"],
            segment_ids=inputs["segment_ids"],
            training=False,
        )
        return _as_arrays(outputs)

    return run


def compiled_function(model: "keras.Model") -> ModelFunction:
    """Return a function from arrays to arrays that runs a Keras model, compiled, without dropout.

    The function is compiled on its first call, and may be compiled again for inputs of another
    shape. It returns the outputs of a model that returns a dict by their names, and a single output
    as `logits`; see `ModelFunction`. If both the model and the function were made inside
    `use_devices`, the rows of a batch are spread over its devices; their number need not be
    divisible by that of the devices.
    """
    from albert_core.backends import make_predict_function

    predict = make_predict_function(model)

    def run(inputs: ModelInputs) -> ModelOutputs:
        outputs = predict(inputs)
        return _as_arrays(outputs if isinstance(outputs, Mapping) else {"logits": outputs})

    return run


def _as_arrays(outputs: Mapping[str, Any]) -> ModelOutputs:
    """Return tensors as arrays; bfloat16, which NumPy does not know, becomes float32."""
    arrays = {name: np.asarray(value) for name, value in outputs.items()}
    return {
        name: array.astype(np.float32) if array.dtype.name == "bfloat16" else array
        for name, array in arrays.items()
    }


def outputs_by_name(model: "keras.Model", inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Call a Keras model, uncompiled and without dropout; return its outputs as a dict of tensors.

    If the model returns a single tensor instead of a dict, it is named `logits`.
    """
    outputs = model(dict(inputs), training=False)
    return dict(outputs) if isinstance(outputs, Mapping) else {"logits": outputs}
