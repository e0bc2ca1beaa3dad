"""The table of platforms: what it takes for the commands to know one."""

import inspect
from typing import get_args

import pytest

from pipeline.remote.platforms.registry import PLATFORMS, PlatformName, connect, connect_for_run


def test_the_command_line_takes_the_platforms_of_the_table():
    assert get_args(PlatformName) == tuple(PLATFORMS)


@pytest.mark.parametrize("name", PLATFORMS)
def test_every_platform_has_its_name_and_options_of_that_name(name):
    assert PLATFORMS[name].rules.name == name
    for function in (connect, connect_for_run):
        assert name in inspect.signature(function).parameters


def test_a_schedule_s_date_tells_platforms_apart():
    """A placeholder of another platform would reach the steps as it is."""
    dates = [platform.rules.scheduled_date for platform in PLATFORMS.values()]
    assert len(set(dates)) == len(dates)
