"""How numbers are written for people."""

import doctest
import math

import pytest

from components import number_formats
from components.number_formats import (
    NOTHING,
    format_bytes,
    format_duration,
    format_gain,
    format_loss,
    format_number,
    format_percent,
    format_points,
)


def test_the_examples_of_every_formatter_hold():
    results = doctest.testmod(number_formats)
    assert results.attempted >= 10
    assert results.failed == 0


@pytest.mark.parametrize(
    "format_value",
    [format_percent, format_points, format_gain, format_number, format_loss, format_duration],
)
@pytest.mark.parametrize("missing", [None, math.nan, math.inf, -math.inf])
def test_what_is_missing_is_never_written_as_a_number(format_value, missing):
    assert format_value(missing) == NOTHING


def test_what_is_rounded_up_moves_on_to_the_next_unit():
    assert format_duration(59.97) == "1 min 00 s"
    assert format_duration(3599.8) == "1 h 00 min"
    assert format_bytes(1000) == "1.0 kB"


def test_zero_and_one_are_written_as_percentages_with_a_decimal():
    assert format_percent(0.0) == "0.0%"
    assert format_percent(1.0) == "100.0%"
