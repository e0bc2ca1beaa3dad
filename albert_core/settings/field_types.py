"""What the type of a setting says: whether it is a section, a sequence, or may be null."""

import collections.abc
import dataclasses
import typing
from collections.abc import Iterator
from typing import Any


def is_dataclass_type(hint: Any) -> bool:
    """Return whether a type is a dataclass: the setting is a section then."""
    return isinstance(hint, type) and dataclasses.is_dataclass(hint)


def find_section(hint: Any) -> type | None:
    """Return the dataclass in a type: itself, a sequence's items or a union's member; else None.

    A mapping of dataclasses is such another type.
    """
    members = () if typing.get_origin(hint) is collections.abc.Mapping else typing.get_args(hint)
    kinds = (hint, *members)
    return next((kind for kind in kinds if is_dataclass_type(kind)), None)


def takes_null(hint: Any) -> bool:
    """Return whether None is a value of a type; it is of a type that is not known."""
    return hint is Any or type(None) in typing.get_args(hint)


def is_sequence(hint: Any) -> bool:
    """Return whether a type is a tuple, a list or any other sequence of its items' type."""
    return typing.get_origin(hint) in (tuple, list, collections.abc.Sequence)


def setting_names(cls: type, prefix: str = "") -> Iterator[str]:
    """Yield the dotted names of a dataclass's fields, and of those of the dataclasses in it.

    Args:
        cls: The dataclass.
        prefix: Dotted name of the section that it is, with a dot at the end; empty at the top.
    """
    for name, hint in typing.get_type_hints(cls).items():
        yield f"{prefix}{name}"
        if section := find_section(hint):
            yield from setting_names(section, f"{prefix}{name}.")
