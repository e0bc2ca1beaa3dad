"""`--print_config`: the settings of a command as a file of a run, each with its explanation."""

import dataclasses
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import docstring_parser

from albert_core.settings import plain_values
from albert_core.settings.yaml_text import to_flow_yaml
from pipeline.cli.help import PRINT_CONFIG
from pipeline.cli.parsing import CommandParser
from pipeline.config import RunConfig

_WIDTH = 100


def without_print_config(parser: CommandParser, arguments: Sequence[str]) -> tuple[list[str], bool]:
    """Return arguments without `--print_config`, and whether it was there.

    If the command takes no configuration, the option stays, to be refused as any unknown option is.
    """
    if not parser.takes_config:
        return list(arguments), False
    left = [
        argument
        for argument in arguments
        if argument.replace("-", "_") != PRINT_CONFIG.replace("-", "_")
    ]
    return left, len(left) < len(arguments)


def print_config(settings: Mapping[str, Any]) -> None:
    """Print the settings of a command that belong to the configuration of a run, as YAML.

    A comment above each setting says what it is, and its default where it differs. Sections that
    the command does not have are left out.

    Args:
        settings: What the command would be called with.

    Raises:
        InputError: The settings do not go together (`RunConfig`).
    """
    names = {field.name for field in dataclasses.fields(RunConfig)}
    given = {name: value for name, value in settings.items() if name in names}
    # A command's option may be called as a section is, and be a path: `--vocab`.
    defaults = RunConfig()
    sections = {
        name: value
        for name, value in given.items()
        if isinstance(value, type(getattr(defaults, name)))
    }
    config = RunConfig(**sections)
    print("\n".join(_lines(config, defaults, names=sections, indent="")))


def _lines(
    values: Any, defaults: Any, *, indent: str, names: Mapping[str, Any] | None = None
) -> Iterator[str]:
    """Yield the lines of a settings dataclass as YAML, a comment above each setting.

    Args:
        values: The settings.
        defaults: The same settings with their defaults, which are shown where they differ.
        indent: What precedes each line.
        names: Fields to show; all when None.
    """
    texts = _documented(type(values))
    for field in dataclasses.fields(values):
        if names is not None and field.name not in names:
            continue
        value, default = getattr(values, field.name), getattr(defaults, field.name)
        is_section = dataclasses.is_dataclass(value)
        text = texts.get(field.name, "")
        if not is_section and value != default:
            text = f"{text} (default: {_to_yaml(default)})".lstrip()
        if text:
            comment = f"{indent}# "
            yield from textwrap.wrap(
                text, _WIDTH, initial_indent=comment, subsequent_indent=comment
            )
        if is_section:
            yield f"{indent}{field.name}:"
            yield from _lines(value, default, indent=f"{indent}  ")
        else:
            yield f"{indent}{field.name}: {_to_yaml(value)}"


def _to_yaml(value: Any) -> str:
    """Return the value of a setting as YAML in one line; items that are dataclasses are mappings.

    What is not set in these is left out.
    """
    if isinstance(value, tuple):
        value = [_to_values(item) for item in value]
    return to_flow_yaml(plain_values(value))


def _to_values(item: Any) -> Any:
    is_dataclass = dataclasses.is_dataclass(item) and not isinstance(item, type)
    return dataclasses.asdict(item) if is_dataclass else item


def _documented(cls: type) -> dict[str, str]:
    """Return what the docstrings of a dataclass and its bases say about each field."""
    texts = {}
    for base in reversed(cls.__mro__):
        for parameter in docstring_parser.parse(base.__doc__ or "").params:
            texts[parameter.arg_name] = " ".join((parameter.description or "").split())
    return texts
