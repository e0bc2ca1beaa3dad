"""YAML of people: a key that is there twice is refused, everything else is as PyYAML reads it."""

import pytest

from albert_core.errors import InputError
from albert_core.yaml_text import load_yaml, load_yaml_as_text, refuse_repeated_keys


def test_a_key_that_is_twice_in_a_mapping_is_refused_at_any_depth() -> None:
    text = "sets:\n  squad: [a]\n  boolq: [b]\n  squad: [c]\n"
    with pytest.raises(InputError, match=r"^f: got 'squad' in line 2 and again in line 4"):
        load_yaml(text, source="f")


def test_equal_keys_of_different_mappings_and_merges_are_none_twice() -> None:
    text = "a: &a {x: 1, y: 2}\nb: {x: 3}\nc:\n  <<: *a\n  x: 4\n"
    assert load_yaml(text, source="f")["c"] == {"x": 4, "y": 2}


@pytest.mark.parametrize("data", ["{", b"\xff\xfe\xff", "day: 2026-13-45"])
def test_what_is_no_yaml_is_refused(data) -> None:
    with pytest.raises(InputError, match=r"^f: not YAML: "):
        load_yaml(data, source="f")


def test_values_can_be_read_as_they_are_written() -> None:
    data = "\ufefflabels: [no, 0x10]\n".encode()
    assert load_yaml(data, source="f") == {"labels": [False, 16]}
    assert load_yaml_as_text(data, source="f") == {"labels": ["no", "0x10"]}


def test_aliases_in_a_circle_end() -> None:
    refuse_repeated_keys("&a [*a, {b: *a}]", source="f")


def test_only_equal_keys_are_looked_for() -> None:
    refuse_repeated_keys("{{ds}} news", source="title")
    with pytest.raises(InputError, match=r"^f: got 'a' in line 1 and again in line 1"):
        refuse_repeated_keys('{"a": 1, a: 2}', source="f")
