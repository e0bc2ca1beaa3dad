"""Responses say what the model predicts, rounded, with as many candidates as were asked for."""

from pathlib import Path
from typing import Any

import pytest
from conftest import SENTENCES

from albert_core.inference import load
from albert_core.tokenization import SentencePieceTokenizer
from pipeline.serving.answers import make_answer_function
from pipeline.serving.errors import RequestError
from tests.helpers.served_models import TASKS_BY_NAME, save_pretrained_model, save_task_model

EXAMPLES: dict[str, dict[str, Any]] = {
    "topic": {"text": SENTENCES[0]},
    "sea": {"text": SENTENCES[0], "text_b": SENTENCES[1]},
    "held": {"text": "Bread.", "choices": ["dogs", "apples", "crumbs"]},
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_numbers_have_six_decimals(
    tokenizer: SentencePieceTokenizer, tmp_path: Path, name: str
) -> None:
    model = load(save_task_model(tmp_path, TASKS_BY_NAME[name], tokenizer))
    (answer,) = make_answer_function(model.predictor())([EXAMPLES[name]])
    (prediction,) = model.predict([EXAMPLES[name]])
    assert not isinstance(answer, RequestError)
    said = answer.model_dump()
    assert said.pop("is_truncated") == prediction.is_truncated
    for field, value in said.items():
        expected = getattr(prediction, field)
        if isinstance(value, float):
            assert value == round(expected, 6)
        elif isinstance(value, dict):
            assert value == {label: round(number, 6) for label, number in expected.items()}
        elif isinstance(value, list):
            assert value == [round(number, 6) for number in expected]
        else:
            assert value == expected


def test_each_question_gets_as_many_candidates_as_its_request_asked_for(
    tokenizer: SentencePieceTokenizer, tmp_path: Path
) -> None:
    model = load(save_task_model(tmp_path, TASKS_BY_NAME["whale"], tokenizer))
    answer = make_answer_function(model.predictor())
    asked = {"question": "Who?", "context": SENTENCES[2]}
    one, three = answer([{**asked, "top_k": 1}, {**asked, "top_k": 3}])
    assert [len(said.n_best) for said in (one, three)] == [1, 3]
    assert one.n_best == three.n_best[:1]
    (strange,) = answer([{**asked, "context": "⅓⅔⅛⅜ ⅝⅞", "top_k": 1}])
    assert isinstance(strange, RequestError)
    assert (strange.status, strange.what) == (422, "context")


def test_each_text_gets_as_many_tokens_as_its_request_asked_for(
    tokenizer: SentencePieceTokenizer, tmp_path: Path
) -> None:
    model = load(save_pretrained_model(tmp_path, tokenizer))
    answer = make_answer_function(model.predictor())
    one, two = answer([{"text": "The [MASK].", "top_k": k} for k in (1, 2)])
    assert [len(said.masks[0]) for said in (one, two)] == [1, 2]
    assert one.masks[0] == two.masks[0][:1]
    assert one.filled == two.filled
