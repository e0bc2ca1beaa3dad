"""A model takes examples from whatever yields them, and refuses what would be read as others."""

import dataclasses
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from albert_core.errors import InputError
from albert_core.inference import load
from albert_core.inference.loaded_model import LoadedModel
from albert_core.model_function import ModelInputs, ModelOutputs
from albert_core.tasks import Example
from albert_core.tokenization import SentencePieceTokenizer
from tests.helpers.served_models import SaveModel

# Of each model a few examples are predicted; other tests of this folder predict with traced ones.
pytestmark = pytest.mark.usefixtures("eager")

TEXTS = ["Bread.", "Two dogs.", "A slow train."]


@pytest.fixture
def topic(save_model: SaveModel, tmp_path: Path) -> LoadedModel:
    return load(save_model("topic", tmp_path / "topic"))


@pytest.fixture
def pretrained(save_model: SaveModel, tmp_path: Path) -> LoadedModel:
    return load(save_model("pretrained", tmp_path / "pretrained"))


@pytest.mark.parametrize(
    "wrong", ["Bread.", {"text": "Bread."}, b"Bread.", np.array([TEXTS]), None, 5]
)
def test_a_single_text_or_a_table_is_not_taken_apart(
    topic: LoadedModel, pretrained: LoadedModel, wrong: Any
) -> None:
    got = f"got {type(wrong).__name__}, expected a list of"
    with pytest.raises(InputError, match=f"examples: {got} examples; of a single one, a list with"):
        topic.predict(wrong)
    with pytest.raises(InputError, match=f"texts: {got} texts"):
        topic.encode(wrong)
    with pytest.raises(InputError, match=f"texts: {got} texts"):
        pretrained.fill_mask(wrong)


@pytest.mark.parametrize("make", [tuple, iter, np.array])
def test_examples_come_from_whatever_yields_them(
    topic: LoadedModel, pretrained: LoadedModel, make: Callable[[list[str]], Iterable[str]]
) -> None:
    assert topic.predict(make(TEXTS)) == topic.predict(TEXTS)
    np.testing.assert_array_equal(topic.encode(make(TEXTS)), topic.encode(TEXTS))
    masked = [f"[MASK] {text}" for text in TEXTS]
    assert pretrained.fill_mask(make(masked)) == pretrained.fill_mask(masked)


def test_texts_to_embed_are_written_as_those_to_predict_for(topic: LoadedModel) -> None:
    single, pair = topic.encode(["Bread.", ("Bread.", "Dogs.")])
    ways = [{"text": "Bread."}, ("Bread.", None), ("Bread.", ""), ["Bread."]]
    for vector in topic.encode(ways):
        np.testing.assert_allclose(vector, single, atol=2e-6)
    example = Example(id="7", texts=("Bread.", "Dogs."), target=None)
    for vector in topic.encode(
        [{"text": "Bread.", "text_b": "Dogs."}, ["Bread.", "Dogs."], example]
    ):
        np.testing.assert_allclose(vector, pair, atol=2e-6)


@pytest.mark.parametrize("wrong", [None, 5, float("nan"), b"Bread.", "\ud800", (), tuple("abc")])
def test_what_is_no_text_is_not_embedded(topic: LoadedModel, wrong: Any) -> None:
    with pytest.raises(InputError, match=r"examples\[1\]: got .*, expected text \(text\), text_b"):
        topic.encode(["Bread.", wrong])


@pytest.mark.parametrize("batch_size", [0, -1])
def test_a_batch_has_an_example_or_more(topic: LoadedModel, batch_size: int) -> None:
    refused = pytest.raises(InputError, match=f"batch_size: got {batch_size}, expected 1 or more")
    with refused:
        topic.predict(TEXTS, batch_size=batch_size)
    with refused:
        topic.encode(TEXTS, batch_size=batch_size)


def test_one_choice_is_no_choice(save_model: SaveModel, tmp_path: Path) -> None:
    model = load(save_model("held", tmp_path))
    with pytest.raises(
        InputError,
        match=r"examples\[0\]: got a list of 1 as choices, expected text \(text\), choices "
        r"\(a list of two or more texts\)",
    ):
        model.predict([("Bread.", ["dogs"])])


def test_a_mask_filled_with_a_mask_leaves_the_next_one_its_place(
    pretrained: LoadedModel, tokenizer: SentencePieceTokenizer
) -> None:
    best = [tokenizer.special_ids.mask, tokenizer.token_ids(["."])[0]]

    def run(inputs: ModelInputs) -> ModelOutputs:
        return {"masked_lm_logits": np.eye(len(tokenizer))[best][None] * 9}

    (found,) = dataclasses.replace(pretrained, run=run).fill_mask(["a [MASK] b [MASK] c"])
    assert found.filled == "a [MASK] b . c"
