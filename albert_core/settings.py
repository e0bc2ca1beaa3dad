"""Plain values, from YAML or a pipeline's parameters, to validated settings."""

import dataclasses
import typing
from collections.abc import Mapping
from typing import Any, TypeVar

import jsonargparse

from albert_core.errors import InputError
from albert_core.old_names import rename_settings

Settings = TypeVar("Settings")

# Settings come from other people's files: without this, jsonargparse would import and call what a
# value names. Its own denial takes names of this program's packages, for the settings' classes.
jsonargparse.set_parsing_settings(
    instantiate_subclass_spec_in_any=False,
    import_path_denylist=["*"],
    import_path_allowlist=["albert_core", "components", "pipeline"],
)


def parse_settings(cls: type[Settings], values: Any, *, source: str) -> Settings:
    """Build a settings dataclass from a mapping, checking names, types and values.

    Fields without a value keep their defaults. Old names of settings (`old_names`) are taken, with
    a line on standard error, once per process for each.

    Args:
        cls: The dataclass.
        values: Values by field; mappings, never text, for fields that are dataclasses. Whole
            floats pass for integers, as a pipeline's parameters lose the difference.
        source: Where the values come from, for messages.

    Raises:
        InputError: Not a mapping, an unknown or missing name, a wrong type or an impossible value.
    """
    if not isinstance(values, Mapping):
        raise InputError(f"{source}: got {type(values).__name__}, expected settings by name")
    parser = jsonargparse.ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(cls, "settings")
    _refuse_text_for_settings(cls, values, source=source)
    try:
        named = rename_settings(values, source=source)
        parsed = parser.parse_object({"settings": _whole_numbers(named)})
    except (jsonargparse.ArgumentError, TypeError, ImportError) as error:
        raise InputError(f"{source}: {one_line(error)}") from error
    return parser.instantiate(parsed).settings


def plain_values(value: Any) -> Any:
    """Return nested mappings, lists and tuples as dicts and lists; anything else as it is.

    Entries of mappings that are None, which means not set, are left out; items of lists stay.
    """
    if isinstance(value, Mapping):
        return {key: plain_values(item) for key, item in value.items() if item is not None}
    if isinstance(value, list | tuple):
        return [plain_values(item) for item in value]
    return value


def one_line(error: Exception) -> str:
    """Return an error of jsonargparse in one line, without the prefix of `parse_settings`."""
    text = " ".join(str(error).split())
    return text.replace("settings.", "").replace("Group 'settings'", "This")


def _refuse_text_for_settings(cls: type, values: Any, *, source: str, name: str = "") -> None:
    """Refuse text in place of settings: of `cls`, or of a dataclass nested in it.

    jsonargparse would take it for the path of a file to read, or for the name of a class.

    Args:
        cls: The dataclass that `values` are for.
        values: Its values by field, or a sequence of such; other values are not looked at.
        source: Where the values come from, for messages.
        name: Path of these values in the whole, for messages; empty for the whole.

    Raises:
        InputError: Text was found; names the first.
    """
    if isinstance(values, str):
        raise InputError(f"{source}: {name}: got {values!r}, expected settings by name")
    if isinstance(values, list | tuple):
        for index, item in enumerate(values):
            _refuse_text_for_settings(cls, item, source=source, name=f"{name}[{index}]")
    elif isinstance(values, Mapping):
        for field, hint in typing.get_type_hints(cls).items():
            kind = next(iter(typing.get_args(hint)), None) if _is_tuple(hint) else hint
            if isinstance(kind, type) and dataclasses.is_dataclass(kind):
                path = f"{name}.{field}" if name else field
                _refuse_text_for_settings(kind, values.get(field), source=source, name=path)


def _is_tuple(hint: Any) -> bool:
    return typing.get_origin(hint) is tuple


def _whole_numbers(value: Any) -> Any:
    """Return nested values with integers in place of whole floats, and lists in place of tuples.

    kfp passes numbers as protobuf's doubles; a float field takes an integer as well.
    """
    if isinstance(value, Mapping):
        return {key: _whole_numbers(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_whole_numbers(item) for item in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value
