"""How lines of help are laid out; and the list of commands, which needs no parser."""

import shutil
import textwrap
from collections.abc import Iterable, Mapping

_COLUMN = 24  # where texts begin, if the names before them leave room
_MOST_COLUMNS = 100


def list_of_commands(summaries: Mapping[str, str], *, prog: str, summary: str) -> str:
    """Return the help of a program that has commands: what it does, and a line for each of them.

    Args:
        summaries: What each command does, by name.
        prog: The program, as it is typed.
        summary: What it does.
    """
    lines = [f"usage: {prog} COMMAND [options]", "", *wrapped(summary), "", "commands:"]
    for name, text in summaries.items():
        lines += row(name, text)
    lines += ["", "options:", *row("--help", f"Show this help; {prog} COMMAND --help: of one.")]
    if " " not in prog:
        lines += row("--version", "Show the version.")
    return to_text(lines)


def row(head: str, text: str) -> list[str]:
    """Return the lines of a name and its text: beside it if there is room, else below it."""
    lines = textwrap.wrap(
        text,
        width(),
        initial_indent=" " * _COLUMN,
        subsequent_indent=" " * _COLUMN,
        break_on_hyphens=False,
    )
    if len(head) + 4 > _COLUMN or not lines:
        return [f"  {head}", *lines]
    return [f"  {head}".ljust(_COLUMN) + lines[0].lstrip(), *lines[1:]]


def wrapped(text: str) -> list[str]:
    """Return the lines of a paragraph, each of at most `width()` columns."""
    return textwrap.wrap(text, width(), break_on_hyphens=False)


def width() -> int:
    """Return the columns of the terminal, 80 where there is none, and at most 100."""
    return min(shutil.get_terminal_size().columns, _MOST_COLUMNS)


def to_text(lines: Iterable[str]) -> str:
    """Return lines as one text, each with its line end."""
    return "\n".join(lines) + "\n"
