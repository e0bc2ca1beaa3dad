"""JSON values as what their fields are: texts, truth values, whole numbers, lists.

Python takes any value for text (`str(None)` is "None") and any text for true (`bool("False")`), so
that files with mistakes would be trained on without a word. Readers of JSON go through here.
"""

import dataclasses
import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from albert_core.errors import InputError
from albert_core.files.atomic import read_regular_file

_TRUTH_VALUES = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
_MAX_SHOWN = 40  # characters of a value in a message
_MAX_DIGITS = 300  # of a whole number: longer ones do not fit into a float


class FieldError(InputError):
    """A field is missing or holds something else; `is_missing` tells which."""

    def __init__(self, message: str, *, is_missing: bool = False) -> None:
        super().__init__(message)
        self.is_missing = is_missing


def parse_json(text: str | bytes, place: str, *, expected: str = "") -> Any:
    """Return the value that a JSON text holds.

    NaN and Infinity are taken for numbers, and of a key that an object has twice the last counts.

    Args:
        text: The text, or its bytes in UTF-8 (or UTF-16 or UTF-32).
        place: Where it is, the beginning of messages.
        expected: What should be there, the end of messages; empty for nothing.

    Raises:
        InputError: It is not JSON, not UTF-8, nested too deeply, or has a number of over 4,300
            digits.
    """
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        end = f"; expected {expected}" if expected else ""
        raise InputError(f"{place}: not JSON ({error}){end}") from error


def read_json_object(path: Path) -> dict[str, Any]:
    """Return the JSON object in a file; if a key is there twice, the last one counts.

    Raises:
        InputError: The file is missing, cannot be read, is not JSON, or holds no object.
    """
    values = parse_json(read_regular_file(path), str(path), expected="a JSON object")
    return dict(JsonObject.of(values, str(path)).values)


def describe_value(value: Any) -> str:
    """Describe a JSON value for messages: `null`, `the number 12`, `the text 'a'`, `a list`.

    A text of up to 40 characters is quoted; of a longer text the first 40 and an ellipsis are
    shown, without quotes, and so are those of a number of more characters. For any other value its
    type is told.
    """
    if value is None:
        return "null"
    if isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, str):
        is_long = len(value) > _MAX_SHOWN
        shown = f"{value[:_MAX_SHOWN]}…" if is_long else repr(value)
        return f"the text {shown.encode(errors='backslashreplace').decode()}"
    if isinstance(value, int | float):
        number = str(value)
        shown = number if len(number) <= _MAX_SHOWN else f"{number[:_MAX_SHOWN]}…"
        return "NaN" if value != value else f"the number {shown}"
    kinds: Mapping[type, str] = {list: "a list", tuple: "a list", dict: "an object"}
    return kinds.get(type(value), f"a value of type {type(value).__name__}")


def as_text(value: Any, field: str, *, takes_halves: bool = False) -> str:
    """Return a value that is a text as it is; refuse any other.

    Args:
        value: Any value of JSON.
        field: What it is, for messages.
        takes_halves: Whether a text may hold half of a pair of surrogates, which JSON can write as
            an escape. It is no character, and neither files nor tokenizers can hold it.

    Raises:
        FieldError: The value is no text. Numbers are none either: what a number's words are is not
            for a reader to guess.
    """
    if not isinstance(value, str):
        raise _refusal(value, field, "text")
    if not takes_halves and has_lone_surrogate(value):
        raise _refusal(value, field, "text without half characters (lone surrogates)")
    return value


def has_lone_surrogate(text: str) -> bool:
    """Return whether a text holds half of a pair of surrogates, which is no character."""
    return not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text)


def as_id(value: Any, field: str) -> str:
    """Return an id, a text or a whole number, as text.

    Raises:
        FieldError: The value is neither, or a text with half a character (a lone surrogate).
    """
    is_number = isinstance(value, int) and not isinstance(value, bool)
    if not is_number and not isinstance(value, str):
        raise _refusal(value, field, "text or a whole number")
    return str(value) if is_number else as_text(value, field)


def as_bool(value: Any, field: str) -> bool:
    """Return a truth value, written as true, false, 1, 0, or as one of six texts.

    The texts are `true`, `false`, `yes`, `no`, `1` and `0`, in any case of letters, also between
    blanks; the numbers may be 1.0 and 0.0.

    Raises:
        FieldError: The value is none of these.
    """
    if isinstance(value, bool):
        return value
    if isinstance(value, int | float) and value in (0, 1):
        return bool(value)
    known = _TRUTH_VALUES.get(value.strip().lower()) if isinstance(value, str) else None
    if known is None:
        raise _refusal(value, field, "true or false")
    return known


def as_integer(value: Any, field: str) -> int:
    """Return a whole number, written as 5, 5.0 or "5", the text also with a minus or blanks.

    Raises:
        FieldError: The value is no such number, or has over 300 digits; true and false are none.
    """
    if isinstance(value, float) and value.is_integer() and _is_short(value):
        return int(value)
    is_written = isinstance(value, str) and value.strip().removeprefix("-").isdecimal()
    if is_written and len(value) <= _MAX_DIGITS:
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or not _is_short(value):
        raise _refusal(value, field, "a whole number")
    return value


