"""Numbers in settings are refused by name, value and what is expected."""

import dataclasses
import math
import subprocess
import sys
from typing import Literal

import pytest

from albert_core.errors import InputError
from albert_core.settings.checks import (
    check_at_least,
    check_between,
    check_distinct,
    check_positive,
    check_seed,
)


@dataclasses.dataclass
class _Settings:
    size: float | None = 1
    ratio: float | None = 0.5


def test_a_value_below_its_minimum_is_named_with_its_section() -> None:
    with pytest.raises(InputError, match=r"^vocab\.size: got 1, expected 2 or more$"):
        check_at_least(_Settings(), "vocab", ratio=0, size=2)
    with pytest.raises(InputError, match=r"^size: got 1, expected 2 or more$"):
        check_at_least(_Settings(), size=2)
    check_at_least(_Settings(), "vocab", size=1)


@pytest.mark.parametrize("inclusive", ["both", "left", "neither"])
def test_not_a_number_is_refused(inclusive: Literal["both", "left", "neither"]) -> None:
    settings = _Settings(size=math.nan)
    with pytest.raises(InputError, match="size: got nan"):
        check_at_least(settings, size=0)
    with pytest.raises(InputError, match="size: got nan"):
        check_positive(settings, "", "size")
    with pytest.raises(InputError, match="size: got nan"):
        check_between(settings, "", "size", inclusive=inclusive)


def test_what_is_not_set_passes() -> None:
    settings = _Settings(size=None, ratio=None)
    check_at_least(settings, "vocab", size=2)
    check_between(settings, "vocab", "ratio")


@pytest.mark.parametrize(
    ("inclusive", "ratio", "expected"),
    [
        ("both", 1.0, ""),
        ("both", 1.1, "0 to 1"),
        ("both", 0.0, ""),
        ("left", 0.0, ""),
        ("left", 1.0, "from 0 to below 1"),
        ("neither", 0.0, "between 0 and 1"),
        ("neither", 1.0, "between 0 and 1"),
        ("neither", 0.5, ""),
    ],
)
def test_intervals_include_the_ends_that_they_say(
    inclusive: Literal["both", "left", "neither"], ratio: float, expected: str
) -> None:
    settings = _Settings(ratio=ratio)
    if not expected:
        check_between(settings, "masking", "ratio", inclusive=inclusive)
        return
    with pytest.raises(InputError, match=rf"^masking\.ratio: got {ratio}, expected {expected}$"):
        check_between(settings, "masking", "ratio", inclusive=inclusive)


def test_a_hint_follows_the_interval() -> None:
    with pytest.raises(InputError, match=r"expected 0\.6 to 1 \(0\.7 is seven tenths\)$"):
        check_between(_Settings(), "", "ratio", low=0.6, hint="0.7 is seven tenths")


def test_zero_is_not_positive() -> None:
    with pytest.raises(InputError, match=r"^calls\.size: got 0, expected more than 0$"):
        check_positive(_Settings(size=0), "calls", "size")


def test_a_seed_is_not_negative() -> None:
    check_seed("records.seed", 0)
    with pytest.raises(InputError, match=r"^records\.seed: got -1, expected 0 or more$"):
        check_seed("records.seed", -1)


def test_checks_import_without_the_parser_of_settings() -> None:
    code = "import sys, albert_core.settings.checks; assert 'jsonargparse' not in sys.modules"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_value_that_is_twice_in_a_list_is_named() -> None:
    check_distinct("tasks", ("cola", "rte"))
    with pytest.raises(InputError, match=r"^tasks: got rte twice, expected each of them once$"):
        check_distinct("tasks", ("cola", "rte", "rte"))
