"""Dates in settings, where `{{ds}}` stands for the date of the run, as in Airflow."""

import datetime
import re
from collections.abc import Mapping
from typing import Any, TypeVar

from albert_core.errors import InputError

DATE_PLACEHOLDER = "{{ds}}"
NO_DATE = "none"

_Text = TypeVar("_Text", str, tuple[str, ...])


def today() -> str:
    """Return today's date in UTC, YYYY-MM-DD."""
    return datetime.datetime.now(datetime.UTC).date().isoformat()


def parse_date(text: str) -> str:
    """Return the date, YYYY-MM-DD, of a date or an ISO time; what follows the T is not checked.

    Raises:
        InputError: The text is neither, such as a placeholder that no platform has replaced.
    """
    date = re.match(r"\d{4}-\d{2}-\d{2}(?=T|$)", text)
    try:
        return datetime.date.fromisoformat(date[0] if date else text).isoformat()
    except ValueError as error:
        raise InputError(
            f"date: got {text!r}, expected YYYY-MM-DD, for example {today()}"
        ) from error


def with_date(value: _Text, date: str) -> _Text:
    """Return a text, or a tuple of texts, with the date in place of every `{{ds}}`.

    Args:
        value: The text or texts; those of a list are returned as a tuple.
        date: What to write; not checked.
    """
    if isinstance(value, str):
        return value.replace(DATE_PLACEHOLDER, date)
    return tuple(with_date(item, date) for item in value)


def has_date(value: Any) -> bool:
    """Return whether there is a `{{ds}}` in a value, however deep in lists, tuples and mappings.

    Keys of mappings are not looked at.
    """
    if isinstance(value, Mapping):
        return any(has_date(item) for item in value.values())
    if isinstance(value, list | tuple):
        return any(has_date(item) for item in value)
    return isinstance(value, str) and DATE_PLACEHOLDER in value
