"""What the arguments of a command line hold: mappings in YAML, files of sections, addresses."""

import json
from collections.abc import Iterator, Mapping, Sequence

import yaml

from albert_core.errors import InputError
from albert_core.storage import split_addresses
from albert_core.yaml_text import load_yaml, refuse_repeated_keys
from pipeline.config import parse_section, read_section


def refuse_repeated_options(arguments: list[str], options: set[str]) -> None:
    """Refuse some options where they are given twice; one that appends (`--tasks+`) may be.

    Raises:
        InputError: One is.
    """
    given = (argument.partition("=")[0] for argument in arguments if argument.startswith("--"))
    names = [name for name in given if name in options and not name.endswith("+")]
    for index, name in enumerate(names):
        if name in names[:index]:
            raise InputError(
                f"{name}: got it twice, expected it once; several values are separated by commas"
            )


def refuse_repeated_keys_in(value: str, *, source: str) -> None:
    """Refuse a mapping in braces, also within a list, with a key twice; any other text passes.

    Raises:
        InputError: The value is one.
    """
    if value.lstrip().startswith(("{", "[")):
        refuse_repeated_keys(value, source=source)


def given_options(arguments: Sequence[str]) -> Iterator[str]:
    """Yield the dotted names of the options among arguments; those of a section's file, too.

    Args:
        arguments: As `spell_out` returns them.
    """
    for index, argument in enumerate(arguments):
        if not argument.startswith("--"):
            continue
        name = argument[2:].partition("=")[0]
        yield name
        values = arguments[index + 1 : index + 2]
        if values and is_mapping(values[0]):
            yield from (f"{name}.{key}" for key in yaml.safe_load(values[0]))


def is_mapping(value: str) -> bool:
    """Return whether a text is a mapping in YAML."""
    try:
        return isinstance(yaml.safe_load(value), Mapping)
    # ValueError: of a date that is none.
    except (yaml.YAMLError, ValueError, OverflowError, RecursionError):
        return False


def addresses_in(value: str) -> list[str] | None:
    """Return the addresses that an option lists; None if it is an option, or a list in YAML."""
    if value.startswith("-"):
        return None
    addresses = split_addresses(value)
    if addresses != [value] and value.startswith("[") and value.endswith("]"):
        return None
    return addresses


def section_as_yaml(option: str, value: str, cls: type) -> str:
    """Return the settings of a section, in YAML, as jsonargparse takes them.

    Args:
        option: The section's option.
        value: The name of a YAML file, or a mapping in YAML.
        cls: The dataclass of the section.

    Raises:
        InputError: The file is missing, not YAML, or not a mapping; a key is twice in it, or a null
            is in place of a value.
    """
    if not is_mapping(value):
        return json.dumps(read_section(value, cls, option=option), default=str)
    settled = parse_section(value, cls, source=option)
    # As it was given, where that says the same: JSON has no word for infinity.
    unchanged = settled == load_yaml(value, source=option)
    return value if unchanged else json.dumps(settled, default=str)
