"""The tables of parameters in the components' READMEs have the settings' names and defaults."""

import dataclasses
import functools
import re
import typing
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.config import RunConfig

ROOT = Path(__file__).resolve().parents[2]
READMES = sorted((ROOT / "components").glob("*/README.md"))
NOTHING = (None, "", (), {}, dataclasses.MISSING)
SECTIONS = (
    "beam",
    "checkpoint",
    "cleaning",
    "corpus",
    "export",
    "finetuning",
    "pretraining",
    "records",
)
SECTIONS += ("retraining", "vertex_models", "vocab")


@dataclasses.dataclass(frozen=True)
class Row:
    """A setting in a table: its dotted name, and the default as the table has it."""

    name: str
    default: str


def rows(readme: Path) -> Iterator[Row]:
    """Yield the settings of a README's table of parameters; a row may hold several."""
    table = (
        readme.read_text(encoding="utf-8").partition("| name | default |")[2].partition("\n\n")[0]
    )
    for line in table.splitlines()[2:]:
        cells = [cell.strip() for cell in line.split("|")[1:3]]
        names = re.findall(r"`([^`]+)`", cells[0])
        defaults = [default.strip(" `") for default in cells[1].split(", ")]
        defaults += defaults[:1] * (len(names) - len(defaults))
        parent = ""
        for name, default in zip(names, defaults, strict=False):
            if "." in name.strip("."):
                parent = name.rpartition(".")[0]
            if f"{parent}.{name.strip('.')}" in settings():  # `section.first`, `second`
                name = f"{parent}.{name.strip('.')}"
            name = f"export.{name}" if name.startswith("card.") else name
            if "." in name and name.partition(".")[0] in SECTIONS:
                yield Row(name, default)


@functools.cache
def settings(section: type = RunConfig, prefix: str = "") -> Mapping[str, Any]:
    """Return the defaults of all settings below a dataclass by their dotted names."""
    found: dict[str, Any] = {}
    types = typing.get_type_hints(section)
    for field in dataclasses.fields(section):
        name, kind = f"{prefix}{field.name}", types[field.name]
        if dataclasses.is_dataclass(kind):
            found |= settings(kind, f"{name}.")
        elif field.default_factory is not dataclasses.MISSING:
            found[name] = field.default_factory()
        else:
            found[name] = field.default
    return found


def is_default(text: str, default: Any) -> bool:
    """Return whether a cell says a default; one in words stands for no value."""
    if default in NOTHING:
        return text in ("", "{}") or " " in text or text == "none"
    if isinstance(default, float):
        return float(text) == default
    return yaml.safe_load(text) == default


@pytest.mark.parametrize("readme", READMES, ids=lambda readme: readme.parent.name)
def test_names_and_defaults_are_those_of_the_settings(readme: Path) -> None:
    for row in rows(readme):
        if row.name.endswith(".*"):
            assert any(name.startswith(row.name[:-1]) for name in settings()), row
            continue
        assert row.name in settings(), row
        assert is_default(row.default, settings()[row.name]), (row, settings()[row.name])


def test_every_setting_of_a_step_is_in_a_table() -> None:
    names = {row.name for readme in READMES for row in rows(readme)}
    groups = tuple(name[:-1] for name in names if name.endswith(".*"))
    missing = [
        name
        for name in settings()
        if name.partition(".")[0] in SECTIONS and name not in names and not name.startswith(groups)
    ]
    assert not missing
