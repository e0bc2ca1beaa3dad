"""YAML of people: a key that is there twice is refused, everything else is as PyYAML reads it."""

import pytest

from albert_core.errors import InputError
from albert_core.settings.yaml_text import load_yaml, load_yaml_as_text, refuse_repeated_keys


def test_a_key_that_is_twice_in_a_mapping_is_refused_at_any_depth() -> None:
    text = "sets:\n  squad: [a]\n  boolq: [b]\n  squad: [c]\n"
    with pytest.raises(InputError, match=r"^f: got 'squad' in line 2 and again in line 4"):
        load_yaml(text, source="f")


def test_equal_keys_of_different_mappings_and_merges_are_none_twice() -> None:
    text = "a: &a {x: 1, y: 2}\nb: {x: 3}\nc:\n  <<: *a\n  x: 4\n"
    assert load_yaml(text, source="f")["c"] == {"x": 4, "y": 2}


@pytest.mark.parametrize("data", ["{", b"\xff\xfe\xff", "day: 2026-13-45", r'"\UFFFFFFFF"'])
def test_what_is_no_yaml_is_refused(data) -> None:
    with pytest.raises(InputError, match=r"^f: not YAML: "):
        load_yaml(data, source="f")


def test_values_can_be_read_as_they_are_written() -> None:
    data = "\ufefflabels: [no, 0x10]\n".encode()
    assert load_yaml(data, source="f") == {"labels": [False, 16]}
    assert load_yaml_as_text(data, source="f") == {"labels": ["no", "0x10"]}


@pytest.mark.parametrize("text", ["&a [*a, {b: *a}]", "x: 1\na: &a {b: {c: *a}}", "&a {? *a : 1}"])
def test_aliases_in_a_circle_are_refused_with_their_line(text) -> None:
    for read in (load_yaml, load_yaml_as_text, refuse_repeated_keys):
        with pytest.raises(InputError, match=r"^f, line [12]: got an anchor that contains itself"):
            read(text, source="f")


def test_aliases_that_multiply_are_refused_before_anything_goes_through_them() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    with pytest.raises(InputError, match=r"line \d: got over 100,000 values"):
        load_yaml("\n".join(lines), source="f")
    assert load_yaml("\n".join(lines[:4]), source="f")["a3"][9][9][9][9] == "x"


@pytest.mark.parametrize("text", ['a: "so \\ud83d"', '"\\udc00": 1', '[b, "\\udfff"]'])
def test_half_a_character_is_refused(text) -> None:
    with pytest.raises(InputError, match=r"^f, line 1: got half a character"):
        load_yaml(text, source="f")


@pytest.mark.parametrize("text", ["[" * 9999, "{a: " * 9999, "a: " + "9" * 5000])
def test_what_is_too_deep_or_too_long_is_refused(text) -> None:
    with pytest.raises(InputError, match=r"^f: not YAML: "):
        load_yaml(text, source="f")


def test_only_equal_keys_are_looked_for() -> None:
    refuse_repeated_keys("{{ds}} news", source="title")
    with pytest.raises(InputError, match=r"^f: got 'a' in line 1 and again in line 1"):
        refuse_repeated_keys('{"a": 1, a: 2}', source="f")
