"""When a schedule runs: five fields of cron and a time zone, as either platform wants them."""

import dataclasses
import re
import zoneinfo

from albert_core.errors import InputError

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Field:
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
_ITEM = re.compile(r"(?P<first>\*|\w+)(-(?P<last>\w+))?(/(?P<step>\d+))?")


@dataclasses.dataclass(frozen=True, kw_only=True)
class CronSchedule:
    """Times by the clock of a place.

    Both platforms read numbers, names (`mon`, `jan`), lists, ranges and steps in the same way.

    Attributes:
        cron: Minute, hour, day of month, month, day of week (0 to 6, 0 is Sunday).
        time_zone: Name in the IANA database, such as `Europe/Rome`.
    """

    cron: str
    time_zone: str = "UTC"

    def __post_init__(self) -> None:
        fields = self.cron.split()
        if len(fields) != len(_FIELDS):
            raise InputError(
                f"cron: got {self.cron!r} with {len(fields)} fields, expected five: minute, hour, "
                "day of month, month, day of week, as in '0 3 * * 1' (Mondays at 3:00)"
            )
        for field, text in zip(_FIELDS, fields, strict=True):
            for item in text.split(","):
                _check_item(field, item, self.cron)
        try:
            zoneinfo.ZoneInfo(self.time_zone)
        except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise InputError(
                f"time_zone: got {self.time_zone!r}, expected a name such as UTC or Europe/Rome"
            ) from error

    def for_vertex(self) -> str:
        """Return it as Vertex AI writes it: five fields after the time zone."""
        return f"TZ={self.time_zone} {self._fields()}"

    def for_kubeflow(self, server_time_zone: str) -> str:
        """Return it as Kubeflow writes it: six fields, seconds first, by the server's clock.

        Args:
            server_time_zone: Time zone of the cluster's scheduler, one for all schedules.

        Raises:
            InputError: The schedule is by another clock.
        """
        if self.time_zone != server_time_zone:
            raise InputError(
                f"time_zone: got {self.time_zone}, expected {server_time_zone}, by which the "
                "Kubeflow server schedules; give the times in that zone, or set "
                "CRON_SCHEDULE_TIMEZONE of its scheduled-workflow controller and name it in "
                "kubeflow.time_zone"
            )
        return f"0 {self._fields()}"

    def _fields(self) -> str:
        return " ".join(self.cron.split())


def _check_item(field: _Field, item: str, cron: str) -> None:
    """Refuse one item of a field that the platforms do not read, or read in different ways."""
    match = _ITEM.fullmatch(item)
    if match is None or not _is_understood(field, match):
        names = f" or {field.names[0]} to {field.names[-1]}" if field.names else ""
        raise InputError(
            f"cron: got {item!r} for the {field.name} in {cron!r}, expected *, {field.lowest} to "
            f"{field.highest}{names}, ranges (1-5), lists (1,3) or steps (*/2)"
        )


def _is_understood(field: _Field, match: re.Match[str]) -> bool:
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
    if text.lower() in field.names:
        return field.lowest + field.names.index(text.lower())
    is_value = text.isdecimal() and field.lowest <= int(text) <= field.highest
    return int(text) if is_value else None
