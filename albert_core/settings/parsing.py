"""Plain values, from YAML or a pipeline's parameters, to validated settings."""

import ast
import collections.abc
import copy
import dataclasses
import functools
import re
import types
import typing
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

import jsonargparse

from albert_core.errors import InputError
from albert_core.settings.json_values import describe_value
from albert_core.settings.old_names import rename_settings
from albert_core.settings.suggestions import did_you_mean

Settings = TypeVar("Settings")

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
        raise InputError(f"{source}: {_with_suggestion(one_line(error), cls)}") from error
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
        if _is_dataclass(section):
            is_made = default is not dataclasses.MISSING
            unlike = _unlike_class(default) if is_made else _defaults_unlike_classes(section)
            defaults.update({field.name: unlike} if unlike else {})
    return defaults


def _is_dataclass(hint: Any) -> bool:
    return isinstance(hint, type) and dataclasses.is_dataclass(hint)


def _unlike_class(value: Any) -> dict[str, Any]:
    """Return the values of a dataclass's instance that are not the defaults of its class.

    A field that is a dataclass itself has a dictionary of such values, and is left out without any.
    A field without a default is always there.
    """
    values = {}
    hints = typing.get_type_hints(type(value))
    for field in dataclasses.fields(value):
        field_value = getattr(value, field.name)
        if _is_dataclass(hints[field.name]):
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
        if _is_dataclass(hints[name]) and isinstance(values[name], Mapping):
            merged[name] = _merge(hints[name], defaults[name], values[name])
    return merged


def texts_as_written(cls: type, values: Any, written: Any) -> Any:
    """Return the values of a YAML file in which texts are what stands in the file.

    YAML reads the words no and on as truth values, 1984 as a number and 2026-11-01 as a date; where
    the setting is a text, they are meant as they are written. A null stays one. What a merge (`<<`)
    makes stays as YAML reads it.

    Args:
        cls: The dataclass that the values are for.
        values: Its values by field; any other value is returned as it is.
        written: The same values with all scalars as text (`load_yaml_as_text`).
    """
    if not _are_alike(values, written):
        return values
    hints = typing.get_type_hints(cls)
    return {
        name: _as_written(hints.get(name), value, written[str(name)])
        if str(name) in written
        else value
        for name, value in values.items()
    }


def _as_written(hint: Any, value: Any, written: Any) -> Any:
    """Return one value with the texts in it as they stand in the file.

    `hint`, the type of the field, says where texts are meant: it is text itself, one of several
    texts, or a dataclass, tuple or mapping with such in it; or one of these or None. Any other
    value, and None, is returned as it is.
    """
    members = [kind for kind in typing.get_args(hint) if kind is not type(None)]
    if typing.get_origin(hint) in (typing.Union, types.UnionType) and len(members) == 1:
        hint = members[0]
    kinds = typing.get_args(hint)
    if _is_dataclass(hint):
        return texts_as_written(hint, value, written)
    if _is_sequence(hint) and isinstance(value, list) and isinstance(written, list):
        return [_as_written(kinds[0], *pair) for pair in zip(value, written, strict=True)]
    if typing.get_origin(hint) is collections.abc.Mapping and _are_alike(value, written):
        pairs = zip(value.values(), written.items(), strict=True)
        return {name: _as_written(kinds[1], item, text) for item, (name, text) in pairs}
    is_choice = typing.get_origin(hint) is typing.Literal
    is_text = hint is str or (is_choice and all(isinstance(kind, str) for kind in kinds))
    is_scalar = value is not None and isinstance(written, str)
    return written if is_text and is_scalar else value


def _are_alike(values: Any, written: Any) -> bool:
    """Return whether two values are mappings of as many keys; merges (`<<`) make them unlike."""
    are_mappings = isinstance(values, Mapping) and isinstance(written, Mapping)
    # A merge of a mapping of one key leaves their number as it is.
    return are_mappings and len(values) == len(written) and "<<" not in written


def plain_values(value: Any) -> Any:
    """Return nested mappings, lists and tuples as dicts and lists; anything else as it is.

    Entries of mappings that are None, which means not set, are left out; items of lists stay.
    """
    if isinstance(value, Mapping):
        return {key: plain_values(item) for key, item in value.items() if item is not None}
    if isinstance(value, list | tuple):
        return [plain_values(item) for item in value]
    return value


