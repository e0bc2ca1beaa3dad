"""Settings from plain values: what is not given has the default of what is around it."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from albert_core.finetuning.config import FinetuningConfig
from albert_core.settings import parse_settings
from pipeline.cli import run_commands
from pipeline.cli.parsing import CommandParser
from pipeline.config import RunConfig

CORPUS = {"files": ["text"]}


def test_what_is_not_given_is_the_default() -> None:
    run = parse_settings(RunConfig, {"corpus": CORPUS}, source="test")
    assert run == RunConfig(corpus=run.corpus)


def test_what_is_not_given_of_a_section_is_the_default_of_the_section_around_it() -> None:
    """Fine-tuning's safeguards are not those that the class of safeguards would have by itself."""
    expected = FinetuningConfig().safeguards
    assert expected != type(expected)()
    values = {"corpus": CORPUS, "finetuning": {"safeguards": {"action": "roll_back"}}}
    found = parse_settings(RunConfig, values, source="test").finetuning.safeguards
    assert found == dataclasses.replace(expected, action="roll_back")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Inner:
    """A section with a mapping that is one setting."""

    overrides: Mapping[str, int] = dataclasses.field(default_factory=dict)
    size: int = 1


@dataclasses.dataclass(frozen=True, kw_only=True)
class Outer:
    """What gives that section other defaults than its class."""

    inner: Inner = Inner(overrides={"layers": 2}, size=3)


def test_a_mapping_that_is_one_setting_is_replaced_whole() -> None:
    found = parse_settings(Outer, {"inner": {"overrides": {"heads": 4}}}, source="test")
    assert found == Outer(inner=Inner(overrides={"heads": 4}, size=3))
    assert parse_settings(Outer, {"inner": {"size": 5}}, source="test") == Outer(
        inner=Inner(overrides={"layers": 2}, size=5)
    )


def test_a_mapping_on_the_command_line_replaces_that_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "run.yaml").write_text("model: {overrides: {num_hidden_layers: 2}}\n")
    parser = CommandParser(run_commands.run)
    given = ["--config", f"{tmp_path}/run.yaml", "--output", "out"]
    arguments = parser.spell_out([*given, "--model.overrides", '{"hidden_size": 64}'])
    parser.take_defaults(arguments)
    settings = parser.get_settings(parser.parse(arguments, needs_all=False))
    assert settings["model"].overrides == {"hidden_size": 64}


@pytest.mark.parametrize(
    "dotted", [{"finetuning.num_epochs": 7}, {"finetuning": {"safeguards.spike_ratio": 7}}]
)
def test_dotted_names_hold_for_these_settings_alone(dotted: dict[str, Any]) -> None:
    before = parse_settings(RunConfig, {"corpus": CORPUS}, source="test")
    assert parse_settings(RunConfig, {"corpus": CORPUS, **dotted}, source="test") != before
    assert parse_settings(RunConfig, {"corpus": CORPUS}, source="test") == before
