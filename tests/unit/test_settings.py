"""Settings from plain values: what is not given has the default of what is around it."""

import dataclasses
from typing import Any

import pytest

from albert_core.finetuning.config import FinetuningConfig
from albert_core.settings import parse_settings
from pipeline.config import RunConfig

CORPUS = {"files": ["text"]}


def test_what_is_not_given_is_the_default() -> None:
    run = parse_settings(RunConfig, {"corpus": CORPUS}, source="test")
    assert run == RunConfig(corpus=run.corpus)


def test_what_is_not_given_of_a_section_is_the_default_of_the_section_around_it() -> None:
    """Fine-tuning's safeguards are not those that the class of safeguards would have by itself."""
    expected = FinetuningConfig().safeguards
    assert expected != type(expected)()
    values = {"corpus": CORPUS, "finetuning": {"safeguards": {"max_roll_backs": 7}}}
    found = parse_settings(RunConfig, values, source="test").finetuning.safeguards
    assert found == dataclasses.replace(expected, max_roll_backs=7)


@pytest.mark.parametrize(
    "dotted", [{"finetuning.num_epochs": 7}, {"finetuning": {"safeguards.max_roll_backs": 7}}]
)
def test_dotted_names_hold_for_these_settings_alone(dotted: dict[str, Any]) -> None:
    before = parse_settings(RunConfig, {"corpus": CORPUS}, source="test")
    assert parse_settings(RunConfig, {"corpus": CORPUS, **dotted}, source="test") != before
    assert parse_settings(RunConfig, {"corpus": CORPUS}, source="test") == before