_TYPE_NAMES = {
    "<class 'str'>": "text",
    "<class 'int'>": "whole number",
    "<class 'float'>": "number",
    "<class 'bool'>": "truth value (true or false)",
    "<class 'tuple'>": "list",
    "<class 'collections.abc.Mapping'>": "mapping",
    "<class 'NoneType'>": "null",
}
_NO_KINDS = ("", "null")  # beside the values that a type lists
_KEY = re.compile(r"^Parser key \"([^\"]+)\": (?!.*Parser key)")
_CHOICES = re.compile(r"typing\.Literal(\[[^]]*\])")
_WRONG_CHOICE = re.compile(rf"Expected a {_CHOICES.pattern}\. Got value: (.*)$")
_WRONG_TYPE = re.compile(r"Expected an? ([^.]+)\. Got value: (.*)$")
_WRONG_UNION = re.compile(
    r"Does not validate against any of the Union subtypes Subtypes: \[(.*?)\] Errors: .* "
    r"Given value type: .* Given value: (.*)$"
)
_UNKNOWN_FIELD = re.compile(r"Problem with given class_path '\S+': Option '(\w+)' is not accepted")
_UNKNOWN_SETTING = re.compile(r"does not accept option '([\w.]+)'")


def one_line(error: Exception) -> str:
    """Return an error of jsonargparse in one line, without the prefix of `parse_settings`.

    It says what was got and what was expected; Python's types are called as in YAML. A value that
    is nearly one of a few possible ones is followed by the one that may be meant.
    """
    text = " ".join(str(error).split())
    for name, shown in _TYPE_NAMES.items():
        text = text.replace(name, shown)
    text = text.replace("settings.", "").replace("Group 'settings'", "This")
    text = _KEY.sub(r"\1: ", text)
    text = _UNKNOWN_FIELD.sub(r"does not accept option '\1'", text)
    text = _WRONG_CHOICE.sub(_describe_choice, text)
    text = _WRONG_UNION.sub(_describe_union, text)
    return _WRONG_TYPE.sub(r"got \2, expected a \1", text)


def _describe_choice(match: re.Match[str]) -> str:
    """Return the error for a value that is none of a few possible ones."""
    choices = [str(choice) for choice in ast.literal_eval(match[1])]
    return f"got {match[2]}, expected one of {', '.join(choices)}{did_you_mean(match[2], choices)}"


def _describe_union(match: re.Match[str]) -> str:
    """Return the error for a value that is of none of several types."""
    if choices := _CHOICES.search(match[1]):
        text = _WRONG_CHOICE.sub(
            _describe_choice, f"Expected a {choices[0]}. Got value: {match[2]}"
        )
        others = [kind for kind in _CHOICES.sub("", match[1]).split(", ") if kind not in _NO_KINDS]
        return text.replace("expected ", f"expected a {' or a '.join(others)}, or ", bool(others))
    kinds = " or ".join(kind if kind == "null" else f"a {kind}" for kind in match[1].split(", "))
    return f"got {match[2]}, expected {kinds}"


def _with_suggestion(text: str, cls: type) -> str:
    """Return a message with the settings of a dataclass that an unknown one in it may stand for.

    A message about anything else, or of a name that is like no setting, is returned as it is.
    """
    match = _UNKNOWN_SETTING.search(text)
    return f"{text}{did_you_mean(match[1], setting_names(cls))}" if match else text


def setting_names(cls: type, prefix: str = "") -> Iterator[str]:
    """Yield the dotted names of a dataclass's fields, and of those of the dataclasses in it.

    Args:
        cls: The dataclass.
        prefix: Dotted name of the section that it is, with a dot at the end; empty at the top.
    """
    for name, hint in typing.get_type_hints(cls).items():
        yield f"{prefix}{name}"
        if section := _find_section(hint):
            yield from setting_names(section, f"{prefix}{name}.")


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
        section = _find_section(hint)
        if value is None and section is not None and not _takes_null(hint):
            continue
        if value is None and not _takes_null(hint):
            raise InputError(
                f"{source}: got null as {path!r}, expected a value; leave the key out for its "
                "default"
            )
        if section is None or value is None:
            settled[field] = value
        elif isinstance(value, list | tuple) and _is_sequence(hint):
            settled[field] = [
                settle_nulls(section, item, source=source, name=f"{path}[{index}]")
                for index, item in enumerate(value)
            ]
        else:
            settled[field] = settle_nulls(section, value, source=source, name=path)
    return settled


def _find_section(hint: Any) -> type | None:
    """Return the dataclass in a type: itself, a sequence's items or a union's member; else None.

    A mapping of dataclasses is such another type.
    """
    members = () if typing.get_origin(hint) is collections.abc.Mapping else typing.get_args(hint)
    kinds = (hint, *members)
    return next((kind for kind in kinds if _is_dataclass(kind)), None)


def _takes_null(hint: Any) -> bool:
    """Return whether None is a value of a type; it is of a type that is not known."""
    return hint is Any or type(None) in typing.get_args(hint)


def _is_sequence(hint: Any) -> bool:
    return typing.get_origin(hint) in (tuple, list, collections.abc.Sequence)


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
