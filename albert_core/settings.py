"""Plain values, from YAML or a pipeline's parameters, to validated settings."""

from collections.abc import Mapping
from typing import Any, TypeVar

import jsonargparse

from albert_core.errors import InputError
from albert_core.old_names import rename_settings

Settings = TypeVar("Settings")

# Settings are values: no name in them is imported but ours, and nothing is called by its name.
jsonargparse.set_parsing_settings(
    instantiate_subclass_spec_in_any=False,
    import_path_denylist=["*"],
    import_path_allowlist=["albert_core", "components", "pipeline"],
)


def parse_settings(cls: type[Settings], values: Any, *, source: str) -> Settings:
    """Build a settings dataclass from a mapping, checking names, types and values.

    Args:
        cls: The dataclass.
        values: Values by field, nested; whole floats pass for integers, as a pipeline's
            parameters lose the difference.
        source: Where the values come from, for messages.

    Raises:
        InputError: An unknown name, a wrong type or an impossible value.
    """
    if not isinstance(values, Mapping):
        raise InputError(f"{source}: got {type(values).__name__}, expected settings by name")
    parser = jsonargparse.ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(cls, "settings")
    try:
        named = rename_settings(values, source=source)
        parsed = parser.parse_object({"settings": _whole_numbers(named)})
    except (jsonargparse.ArgumentError, TypeError, ImportError) as error:
        raise InputError(f"{source}: {one_line(error)}") from error
    return parser.instantiate(parsed).settings


def plain_values(value: Any) -> Any:
    """Return nested mappings and sequences as dicts and lists, without what is not set (None)."""
    if isinstance(value, Mapping):
        return {key: plain_values(item) for key, item in value.items() if item is not None}
    if isinstance(value, list | tuple):
        return [plain_values(item) for item in value]
    return value


def one_line(error: Exception) -> str:
    """Return an error of jsonargparse in one line, without the prefix used inside."""
    return " ".join(str(error).replace("settings.", "").replace("Group 'settings'", "This").split())


def _whole_numbers(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _whole_numbers(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_whole_numbers(item) for item in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value
