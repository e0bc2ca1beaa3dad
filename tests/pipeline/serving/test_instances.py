"""Requests with `instances` for each kind of model, and the model's name in their paths."""

import types
from typing import Any

import pydantic
import pytest

from albert_core.inference.signature import TaskSignature
from pipeline.serving.config import ServingConfig
from pipeline.serving.errors import from_validation_error
from pipeline.serving.instances import instances_type, name_in_paths


def parse(value: Any, kind: Any, **signature: Any) -> dict[str, Any]:
    model: Any = types.SimpleNamespace(signature=TaskSignature(kind=kind, **signature))
    return instances_type(model, ServingConfig()).model_validate(value).model_dump()


def test_a_single_text_may_stand_for_an_instance() -> None:
    as_text = parse({"instances": ["a [MASK]"], "top_k": 2}, "masked_lm", num_texts=1)
    assert as_text == {"instances": [{"text": "a [MASK]"}], "top_k": 2}
    with_object = parse({"instances": [{"text": "a"}]}, "regression", num_texts=1)
    assert with_object == {"instances": [{"text": "a"}]}
    perhaps_a_pair = parse({"instances": ["a"]}, "classification", num_texts=None)
    assert perhaps_a_pair == {"instances": [{"text": "a", "text_b": None}]}


def test_an_instance_of_several_texts_names_them() -> None:
    question = {"question": "who", "context": "they"}
    parsed = parse({"instances": [question], "signature_name": ""}, "question_answering")
    assert parsed == {"instances": [question], "top_k": 5}
    with pytest.raises(pydantic.ValidationError):
        parse({"instances": ["who"]}, "question_answering")


@pytest.mark.parametrize(
    ("name", "in_paths"),
    [
        ("sst-2", "sst-2"),
        ("my model {x}/2", "my-model-x-2"),
        ("modèle", "mod-le"),
        ("模型", "model"),
        ("..", "model"),
        ("-.-", "model"),
    ],
)
def test_a_name_fits_into_a_path(name: str, in_paths: str) -> None:
    assert name_in_paths(name) == in_paths


@pytest.mark.parametrize("parameters", [None, {}, {"top_k": 2}])
def test_settings_may_be_in_parameters_as_vertex_ai_sends_them(parameters: Any) -> None:
    parsed = parse({"instances": ["a [MASK]"], "parameters": parameters}, "masked_lm", num_texts=1)
    top_k = (parameters or {}).get("top_k", 5)
    assert parsed == {"instances": [{"text": "a [MASK]"}], "top_k": top_k}


@pytest.mark.parametrize(
    ("kind", "value", "message"),
    [
        ("masked_lm", {"parameters": {"top_k": 2}, "top_k": 2}, "in parameters or beside it"),
        ("masked_lm", {"parameters": {"top_k": 0}}, "greater than or equal to 1"),
        ("masked_lm", {"parameters": {"instances": []}}, "in parameters or beside it"),
        ("masked_lm", {"parameters": {"temperature": 1}}, "not permitted"),
        ("regression", {"parameters": {"top_k": 2}}, "not permitted"),
        ("regression", {"parameters": [1]}, "valid dictionary"),
    ],
)
def test_parameters_are_checked_as_what_stands_beside_them(
    kind: Any, value: Any, message: str
) -> None:
    with pytest.raises(pydantic.ValidationError, match=message):
        parse({"instances": ["a"], **value}, kind, num_texts=1)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"top_k": 0}, "greater than or equal to 1"),
        ({"top_k": 21}, "less than or equal to 20"),
        ({"signature_name": None}, "'' or 'serving_default'"),
    ],
)
def test_a_refusal_names_what_was_expected_alone(value: Any, expected: str) -> None:
    with pytest.raises(pydantic.ValidationError) as refused:
        parse({"instances": ["a [MASK]"], **value}, "masked_lm", num_texts=1)
    (error,) = refused.value.errors()
    assert from_validation_error({**error, "loc": ("body", *error["loc"])}).expected == expected
