"""Plain values, from YAML or a pipeline's parameters, to validated settings."""

import copy
import dataclasses
import functools
import re
import typing
from collections.abc import Mapping
from typing import Any, TypeVar

import jsonargparse

from albert_core.errors import InputError
from albert_core.settings.field_types import is_dataclass_type, setting_names
from albert_core.settings.json_values import describe_value
from albert_core.settings.nulls import settle_nulls
from albert_core.settings.old_names import rename_settings
from albert_core.settings.parsing_errors import describe_parsing_error
from albert_core.settings.suggestions import did_you_mean

Settings = TypeVar("Settings")

_UNKNOWN_SETTING = re.compile(r"does not accept option '([\w.]+)'")
_LARGEST = 2**63  # of integers: no array and no file of records holds larger ones

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
    a line on standard error, once per process for each; where a setting is given under both names,
    the value under today's wins.

    Args:
        cls: The dataclass.
        values: Values by field; mappings, never text, for fields that are dataclasses, of which
            null stands for the defaults. Whole floats pass for integers, as a pipeline's parameters
            lose the difference.
        source: Where the values come from; messages begin with it, except those about impossible
            values, which the dataclass itself refuses.

    Raises:
        InputError: Not a mapping, an unknown or missing name, a wrong type, a null that is not one
            of its values, or an impossible value.
    """
    if not isinstance(values, Mapping):
        raise InputError(f"{source}: got {describe_value(values)}, expected settings by name")
    of_any: Any = cls  # mypy does not take the type of a dataclass for hashable
    parser = _parser_of(of_any)
    try:
        named = rename_settings(values, source=source)
        settled = settle_nulls(cls, named, source=source)
        # A copy: jsonargparse writes values with dotted names into the mappings that it is given.
        unlike = copy.deepcopy(_defaults_unlike_classes(of_any))
        given = _merge(of_any, unlike, _whole_numbers(settled, ""))
        # The dataclasses have the defaults themselves; the parser would take ten times as long.
        parsed = parser.parse_object({"settings": given}, defaults=False)
    except (jsonargparse.ArgumentError, TypeError, ImportError, RecursionError) as error:
        text = _with_suggestion(describe_parsing_error(error), cls)
        raise InputError(f"{source}: {text}") from error
    return parser.instantiate(parsed).settings


@functools.cache
def _parser_of(cls: type) -> jsonargparse.ArgumentParser:
    """Return the parser of a dataclass, made once for each: making takes longer than parsing."""
    parser = jsonargparse.ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(cls, "settings")
    return parser


@functools.cache
def _defaults_unlike_classes(cls: type) -> dict[str, Any]:
    """Return the defaults of a dataclass's sections that are not those of the sections' classes.

    The parser makes a section for which nothing is given from its class alone.
    """
    defaults = {}
    hints = typing.get_type_hints(cls)
    for field in dataclasses.fields(cls):
        section, default = hints[field.name], _default_of(field)
        if is_dataclass_type(section):
            is_made = default is not dataclasses.MISSING
            unlike = _unlike_class(default) if is_made else _defaults_unlike_classes(section)
            defaults.update({field.name: unlike} if unlike else {})
    return defaults


def _unlike_class(value: Any) -> dict[str, Any]:
    """Return the values of a dataclass's instance that are not the defaults of its class.

    A field that is a dataclass itself has a dictionary of such values, and is left out without any.
    A field without a default is always there.
    """
    values = {}
    hints = typing.get_type_hints(type(value))
    for field in dataclasses.fields(value):
        field_value = getattr(value, field.name)
        if is_dataclass_type(hints[field.name]):
            unlike = _unlike_class(field_value)
            values.update({field.name: unlike} if unlike else {})
        elif field_value != _default_of(field):
            values[field.name] = field_value
    return values


def _default_of(field: dataclasses.Field[Any]) -> Any:
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return field.default


def _merge(cls: type, defaults: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of a dataclass, and the defaults of those that are not given.

    Sections are merged; a mapping that is the value of one setting is replaced whole, as on the
    command line.

    Args:
        cls: The dataclass.
        defaults: The defaults by field.
        values: The values that are given, by field.
    """
    hints = typing.get_type_hints(cls)
    merged = {**defaults, **values}
    for name in defaults.keys() & values.keys():
        if is_dataclass_type(hints[name]) and isinstance(values[name], Mapping):
            merged[name] = _merge(hints[name], defaults[name], values[name])
    return merged


def _with_suggestion(text: str, cls: type) -> str:
    """Return a message with the settings of a dataclass that an unknown one in it may stand for.

    A message about anything else, or of a name that is like no setting, is returned as it is.
    """
    match = _UNKNOWN_SETTING.search(text)
    return f"{text}{did_you_mean(match[1], setting_names(cls))}" if match else text


def _whole_numbers(value: Any, name: str) -> Any:
    """Return nested values with integers in place of whole floats, and lists in place of tuples.

    kfp passes integers as floats. Whole floats of float fields become integers here, too, which
    does no harm, since such a field takes an integer. Floats of 2**63 or more, in absolute value,
    stay floats.

    Args:
        value: The values; they are not changed.
        name: Path of these values in the whole, for messages; empty for the whole.

    Raises:
        TypeError: An integer is 2**63 or more in absolute value, which no array and no file can
            hold.
    """
    if isinstance(value, Mapping):
        return {
            key: _whole_numbers(item, f"{name}.{key}" if name else f"{key}")
            for key, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [_whole_numbers(item, f"{name}[{index}]") for index, item in enumerate(value)]
    if isinstance(value, float) and value.is_integer() and abs(value) < _LARGEST:
        return int(value)
    if isinstance(value, int) and abs(value) >= _LARGEST:
        raise TypeError(
            f"{name}: got {describe_value(value)}, expected a number of at most 18 digits"
        )
    return value
