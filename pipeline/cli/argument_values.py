"""What the arguments of a command line hold: mappings in YAML, files of sections, addresses."""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import yaml

from albert_core.errors import InputError
from albert_core.settings.yaml_text import load_yaml, refuse_repeated_keys
from albert_core.storage import find_files, split_addresses
from pipeline.config_files import parse_section, read_section


def refuse_repeated_options(arguments: list[str], options: set[str]) -> None:
    """Refuse arguments in which one of some options is given twice.

    Options that append to a list, such as `--tasks+`, may be.

    Args:
        arguments: The arguments.
        options: The options, with their dashes.

    Raises:
        InputError: One of them is given twice.
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

    Args:
        value: What stands behind an option.
        source: The option, for the message.

    Raises:
        InputError: A mapping in the value has a key twice, or there is something else that
            `refuse_repeated_keys` refuses, such as half of a pair of surrogates.
    """
    if value.lstrip().startswith(("{", "[")):
        refuse_repeated_keys(value, source=source)


def given_options(arguments: Sequence[str]) -> Iterator[str]:
    """Yield the dotted names of the options among arguments, without dashes before them.

    An option that is given twice comes twice. If the argument behind an option is a mapping in
    YAML, as the content of a section's file is, the names of its keys follow, with the option's
    name and a dot before them; keys of mappings within it do not.

    Args:
        arguments: As `CommandParser.spell_out` returns them.
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
    return isinstance(_yaml_value(value), Mapping)


def addresses_in(value: str) -> list[str] | None:
    """Return the addresses that a value lists, separated by commas; None for a list in YAML.

    White space around commas stays, and an empty value is one empty address. Commas in names of
    what exists, up to seven in each, do not separate: where there are commas, local files, folders
    and globs and the objects of buckets are looked up. `[a.txt]`, `["a.txt", "b.txt"]` and `[]` are
    lists in YAML, unless something of just this name exists; a list with a list or mapping in it is
    not taken for one. A single word in brackets, as `[ab]`, is a glob where it matches files (of
    one character) and there is no `ab`. `[ab].txt` and `[a].txt,[b]` are never lists in YAML.

    Args:
        value: What stands behind an option. One that begins with a dash is the next option, and
            None is returned for it, too.

    Raises:
        InputError: A folder that a glob looks into cannot be read.
        ServiceError: The storage of a bucket failed.
    """
    if value.startswith("-") or _is_list_of_addresses(value):
        return None
    return split_addresses(value)


def _is_list_of_addresses(value: str) -> bool:
    """Return whether a text in brackets is a list of plain values in YAML, and no name or glob.

    Local files are looked up: false for a text that is the name of something that exists, and for
    one word in brackets that matches files as a glob, unless something is called as the word is.
    """
    items = _yaml_value(value) if value.startswith("[") and value.endswith("]") else None
    if not isinstance(items, list) or any(isinstance(item, list | Mapping) for item in items):
        return False
    if os.path.lexists(value):
        return False
    # A list of one plain word is also a glob. Where the word exists, both say the same.
    word = value[1:-1]
    texts = yaml.load(value, Loader=yaml.BaseLoader)  # numbers and dates stay as they are written
    is_glob = texts == [word] and not os.path.lexists(word)
    return not (is_glob and _has_files(value))


def _has_files(pattern: str) -> bool:
    """Return whether a local file, folder or glob has files; false if it cannot be read."""
    try:
        return bool(find_files(pattern))
    except InputError:
        return False


def _yaml_value(value: str) -> Any:
    """Return what a text is in YAML; None if it is not YAML."""
    try:
        return yaml.safe_load(value)
    # ValueError: of a date that is none.
    except (yaml.YAMLError, ValueError, OverflowError, RecursionError):
        return None


def section_as_yaml(option: str, value: str, cls: type) -> str:
    """Return the settings of a section, in YAML, as jsonargparse takes them.

    Names, nulls and texts are settled as by `read_section`. A mapping to which that does nothing is
    returned as it is written, anything else as JSON.

    Args:
        option: The section's option.
        value: A mapping in YAML; any other text is the name of a YAML file, local, gs:// or s3://.
        cls: The dataclass of the section.

    Raises:
        InputError: The file is missing, not YAML, or not a mapping; a key is twice in it, or a null
            is in place of a value.
        ServiceError: The storage of the file failed.
    """
    if not is_mapping(value):
        return json.dumps(read_section(value, cls, option=option), default=str)
    settled = parse_section(value, cls, source=option)
    # As it was given, where that says the same: JSON has no word for infinity.
    unchanged = settled == load_yaml(value, source=option)
    return value if unchanged else json.dumps(settled, default=str)
