"""Lists of thousands of files reach a step whose parameters are one argument of a process."""

import json

import pytest

from albert_core.errors import InputError
from components.file_lists import read_lists, write_long_lists

LONGEST_ARGUMENT = 131_072  # MAX_ARG_STRLEN of Linux, in bytes
MANY = [f"/data/wikipedia/part-{number:05}/text.jsonl.zst" for number in range(3000)]


def test_long_lists_are_read_back_and_short_ones_stay(tmp_path):
    arguments = {
        "corpus": {"files": MANY, "language": "en"},
        "cleaning": {"evaluation_sets": {"squad": MANY[::-1], "glue": ["dev.tsv"]}},
        "title": "wide",
    }
    assert len(json.dumps(arguments)) > LONGEST_ARGUMENT
    short = write_long_lists(arguments, tmp_path / "lists")
    assert len(json.dumps(short)) < 1000
    assert short["cleaning"]["evaluation_sets"]["glue"] == ["dev.tsv"]
    for name in ("corpus", "cleaning"):
        assert read_lists(short[name]) == arguments[name]
    again = write_long_lists(arguments, tmp_path / "lists")
    assert again == short  # kfp's cache goes by the parameters
    other = {**arguments, "corpus": {"files": MANY[1:]}}
    assert write_long_lists(other, tmp_path / "lists")["corpus"] != short["corpus"]


def test_nothing_is_written_for_short_lists(tmp_path):
    arguments = {"corpus": {"files": ["a.txt"]}, "cleaning": {"evaluation_sets": {}}}
    assert write_long_lists(arguments, tmp_path / "lists") == arguments
    assert write_long_lists({"checkpoint": {}}, tmp_path / "lists") == {"checkpoint": {}}
    assert not (tmp_path / "lists").exists()


def test_a_list_that_is_gone_is_named(tmp_path):
    with pytest.raises(InputError, match=r"gone\.json: No such file"):
        read_lists({"files": {"listed_in": str(tmp_path / "gone.json")}})
