"""When a schedule runs: five fields of cron and a time zone, checked for all platforms."""

import dataclasses
import re
import zoneinfo

from albert_core.errors import InputError

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Field:
    """A field of cron: its name, its smallest and largest value, and names for its values."""

    name: str
    lowest: int
    highest: int
    names: tuple[str, ...] = ()  # of the values from `lowest` on


_FIELDS = (
    _Field(name="minute", lowest=0, highest=59),
    _Field(name="hour", lowest=0, highest=23),
    _Field(name="day of month", lowest=1, highest=31),
    _Field(name="month", lowest=1, highest=12, names=_MONTHS),
    _Field(name="day of week", lowest=0, highest=6, names=_DAYS),
)
_DAYS_IN_MONTH = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
# In the database of zones of a machine, and no names of places: `posix/Europe/Rome`.
_OF_THE_MACHINE = {"", "localtime", "Factory", "posixrules", "posix", "right", "zone.tab"}
_ITEM = re.compile(r"(?P<first>\*|\w+)(-(?P<last>\w+))?(/(?P<step>\d+))?")


@dataclasses.dataclass(frozen=True, kw_only=True)
class CronSchedule:
    """Times by the clock of a time zone.

    Only expressions that all platforms read in the same way are accepted: numbers, names (`mon`,
    `jan`), lists, ranges, and steps of `*` or of ranges. Any other, a day that no month has, and an
    unknown zone raise InputError.

    Attributes:
        cron: Minute, hour, day of month, month, day of week (0 to 6, 0 is Sunday).
        time_zone: Name in the IANA database, such as `Europe/Rome`.
    """

    cron: str
    time_zone: str = "UTC"

    def __post_init__(self) -> None:
        """Refuse expressions that the platforms do not read alike, and unknown time zones.

        Raises:
            InputError: There are not five fields, a field is refused, no month of those given has
                a day of those given, or the zone is unknown.
        """
        fields = self.cron.split()
        if len(fields) != len(_FIELDS):
            raise InputError(
                f"cron: got {self.cron!r} with {len(fields)} fields, expected five: minute, hour, "
                "day of month, month, day of week, as in '0 3 * * 1' (Mondays at 3:00)"
            )
        for field, text in zip(_FIELDS, fields, strict=True):
            for item in text.split(","):
                _check_item(field, item, self.cron)
        _refuse_impossible_day(*fields[2:], cron=self.cron)
        check_time_zone("time_zone", self.time_zone)

    @property
    def fields(self) -> str:
        """The five fields, separated by single spaces."""
        return " ".join(self.cron.split())


def check_time_zone(setting: str, name: str) -> None:
    """Refuse a time zone that only this machine knows (_OF_THE_MACHINE), or nobody.

    Raises:
        InputError: No zone of that name is in the database, or it is this machine's own.
    """
    if name in _OF_THE_MACHINE or name.partition("/")[0] in _OF_THE_MACHINE:
        raise InputError(
            f"{setting}: got {name!r}, which every machine takes for another; expected a name such "
            "as UTC or Europe/Rome"
        )
    try:
        zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise InputError(
            f"{setting}: got {name!r}, expected a name such as UTC or Europe/Rome"
        ) from error


def _refuse_impossible_day(days: str, months: str, weekdays: str, *, cron: str) -> None:
    """Refuse days that none of the months has: the schedule would never run.

    With days of the week, too, either one counts, and nothing is refused.

    Args:
        days: The field of the days of the month, checked.
        months: The field of months, already checked.
        weekdays: The field of the days of the week.
        cron: The whole expression, for the message.

    Raises:
        InputError: The smallest day is beyond the longest of the months.
    """
    day_field, month_field = _FIELDS[2:4]
    longest = max(_DAYS_IN_MONTH[month - 1] for month in _values(month_field, months))
    if weekdays == "*" and min(_values(day_field, days)) > longest:
        raise InputError(
            f"cron: got the day of month {days!r} in the month {months!r} in {cron!r}, expected a "
            "day that there is"
        )


def _values(field: _Field, text: str) -> set[int]:
    """Return the values that a field stands for; its items must have been checked."""
    values: set[int] = set()
    for match in filter(None, map(_ITEM.fullmatch, text.split(","))):
        first, last = field.lowest, field.highest
        if match["first"] != "*":
            first = _value(field, match["first"]) or first
            last = (_value(field, match["last"]) or last) if match["last"] else first
        values.update(range(first, last + 1, int(match["step"] or 1)))
    return values


def _check_item(field: _Field, item: str, cron: str) -> None:
    """Refuse one item of a field that the platforms do not read, or read in different ways.

    Args:
        field: The field.
        item: A value, a range or a step: what is between the commas of a list.
        cron: The whole expression, for the message.

    Raises:
        InputError: The item has no form that all platforms know, or an impossible value.
    """
    match = _ITEM.fullmatch(item)
    if match is None or not _is_understood(field, match):
        names = f" or {field.names[0]} to {field.names[-1]}" if field.names else ""
        raise InputError(
            f"cron: got {item!r} for the {field.name} in {cron!r}, expected *, {field.lowest} to "
            f"{field.highest}{names}, ranges (1-5), lists (1,3) or steps (*/2)"
        )


def _is_understood(field: _Field, match: re.Match[str]) -> bool:
    """Return whether the platforms agree on an item of a field that `_ITEM` matches.

    They do not on a value that the field has not, a step of 0, a range that begins with `*` or
    runs backwards (`fri-mon`), and a step of a single value (`5/10`), which means "from 5 on" to
    some.
    """
    if match["step"] is not None and int(match["step"]) == 0:
        return False
    if match["first"] == "*":
        return match["last"] is None
    first = _value(field, match["first"])
    if match["last"] is None:
        return first is not None and match["step"] is None
    last = _value(field, match["last"])
    return first is not None and last is not None and first <= last


def _value(field: _Field, text: str) -> int | None:
    """Return the number of a value in a field, given as digits or as a name (`MON`) in any case.

    None if it is out of the field's range or no value at all.
    """
    if text.lower() in field.names:
        return field.lowest + field.names.index(text.lower())
    is_value = text.isdecimal() and field.lowest <= int(text) <= field.highest
    return int(text) if is_value else None
