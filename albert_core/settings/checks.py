"""Checks of settings: each error names the setting, its value and what is expected.

Light on purpose (no jsonargparse): settings of the data side are checked on Beam workers, too.
"""

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Any, Literal

from albert_core.errors import InputError

_RANGES = {
    "both": "{low:g} to {high:g}",
    "left": "from {low:g} to below {high:g}",
    "neither": "between {low:g} and {high:g}",
}


def check_minimum(name: str, value: float, minimum: float) -> None:
    """Refuse a number below `minimum`, or NaN.

    `name` is the full name of the setting, for the message.

    Raises:
        InputError: "{name}: got {value}, expected {minimum} or more".
    """
    # Written as a negation so that NaN, which compares false with everything, is refused.
    if not value >= minimum:
        raise InputError(f"{name}: got {value}, expected {minimum} or more")


def check_at_least(settings: object, section: str = "", **minimums: float) -> None:
    """Refuse settings below their minimum; the first of several is told.

    Args:
        settings: The dataclass; fields that are None are not set and pass.
        section: Name of these settings in the configuration, for messages, such as "pretraining".
        **minimums: The smallest allowed value, by name of the field.

    Raises:
        InputError: A field is below its minimum, or NaN.
    """
    for name, minimum in minimums.items():
        value = getattr(settings, name)
        if value is not None:
            check_minimum(_full_name(section, name), value, minimum)


def check_positive(settings: object, section: str, *names: str) -> None:
    """Refuse settings that are not above zero.

    Args:
        settings: The dataclass; unlike in the other checks, its fields must not be None (a
            TypeError).
        section: Name of these settings in the configuration, for messages.
        *names: The fields to check.

    Raises:
        InputError: A field is zero, negative or NaN.
    """
    for name in names:
        value = getattr(settings, name)
        if not value > 0:
            raise InputError(f"{_full_name(section, name)}: got {value}, expected more than 0")


def check_between(
    settings: object,
    section: str,
    *names: str,
    low: float = 0.0,
    high: float = 1.0,
    inclusive: Literal["both", "left", "neither"] = "both",
    hint: str = "",
) -> None:
    """Refuse settings outside an interval.

    Args:
        settings: The dataclass; fields that are None are not set and pass.
        section: Name of these settings in the configuration, for messages.
        *names: The fields to check.
        low: Lower end of the interval.
        high: Upper end of the interval.
        inclusive: Which ends belong to the interval; `left` is `low` alone.
        hint: Added to the message in parentheses, such as "0.01 is one point".

    Raises:
        InputError: A field is outside, or NaN.
    """
    expected = _RANGES[inclusive].format(low=low, high=high) + (f" ({hint})" if hint else "")
    for name in names:
        value = getattr(settings, name)
        if value is None:
            continue
        above = value > low if inclusive == "neither" else value >= low
        below = value <= high if inclusive == "both" else value < high
        if not (above and below):
            raise InputError(f"{_full_name(section, name)}: got {value}, expected {expected}")


def check_seed(name: str, seed: int) -> None:
    """Refuse a negative seed, which numpy and the frameworks cannot take.

    Args:
        name: Full name of the setting, for the message.
        seed: Its value.

    Raises:
        InputError: It is negative.
    """
    check_minimum(name, seed, 0)


def check_distinct(name: str, values: Sequence[object]) -> None:
    """Refuse a list in which a value is equal to an earlier one.

    Args:
        name: Full name of the setting, for the message.
        values: Its values.

    Raises:
        InputError: "{name}: got {value} twice, expected each of them once".
    """
    for index, value in enumerate(values):
        if value in values[:index]:
            raise InputError(f"{name}: got {value} twice, expected each of them once")


def check_one_place(
    name: str, places: Iterable[tuple[object, object]], *, shared: str, expected: str
) -> None:
    """Refuse two places that have one key, such as two folders of one name.

    Args:
        name: Full name of the setting, or of the command, for the message.
        places: Key and address of each.
        shared: What both would have, before the key in the message, such as `named`.
        expected: The end of the message: what is expected, and the remedy.

    Raises:
        InputError: "{name}: got {place} and {place}, both {shared} {key}, {expected}".
    """
    first: dict[object, object] = {}
    for key, place in places:
        if key in first:
            raise InputError(
                f"{name}: got {first[key]} and {place}, both {shared} {key}, {expected}"
            )
        first[key] = place


def refuse_nulls(declaration: Any, what: str) -> None:
    """Refuse a null in a field whose default is not None, or that has none.

    A null would count as false where a truth value is expected.

    Args:
        declaration: A dataclass's object.
        what: What it is, the beginning of the message.

    Raises:
        InputError: There is such a null; names the first field that has one.
    """
    for field in dataclasses.fields(declaration):
        if getattr(declaration, field.name) is None and field.default is not None:
            raise InputError(
                f"{what}: got null as {field.name!r}, expected a value; leave the key out for its "
                "default"
            )


def _full_name(section: str, name: str) -> str:
    return f"{section}.{name}" if section else name
