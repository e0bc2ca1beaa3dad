"""The options of a command as its help and its completions show them."""

import dataclasses
import typing
from collections.abc import Iterator, Mapping
from typing import Any

import jsonargparse

from albert_core.settings import plain_values
from albert_core.settings.yaml_text import to_flow_yaml

# Short names of options, in the commands that have these.
ALIASES = {
    "--corpus": "--corpus.files",
    "--checkpoint": "--checkpoint.path",
    "--albert_config": "--checkpoint.albert_config",
    "--lower_case": "--checkpoint.lower_case",
    "--strip_accents": "--checkpoint.strip_accents",
}
_TYPE_WORDS = {str: "TEXT", int: "INTEGER", float: "NUMBER"}
_MOST_CHOICES_COLUMNS = 45
TRUTH_CHOICES = ("true", "false")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Option:
    """An option, or an argument without a name.

    Attributes:
        dest: Its dotted name, without dashes before it.
        hint: The type of its value.
        default: Its default; None if it has none.
        is_required: Whether it must be given.
        is_named: Whether it is an option, with `--` before its name.
        text: What it is for, in a line.
    """

    dest: str
    hint: Any
    default: Any
    is_required: bool
    is_named: bool
    text: str

    @property
    def name(self) -> str:
        """How it is written on the command line."""
        return f"--{self.dest}" if self.is_named else self.dest

    @property
    def section(self) -> str:
        """Dotted name of the section that it is a setting of; empty if it is in none."""
        return self.dest.rpartition(".")[0] if self.is_named else ""

    @property
    def is_switch(self) -> bool:
        """Whether it is a truth value, which may be given without one."""
        return is_truth_value(self.hint)

    @property
    def choices(self) -> tuple[str, ...]:
        """The values that it may have, or that each of its values may have; empty for any value."""
        return TRUTH_CHOICES if self.is_switch else tuple(map(str, _literals(self.hint)))

    @property
    def takes_several(self) -> bool:
        """Whether it takes several values, separated by commas."""
        return typing.get_origin(_without_none(self.hint)) is tuple

    @property
    def placeholder(self) -> str:
        """The placeholder of its value in the help: its choices if they are short, or its kind.

        Empty for a truth value; `CHOICE` for choices that are too long to be listed.
        """
        if self.is_switch:
            return ""
        hint = _without_none(self.hint)
        if self.choices:
            listed = f"{{{','.join(self.choices)}}}"
            shown = listed if len(listed) <= _MOST_CHOICES_COLUMNS else "CHOICE"
            return shown + ",..." * self.takes_several
        if self.takes_several:
            return f"{_type_word(typing.get_args(hint)[0])},..."
        return _type_word(hint)

    @property
    def shown_default(self) -> str:
        """Its default as it would be typed; empty if it has none, or an empty one."""
        if self.is_required or self.default in ("", None, [], {}, ()):
            return ""
        return (
            self.default
            if isinstance(self.default, str)
            else to_flow_yaml(plain_values(self.default))
        )


def find_options(parser: jsonargparse.ArgumentParser) -> Iterator[Option]:
    """Yield the options and arguments of a parser, without its help and its sections."""
    for action in parser._actions:
        if hasattr(action, "_typehint"):
            yield Option(
                dest=action.dest,
                hint=action._typehint,
                default=action.default,
                is_required=bool(action.required),
                is_named=bool(action.option_strings),
                text=action.help or "",
            )


def find_sections(parser: jsonargparse.ArgumentParser) -> Mapping[str, str]:
    """Return the descriptions of a parser's sections, by their dotted names."""
    return {name: group.title or "" for name, group in (parser.groups or {}).items()}


def is_truth_value(hint: Any) -> bool:
    """Return whether a type is that of truth values, or of these and None."""
    return hint in (bool, bool | None)


def dataclass_of(hint: Any) -> type | None:
    """Return the dataclass that a type is a tuple of; None for any other type."""
    items = typing.get_args(hint) if typing.get_origin(hint) is tuple else ()
    return next(
        (item for item in items if isinstance(item, type) and dataclasses.is_dataclass(item)), None
    )


def _literals(hint: Any) -> tuple[Any, ...]:
    """Return the values that a type lists, by itself, beside None or for the items of a tuple.

    An empty tuple for any other type, also for a union of values and another type.
    """
    hint = _without_none(hint)
    if typing.get_origin(hint) is tuple:
        hint = typing.get_args(hint)[0]
    return typing.get_args(hint) if typing.get_origin(hint) is typing.Literal else ()


def _without_none(hint: Any) -> Any:
    """Return the type that a type is beside None; any other type as it is."""
    kinds = [kind for kind in typing.get_args(hint) if kind is not type(None)]
    is_optional = type(None) in typing.get_args(hint) and len(kinds) == 1
    return kinds[0] if is_optional else hint


def _type_word(hint: Any) -> str:
    """Return the word for a type in the help, such as INTEGER.

    `{...}` stands for a dataclass and YAML for any type without a word; words and values of a union
    with values are separated by bars, as in `INTEGER|auto`.
    """
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        return "{...}"
    kinds = typing.get_args(hint)
    if values := [str(value) for kind in kinds for value in _literals(kind)]:
        return "|".join([_TYPE_WORDS[kind] for kind in kinds if kind in _TYPE_WORDS] + values)
    return _TYPE_WORDS.get(hint, "YAML")
