"""What the heads that pool all tokens read, against the same in NumPy."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from keras import ops

from albert_core.config import AlbertConfig
from albert_core.errors import InputError
from albert_core.model import AlbertForMultipleChoice, AlbertForSequenceClassification

pytestmark = pytest.mark.backends

CONFIG = AlbertConfig(
    vocab_size=50,
    embedding_size=8,
    hidden_size=16,
    num_hidden_layers=3,
    num_attention_heads=2,
    intermediate_size=32,
    max_position_embeddings=24,
    initializer_range=0.3,
)
LENGTH = 11
LENGTHS = (11, 3, 2, 7)  # of two tokens, [CLS] and [SEP] alone
Arrays = dict[str, np.ndarray]


def make_model(kind: str, make: Callable[..., Any] = AlbertForSequenceClassification) -> Any:
    """Return a model none of whose head's weights is 0."""
    more = {"num_labels": 3} if make is AlbertForSequenceClassification else {}
    model = make(CONFIG, pooling=kind, **more)
    rng = np.random.default_rng(2)
    for variable in model.head.weights:
        variable.assign(rng.normal(size=variable.shape))
    return model


def make_inputs() -> Arrays:
    """Return four sequences of several lengths, the first half of each in segment 0."""
    rng = np.random.default_rng(3)
    mask = np.arange(LENGTH) < np.array(LENGTHS)[:, None]
    return {
        "input_ids": rng.integers(1, CONFIG.vocab_size, mask.shape) * mask,
        "input_mask": mask.astype("int32"),
        "segment_ids": ((np.arange(LENGTH) > 5) & mask).astype("int32"),
    }


def numbers(tensor: Any) -> np.ndarray:
    return ops.convert_to_numpy(ops.cast(tensor, "float32"))


def layer_outputs(model: Any, inputs: Arrays) -> list[np.ndarray]:
    outputs = model.bert(
        inputs["input_ids"],
        input_mask=inputs["input_mask"],
        segment_ids=inputs["segment_ids"],
        return_all_layers=True,
    )
    return [numbers(values) for values in outputs["all_layer_outputs"]]


def apply_head(model: Any, features: np.ndarray) -> np.ndarray:
    weights, bias = (numbers(variable) for variable in model.head.weights[:2])
    return features @ weights.T + bias


def mean_over(tokens: np.ndarray, first: int, ends: np.ndarray) -> np.ndarray:
    """Return the mean of each text's tokens from the first to before its end; 0 of none."""
    return np.stack(
        [
            row[first:end].mean(axis=0) if end > first else np.zeros(row.shape[-1])
            for row, end in zip(tokens, ends, strict=True)
        ]
    )


def test_the_mean_is_that_of_the_last_layers_tokens() -> None:
    model, inputs = make_model("mean"), make_inputs()
    features = mean_over(layer_outputs(model, inputs)[-1], 0, np.array(LENGTHS))
    np.testing.assert_allclose(model(inputs), apply_head(model, features), atol=2e-5)


def test_a_mix_weighs_the_means_of_all_layers() -> None:
    model, inputs = make_model("layer_mix"), make_inputs()
    logits = numbers(model.head.layer_logits)
    weights = np.exp(logits) / np.exp(logits).sum()
    assert len(weights) == CONFIG.num_hidden_layers
    features = sum(
        weight * mean_over(tokens, 0, np.array(LENGTHS))
        for weight, tokens in zip(weights, layer_outputs(model, inputs), strict=True)
    )
    np.testing.assert_allclose(model(inputs), apply_head(model, features), atol=2e-5)


def test_two_texts_apart_are_compared() -> None:
    model, inputs = make_model("siamese"), make_inputs()
    words = numbers(model.bert.embeddings.word_embeddings)[inputs["input_ids"]]
    features = []
    for tokens in (layer_outputs(model, inputs)[-1], words):
        means = mean_over(tokens, 1, np.array(LENGTHS) - 1)
        means = means - means.mean(axis=1, keepdims=True)
        means = means / np.sqrt((means**2).mean(axis=1, keepdims=True) + 1e-6)
        first, second = means[0::2], means[1::2]
        cosine = (first * second).mean(axis=1, keepdims=True)
        features += [np.abs(first - second), first * second, 5 * cosine]
    expected = apply_head(model, np.concatenate(features, axis=1))
    pairs = {name: values.reshape(2, 2, LENGTH) for name, values in inputs.items()}
    np.testing.assert_allclose(model(pairs), expected, atol=5e-5)


def test_the_order_of_two_texts_apart_does_not_matter() -> None:
    model, inputs = make_model("siamese"), make_inputs()
    pairs = {name: values.reshape(2, 2, LENGTH) for name, values in inputs.items()}
    swapped = {name: values[:, ::-1] for name, values in pairs.items()}
    np.testing.assert_allclose(model(pairs), model(swapped), atol=2e-5)


def test_a_comparison_begins_at_zero_and_others_do_not() -> None:
    for kind, is_zero in (("siamese", True), ("mean", False)):
        model = AlbertForSequenceClassification(CONFIG, num_labels=3, pooling=kind)
        weights = numbers(model.output_layer().output_weights)
        assert (not weights.any()) == is_zero


def test_choices_have_a_mean_but_are_not_compared() -> None:
    model, inputs = make_model("mean", AlbertForMultipleChoice), make_inputs()
    choices = {name: values.reshape(2, 2, LENGTH) for name, values in inputs.items()}
    features = mean_over(layer_outputs(model, inputs)[-1], 0, np.array(LENGTHS))
    expected = apply_head(model, features).reshape(2, 2)
    np.testing.assert_allclose(model(choices), expected, atol=2e-5)
    with pytest.raises(InputError, match=r"got siamese.*expected pooler, mean or layer_mix"):
        AlbertForMultipleChoice(CONFIG, pooling="siamese")
