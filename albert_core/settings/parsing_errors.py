"""Errors of jsonargparse in one line, in the words of YAML and of the command line."""

import ast
import re

from albert_core.settings.suggestions import did_you_mean

_TYPE_NAMES = {
    "<class 'str'>": "text",
    "<class 'int'>": "whole number",
    "<class 'float'>": "number",
    "<class 'bool'>": "truth value (true or false)",
    "<class 'tuple'>": "list",
    "<class 'collections.abc.Mapping'>": "mapping",
    "<class 'NoneType'>": "null",
}
_NO_KINDS = ("", "null")  # beside the values that a type lists
_KEY = re.compile(r"^Parser key \"([^\"]+)\": (?!.*Parser key)")
_CHOICES = re.compile(r"typing\.Literal(\[[^]]*\])")
_WRONG_CHOICE = re.compile(rf"Expected a {_CHOICES.pattern}\. Got value: (.*)$")
_WRONG_TYPE = re.compile(r"Expected an? ([^.]+)\. Got value: (.*)$")
_WRONG_UNION = re.compile(
    r"Does not validate against any of the Union subtypes Subtypes: \[(.*?)\] Errors: .* "
    r"Given value type: .* Given value: (.*)$"
)
_UNKNOWN_FIELD = re.compile(r"Problem with given class_path '\S+': Option '(\w+)' is not accepted")


def describe_parsing_error(error: Exception) -> str:
    """Return an error of jsonargparse in one line, without the prefix of `parse_settings`.

    It says what was got and what was expected; Python's types are called as in YAML. A value that
    is nearly one of a few possible ones is followed by the one that may be meant.
    """
    text = " ".join(str(error).split())
    for name, shown in _TYPE_NAMES.items():
        text = text.replace(name, shown)
    text = text.replace("settings.", "").replace("Group 'settings'", "This")
    text = _KEY.sub(r"\1: ", text)
    text = _UNKNOWN_FIELD.sub(r"does not accept option '\1'", text)
    text = _WRONG_CHOICE.sub(_describe_choice, text)
    text = _WRONG_UNION.sub(_describe_union, text)
    return _WRONG_TYPE.sub(r"got \2, expected a \1", text)


def _describe_choice(match: re.Match[str]) -> str:
    """Return the error for a value that is none of a few possible ones."""
    choices = [str(choice) for choice in ast.literal_eval(match[1])]
    return f"got {match[2]}, expected one of {', '.join(choices)}{did_you_mean(match[2], choices)}"


def _describe_union(match: re.Match[str]) -> str:
    """Return the error for a value that is of none of several types."""
    if choices := _CHOICES.search(match[1]):
        text = _WRONG_CHOICE.sub(
            _describe_choice, f"Expected a {choices[0]}. Got value: {match[2]}"
        )
        others = [kind for kind in _CHOICES.sub("", match[1]).split(", ") if kind not in _NO_KINDS]
        return text.replace("expected ", f"expected a {' or a '.join(others)}, or ", bool(others))
    kinds = " or ".join(kind if kind == "null" else f"a {kind}" for kind in match[1].split(", "))
    return f"got {match[2]}, expected {kinds}"
