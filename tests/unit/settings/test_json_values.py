"""JSON values are read as what their fields are, or refused by place and field."""

import json

import pytest

from albert_core.errors import InputError
from albert_core.settings.json_values import (
    FieldError,
    JsonObject,
    as_bool,
    as_id,
    as_integer,
    as_text,
    as_texts,
    label_spellings,
    parse_json,
    read_json_object,
)

ALL = [None, float("nan"), 12, 1.5, True, "text", ["a"], {"a": "b"}]


def refused_of(read, values):
    def is_refused(value):
        try:
            read(value, "file, line 3: field")
        except FieldError:
            return True
        return False

    return [value for value in values if is_refused(value)]


@pytest.mark.parametrize(
    ("read", "taken"),
    [
        (as_text, ["text"]),
        (as_id, [12, "text"]),
        (as_bool, [True]),
        (as_integer, [12]),
        (as_texts, [["a"]]),
        (label_spellings, [12, 1.5, True, "text"]),
    ],
)
def test_only_values_of_the_kind_are_taken(read, taken):
    refused = refused_of(read, ALL)
    assert [repr(value) for value in ALL if value not in refused] == [repr(v) for v in taken]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([False, 0, 0.0, "False", "false", "FALSE", " no ", "0"], False),
        ([True, 1, 1.0, "True", "true", "yes", "1"], True),
    ],
)
def test_usual_spellings_of_truth_values(values, expected):
    assert [as_bool(value, "field") for value in values] == [expected] * len(values)


@pytest.mark.parametrize("value", [None, "", "maybe", "None", 2, -1, float("nan"), [], [True], {}])
def test_other_truth_values_are_refused(value):
    with pytest.raises(FieldError, match="expected true or false"):
        as_bool(value, "field")


def test_whole_numbers_in_their_spellings():
    assert [as_integer(value, "field") for value in (5, 5.0, "5", " 5", "-1")] == [5, 5, 5, 5, -1]
    assert refused_of(as_integer, ["5.5", "five", "", 5.5, None, False, float("inf")])


def test_labels_are_spelled_as_declarations_spell_them():
    assert label_spellings(True, "label") == ("true", "True")
    assert label_spellings(1.0, "label") == ("1.0", "1")
    assert label_spellings(3, "label") == ("3",)


def test_an_error_names_file_place_field_got_and_expected():
    fields = JsonObject.of(json.loads('{"a": null, "b": [1], "c": {}}'), "x.json, line 3")
    for read, message in (
        (lambda: fields.text("a"), r"^x\.json, line 3: got null as 'a', expected text$"),
        (lambda: fields.texts("b"), r"^x\.json, line 3: got the number 1 as 'b\[0\]', expected"),
        (lambda: fields.items("c"), r"^x\.json, line 3: got an object as 'c', expected a list$"),
        (lambda: list(fields.objects("b")), r"^x\.json, line 3, b\[0\]: got the number 1, expect"),
        (lambda: fields.text("d"), r"^x\.json, line 3: got no 'd', only a, b, c$"),
        (lambda: JsonObject.of([], "x.json"), r"^x\.json: got a list, expected an object$"),
    ):
        with pytest.raises(InputError, match=message):
            read()


HALVES = ["\ud83d", "so happy \ude00", "\udfff\ud800"]


@pytest.mark.parametrize("read", [as_text, as_id, label_spellings])
def test_half_a_character_is_no_text(read):
    assert refused_of(read, HALVES) == HALVES
    assert not refused_of(read, ["so happy \U0001f600", "\ue000", "a"])
    with pytest.raises(FieldError, match=r"^x: got the text 'a\\ud83d' as 'y', expected"):
        read("a\ud83d", "x: y")


@pytest.mark.parametrize("text", ["{", "[" * 99999, "1" * 5000, b"\xff", '{"a": NaN'])
def test_what_is_not_json_is_refused_with_its_place(text):
    with pytest.raises(InputError, match=r"^x, line 1: not JSON \(.*\); expected a list$"):
        parse_json(text, "x, line 1", expected="a list")


@pytest.mark.parametrize("content", [None, b"[]", b"null", b"\xff", b"{", b""])
def test_the_object_in_a_file_is_all_that_is_taken(content, tmp_path):
    path = tmp_path / "x.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=r"x\.json: (no such file|got|not JSON)"):
        read_json_object(path)
    path.write_text('{"a": 1}')
    assert read_json_object(path) == {"a": 1}
