"""What is wrong with a command line, in one line, from the errors of jsonargparse."""

import re
from collections.abc import Collection

from albert_core.settings.parsing_errors import describe_parsing_error
from albert_core.settings.suggestions import did_you_mean
from pipeline.cli.options import ALIASES

_UNKNOWN = re.compile(r"unrecognized arguments: (\S+)")
_UNKNOWN_IN_SECTION = re.compile(r"Group '(\S+)' does not accept option '(\S+)'")
_MISSING = re.compile(r"the following arguments are required: (.*)")
_WITHOUT_VALUE = re.compile(r"argument (\S+): expected one argument")
_OF_OPTION = re.compile(r"^([\w.]+): got ")


def describe_error(error: Exception, options: Collection[str]) -> str:
    """Return an error of jsonargparse in one line, with the options that may be meant.

    Args:
        error: What parsing raised.
        options: The options that the command has, with their dashes.
    """
    text = " ".join(str(error).split())
    known = [name.removeprefix("--") for name in (*options, *ALIASES)]
    if match := _UNKNOWN.match(text):
        return _describe_unknown(match[1], known)
    if match := _UNKNOWN_IN_SECTION.match(text):
        name = f"{match[1]}.{match[2]}"
        return f"--{match[1]}: it has no setting {match[2]}{did_you_mean(name, known)}"
    if match := _MISSING.match(text):
        names = [f"--{name}" if f"--{name}" in options else name for name in match[1].split(", ")]
        return f"{', '.join(names)}: required, but not given; --help tells what is expected"
    if match := _WITHOUT_VALUE.match(text):
        return f"{match[1]}: got nothing, expected a value behind it"
    text = describe_parsing_error(error)
    match = _OF_OPTION.match(text)
    return f"--{text}" if match and f"--{match[1]}" in options else text


def _describe_unknown(argument: str, known: Collection[str]) -> str:
    """Return what is wrong with an argument that the command does not take.

    Of an option it names the one of `known` (names without dashes) that may be meant, if any is
    alike.
    """
    if not argument.startswith("-"):
        return f"got {argument!r}, expected an option (--NAME) in its place; --help lists them"
    name = argument.lstrip("-").partition("=")[0]
    meant = did_you_mean(name.replace("-", "_"), known, prefix="--")
    return f"{argument}: no such option{meant or '; --help-all lists all'}"
