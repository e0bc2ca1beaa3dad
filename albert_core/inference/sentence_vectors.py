"""Vectors of texts from the encoder's outputs.

Shape suffixes: B batch, S sequence, H hidden, M examples.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from albert_core.errors import InputError
from albert_core.finetuning.batches import pad_inputs
from albert_core.finetuning.features import Features, make_features
from albert_core.finetuning.prediction import predict_outputs
from albert_core.inference.examples import to_text_example
from albert_core.inference.signature import TaskSignature
from albert_core.model_function import ModelFunction, ModelInputs, ModelOutputs
from albert_core.tasks import Example

if TYPE_CHECKING:
    from albert_core.inference.loaded_model import LoadedModel

Pooling = Literal["mean", "cls", "pooler"]

_OUTPUTS: dict[Pooling, str] = {
    "mean": "sequence_output",
    "cls": "sequence_output",
    "pooler": "pooled_output",
}


def encode_texts(
    model: "LoadedModel",
    run: ModelFunction,
    texts: Sequence[Any],
    pooling: Pooling,
    batch_size: int,
) -> np.ndarray:
    """Return a vector for each text or pair [M, H], float32, in their order.

    Long texts are cut to the model's sequence length. Without texts the model is not run, and only
    `pooling` is checked.

    Args:
        model: Gives vocabulary, settings and names for messages; its `run` is not called.
        run: Returns what is pooled. Where the model has no `open_encoder`, it gets the inputs of a
            pretrained model.
        texts: Texts or pairs, in any form that a model for one text or two predicts for.
        pooling: `mean` over all tokens, special ones included, the output at [CLS] (`cls`), or that
            of the `pooler`.
        batch_size: Texts in a batch; texts and pairs are run in separate batches.

    Raises:
        InputError: The model has no vocabulary, or not the output that is pooled (a pooler of zeros
            counts as none); `pooling` is unknown; or something is no text and no pair.
    """
    if pooling not in _OUTPUTS:
        raise InputError(f"pooling: got {pooling}, expected one of {', '.join(_OUTPUTS)}")
    if not texts:
        return np.zeros((0, model.config.hidden_size), np.float32)

    def pool(inputs: ModelInputs) -> ModelOutputs:
        """Run the model on a batch and return its `vector` [B, H] alone."""
        return {"vector": _pooled(run(inputs), inputs["input_mask"], pooling, model.name)}

    vectors: list[np.ndarray] = [np.zeros(0)] * len(texts)
    examples = [_to_example(text, number) for number, text in enumerate(texts)]
    for num_texts in {len(example.texts) for example in examples}:
        numbers = [n for n, example in enumerate(examples) if len(example.texts) == num_texts]
        outputs = predict_outputs(
            pool,
            make_features(
                [examples[number] for number in numbers],
                model.require_tokenizer(),
                model.settings.sequence_length,
            ),
            pad_inputs if model.open_encoder else _pretraining_inputs,
            max_length=model.settings.sequence_length,
            batch_size=batch_size,
            length_multiple=model.length_multiple,
        )
        for number, vector in zip(numbers, outputs["vector"], strict=True):
            vectors[number] = vector
    return np.stack(vectors)


def _to_example(value: Any, number: int) -> Example:
    """Return a text or a pair as an example, without a second text that is empty.

    Raises:
        InputError: It is neither; the message has its number.
    """
    texts = value.texts if isinstance(value, Example) else value
    return to_text_example(texts, number, TaskSignature(kind="encoder"))


def _pretraining_inputs(features: Features, indices: np.ndarray, length: int) -> ModelInputs:
    """Return the inputs of a pretrained model, which also wants a place to predict for.

    That is `masked_lm_positions` [B, 1], all 0: the output there is not read.

    Args:
        features: The sequences of all texts.
        indices: Indices [B] of the examples in the batch.
        length: Tokens that each is padded to.
    """
    places_B1 = np.zeros((len(indices), 1), np.int32)
    return {**pad_inputs(features, indices, length), "masked_lm_positions": places_B1}


def _pooled(outputs: ModelOutputs, mask_BS: np.ndarray, pooling: Pooling, name: str) -> np.ndarray:
    """Return a vector for each sequence of a batch [B, H], float32.

    It is the mean of the output over all tokens, the output at [CLS], or that of the pooler.

    Args:
        outputs: The model's outputs.
        mask_BS: 1 where a sequence has a token; `mean` leaves out the rest.
        pooling: Which output, and how.
        name: The model's name, for messages.

    Raises:
        InputError: The output is missing, or the pooler's is 0 everywhere, as without a pooler.
    """
    if _OUTPUTS[pooling] not in outputs:
        raise InputError(
            f"model {name}: has no output {_OUTPUTS[pooling]}, only {', '.join(sorted(outputs))}; "
            "give the checkpoint it was exported from"
        )
    values = np.asarray(outputs[_OUTPUTS[pooling]], np.float32)
    if pooling == "mean":
        # No sum of weights is 0: every sequence has [CLS].
        weights_BS1 = mask_BS[..., None].astype(np.float32)
        return (values * weights_BS1).sum(axis=1) / weights_BS1.sum(axis=1)
    if pooling == "cls":
        return values[:, 0]
    # A pooler of zeros stands in where a checkpoint has none (`with_pooler`); tanh of it is 0.
    if not values.any():
        raise InputError(f"model {name}: has no pooler; expected pooling mean or cls")
    return values
