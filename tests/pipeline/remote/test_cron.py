"""Cron expressions that both platforms read in the same way, and those they would not."""

import pytest

from albert_core.errors import InputError
from pipeline.remote.cron import CronSchedule


@pytest.mark.parametrize(
    "cron",
    ["* * * * *", "0 3 * * 1", "*/15 0-6 1,15 jan-mar MON-FRI", "59 23 31 12 6", "0-30/10 * * * *"],
)
def test_what_both_platforms_understand(cron):
    assert CronSchedule(cron=cron).fields == cron


@pytest.mark.parametrize(
    ("cron", "said"),
    [
        ("0 0 3 * * 1", "with 6 fields, expected five"),
        ("@daily", "with 1 fields"),
        ("60 3 * * 1", "got '60' for the minute"),
        ("0 24 * * 1", "got '24' for the hour"),
        ("0 3 0 * 1", "for the day of month"),
        ("0 3 * 13 1", "for the month"),
        ("0 3 * * 7", "got '7' for the day of week in '0 3 * * 7', expected *, 0 to 6 or sun to"),
        ("0 3 * * ?", "got '?'"),
        ("0 3 * * fri-mon", "got 'fri-mon'"),
        ("*/0 3 * * 1", "got '*/0'"),
        ("5/10 3 * * 1", "got '5/10'"),
        ("*-5 3 * * 1", "got '*-5'"),
        ("1,,2 3 * * 1", "got ''"),
    ],
)
def test_what_they_would_not(cron, said):
    with pytest.raises(InputError) as caught:
        CronSchedule(cron=cron)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    "zone",
    ["Europe/Atlantis", "", "../etc", "localtime", "posix/Europe/Rome", "right/UTC", "Factory"],
)
def test_a_time_zone_that_is_none(zone):
    with pytest.raises(InputError, match="time_zone: got"):
        CronSchedule(cron="0 3 * * 1", time_zone=zone)


@pytest.mark.parametrize(
    "cron",
    ["0 3 31 2 *", "0 3 30,31 feb *", "0 3 31 4,6,9,11 *", "0 3 31 2-2 *"],
)
def test_days_that_no_month_has(cron):
    with pytest.raises(InputError, match="expected a day that there is"):
        CronSchedule(cron=cron)


@pytest.mark.parametrize(
    "cron",
    ["0 3 29 2 *", "0 3 31 * *", "0 3 31 2-3 *", "0 3 31 2 mon", "0 3 1-31 2 *", "0 3 */30 2 *"],
)
def test_days_that_some_month_or_week_has(cron):
    assert CronSchedule(cron=cron).fields == cron
