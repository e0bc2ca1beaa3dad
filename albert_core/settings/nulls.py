"""Nulls among settings: left out where they stand for a section's defaults, or refused."""

import typing
from collections.abc import Mapping
from typing import Any

from albert_core.errors import InputError
from albert_core.settings.field_types import find_section, is_sequence, takes_null
from albert_core.settings.json_values import describe_value


def settle_nulls(cls: type, values: Any, *, source: str, name: str = "") -> Any:
    """Return the values of a dataclass without its sections that are null, for their defaults.

    Refuses anything else in place of a section: text jsonargparse would take for the path of a file
    to read or for the name of a class. Refuses a null that is none of a field's values, which it
    would let pass. Fields that the dataclass does not have pass.

    Args:
        cls: The dataclass that `values` are for.
        values: Its values by field.
        source: Where the values come from, for messages.
        name: Path of these values in the whole, for messages; empty for the whole.

    Raises:
        InputError: Such a value was found, or a name and a value without a space between them;
            names the first.
    """
    if not isinstance(values, Mapping):
        got = repr(values) if isinstance(values, str) else describe_value(values)
        raise InputError(f"{source}: {name}: got {got}, expected settings by name")
    hints = typing.get_type_hints(cls)
    settled = {}
    for field, value in values.items():
        if value is None and field not in hints and ":" in str(field):  # YAML's {name:value}
            spaced = ": ".join(str(field).split(":", 1))
            raise InputError(
                f"{source}: got {field!r} without a value, expected a space behind the colon: "
                f"{spaced}"
            )
        hint, path = hints.get(field, Any), f"{name}.{field}" if name else f"{field}"
        section = find_section(hint)
        if value is None and section is not None and not takes_null(hint):
            continue
        if value is None and not takes_null(hint):
            raise InputError(
                f"{source}: got null as {path!r}, expected a value; leave the key out for its "
                "default"
            )
        if section is None or value is None:
            settled[field] = value
        elif isinstance(value, list | tuple) and is_sequence(hint):
            settled[field] = [
                settle_nulls(section, item, source=source, name=f"{path}[{index}]")
                for index, item in enumerate(value)
            ]
        else:
            settled[field] = settle_nulls(section, value, source=source, name=path)
    return settled


def plain_values(value: Any) -> Any:
    """Return nested mappings, lists and tuples as dicts and lists; anything else as it is.

    Entries of mappings that are None, which means not set, are left out; items of lists stay.
    """
    if isinstance(value, Mapping):
        return {key: plain_values(item) for key, item in value.items() if item is not None}
    if isinstance(value, list | tuple):
        return [plain_values(item) for item in value]
    return value