def as_number(value: Any, field: str) -> float:
    """Return a finite number as a float.

    Raises:
        FieldError: The value is none, or is 1e300 or more in size; texts, true, false and NaN are
            none.
    """
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not _is_short(value):  # NaN is not short: it compares as false
        raise _refusal(value, field, "a number")
    return float(value)


def as_list(value: Any, field: str) -> list[Any]:
    """Return a new list of the items of a list or tuple.

    Raises:
        FieldError: The value is neither.
    """
    if not isinstance(value, list | tuple):
        raise _refusal(value, field, "a list")
    return list(value)


def as_texts(value: Any, field: str, *, takes_halves: bool = False) -> list[str]:
    """Return the texts of a list or tuple as a list.

    Args:
        value: Any value of JSON.
        field: What it is, for messages, in which each item has its number, from 0.
        takes_halves: Whether a text may hold half of a pair of surrogates.

    Raises:
        FieldError: The value is no list, or something in it is no text, or one with half a pair of
            surrogates that is not taken.
    """
    items = as_list(value, field)
    return [
        as_text(item, f"{field}[{index}]", takes_halves=takes_halves)
        for index, item in enumerate(items)
    ]


def label_spellings(value: Any, field: str) -> tuple[str, ...]:
    """Return the texts that a label may be written as, in this order.

    A text has one, itself; a truth value two (`true`, `True`); a whole float two (`1.0`, `1`), and
    any other number one.

    Raises:
        FieldError: The value is null, NaN, infinite, a list or an object, a whole number of over
            300 digits, or a text with half a character.
    """
    if isinstance(value, str):
        return (as_text(value, field),)
    if isinstance(value, bool):
        return (json.dumps(value), str(value))
    if isinstance(value, int) and _is_short(value):
        return (str(value),)
    if isinstance(value, float) and math.isfinite(value):
        is_whole = value.is_integer()
        return tuple(dict.fromkeys([str(value), *([str(int(value))] if is_whole else [])]))
    raise _refusal(value, field, "text or a number")


@dataclasses.dataclass(frozen=True)
class JsonObject:
    """A JSON object with its place in a file, whose fields are read by their types.

    Every method that returns a field raises `FieldError` if it is missing or something else, with
    place, field, what was got and what was expected; those with a default raise none where it is
    missing.

    Attributes:
        values: Its fields.
        place: File and place in it, the beginning of messages.
    """

    values: Mapping[str, Any]
    place: str

    @classmethod
    def of(cls, value: Any, place: str) -> "JsonObject":
        """Return a value that is an object; any other raises FieldError."""
        if not isinstance(value, Mapping):
            raise FieldError(f"{place}: got {describe_value(value)}, expected an object")
        return cls(value, place)

    def __contains__(self, name: str) -> bool:
        return name in self.values

    def at(self, place: str) -> "JsonObject":
        """Return the same object under another place."""
        return dataclasses.replace(self, place=place)

    def value(self, name: str) -> Any:
        """Return a field as it is.

        Raises:
            FieldError: There is none of the name; the message lists the fields there are.
        """
        if name not in self.values:
            fields = ", ".join(self.values) or "nothing"
            raise FieldError(f"{self.place}: got no {name!r}, only {fields}", is_missing=True)
        return self.values[name]

    def text(self, name: str) -> str:
        """Return a field that is a text; FieldError if it is missing or something else."""
        return as_text(self.value(name), self._field(name))

    def id(self, name: str) -> str:
        """Return an id, a text or a whole number, as text; FieldError for all else or nothing."""
        return as_id(self.value(name), self._field(name))

    def truth(self, name: str, default: bool) -> bool:
        """Return a truth value as `as_bool` does; the default where the field is missing.

        Raises FieldError if it is something else.
        """
        return as_bool(self.values.get(name, default), self._field(name))

    def integer(self, name: str, default: int) -> int:
        """Return a whole number as `as_integer` does; the default where the field is missing.

        Raises FieldError if it is something else.
        """
        return as_integer(self.values.get(name, default), self._field(name))

    def items(self, name: str) -> list[Any]:
        """Return a field that is a list; FieldError if it is missing or something else."""
        return as_list(self.value(name), self._field(name))

    def texts(self, name: str) -> list[str]:
        """Return a field that is a list of texts; FieldError if it is missing or something else."""
        return as_texts(self.value(name), self._field(name))

    def objects(self, name: str) -> "Iterator[JsonObject]":
        """Yield the objects of a list, each with its number, from 0, in its place.

        FieldError if the field is missing or no list, or when something else than an object is
        reached.
        """
        for index, item in enumerate(as_list(self.value(name), self._field(name))):
            yield JsonObject.of(item, f"{self.place}, {name}[{index}]")

    def _field(self, name: str) -> str:
        return f"{self.place}: {name}"


def _is_short(number: float) -> bool:
    """Return whether a whole number has so few digits that it can be taken for a float."""
    return abs(number) < 10**_MAX_DIGITS


def _refusal(value: Any, field: str, expected: str) -> FieldError:
    place, _, name = field.rpartition(": ")
    message = f"got {describe_value(value)} as {name!r}, expected {expected}"
    return FieldError(f"{place}: {message}" if place else message)
