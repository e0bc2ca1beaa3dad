"""Texts of a YAML file as they are written in it, whatever YAML takes them for."""

import collections.abc
import types
import typing
from collections.abc import Mapping
from typing import Any

from albert_core.settings.field_types import is_dataclass_type, is_sequence


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
    if is_dataclass_type(hint):
        return texts_as_written(hint, value, written)
    if is_sequence(hint) and isinstance(value, list) and isinstance(written, list):
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
