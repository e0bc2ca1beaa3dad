"""The help of a command, in layers: the command, one of its sections, or everything.

A command's first layer has its own options in full, and a line for each section of the run's
settings; `albert run --help pretraining` shows one section, `--help-all` all of them.
"""

import os
import textwrap
from collections.abc import Iterator, Mapping, Sequence

import jsonargparse

from albert_core.errors import InputError
from albert_core.settings.suggestions import did_you_mean
from pipeline.cli.help_layout import row, to_text, width, wrapped
from pipeline.cli.options import (
    ALIASES,
    Option,
    dataclass_of,
    find_options,
    find_sections,
)
from pipeline.cli.parsing import CommandParser

PRINT_CONFIG = "--print_config"
# The short names that are called as a section is, and look like its option.
_SHORT_VALUES = {"--corpus": "FILES", "--checkpoint": "PATH"}


def command_help(parser: CommandParser, *, prog: str, topic: str = "") -> str:
    """Return the help of a command: its first layer, or that of a topic.

    Args:
        parser: The command's parser.
        prog: Program and command, as they are typed.
        topic: Name of a section or of a setting, whose sections may be left out of its name; all
            settings of that name are shown then. The first layer is returned for an empty topic,
            and for a path where the command has positional arguments, as in `albert info --help
            runs/x`.

    Raises:
        InputError: The command has no such section or setting.
    """
    if not topic:
        return to_text(_first_layer(parser, prog))
    name = topic.lstrip("-").replace("-", "_")
    options, sections = list(find_options(parser.parser)), find_sections(parser.parser)
    if name in sections:
        return to_text(_section(name, options, sections, prog))
    matching = [option for option in options if f".{option.dest}".endswith(f".{name}")]
    takes_arguments = any(not option.is_named for option in options)
    if not matching and takes_arguments and (os.sep in topic or os.path.exists(topic)):
        return to_text(_first_layer(parser, prog))
    if not matching:
        known = [*sections, *(option.dest for option in options)]
        raise InputError(
            f"--help {topic}: {prog} has no such section or setting"
            f"{did_you_mean(name, known) or f'; {prog} --help lists the sections'}"
        )
    return to_text(line for option in matching for line in _setting(option))


def full_help(parser: CommandParser, *, prog: str) -> str:
    """Return the help of a command with all of its sections."""
    options, sections = list(find_options(parser.parser)), find_sections(parser.parser)
    lines = [*_usage(parser, prog), "", *_groups(parser, options), "", *_help_options(parser)]
    for name in sections:
        section_options = [option for option in options if option.section == name]
        lines += ["", *wrapped(f"{name}: {sections[name]}"), *_rows(section_options)]
    return to_text(lines)


def _first_layer(parser: CommandParser, prog: str) -> Iterator[str]:
    """Yield the lines of a command's help, with a line for each section and not its settings."""
    options, sections = list(find_options(parser.parser)), find_sections(parser.parser)
    yield from (*_usage(parser, prog), "", *_groups(parser, options), "", *_help_options(parser))
    if not sections:
        return
    example = max(sections, key=lambda name: sum(option.section == name for option in options))
    yield ""
    yield f"sections of settings ({prog} --help {example} shows one):"
    short = {ALIASES[name][2:]: f"{name} {value}" for name, value in _SHORT_VALUES.items()}
    for name in (name for name in sections if "." not in name):
        aliases = [
            short[option.dest]
            for option in options
            if option.section == name and option.dest in short
        ]
        number = sum(f"{option.section}.".startswith(f"{name}.") for option in options)
        words = [f"{number} setting{'s' * (number > 1)}", *(f"short: {alias}" for alias in aliases)]
        yield from row(name, f"{sections[name]} ({'; '.join(words)})")


def _usage(parser: CommandParser, prog: str) -> list[str]:
    """Return the lines of usage and description of a command."""
    options = list(find_options(parser.parser))
    arguments = [
        option.name.upper() if option.is_required else f"[{option.name.upper()} ...]"
        for option in options
        if not option.is_named
    ]
    needed = [
        f"{option.name} {option.dest.upper()}"
        for option in options
        if option.is_named and option.is_required
    ]
    usage = textwrap.wrap(
        " ".join([f"usage: {prog}", *arguments, *needed, "[options]"]),
        width(),
        subsequent_indent=" " * 7,
    )
    return [*usage, "", *wrapped(parser.description)]


def _groups(parser: CommandParser, options: Sequence[Option]) -> Iterator[str]:
    """Yield the lines of a command's arguments, then of its options outside of sections."""
    if arguments := [option for option in options if not option.is_named]:
        yield from ("arguments:", *_rows(arguments), "")
    yield from (
        "options:",
        *_rows([option for option in options if option.is_named and not option.section]),
    )


def _help_options(parser: CommandParser) -> Iterator[str]:
    """Yield the lines of the options that show something in place of running the command."""
    yield "help:"
    yield from row("--help [NAME]", "Show this help, or that of a section or a setting.")
    yield from row("--help-all", "Show all settings.")
    if parser.takes_config:
        text = "Print the resulting settings as a file for --config, with comments."
        yield from row(PRINT_CONFIG, text)
    yield from wrapped(
        "Dashes and underscores in names are the same. A switch may have a value: --name false."
    )


def _section(
    name: str, options: Sequence[Option], sections: Mapping[str, str], prog: str
) -> Iterator[str]:
    """Yield the lines of a section: its settings, and a line for each section within it."""
    yield from wrapped(f"{name}: {sections[name]}")
    typed = f"--{name} FILE.yaml reads a section from a YAML file"
    if short := _SHORT_VALUES.get(f"--{name}"):
        typed = f"--{name} {short} is short for {ALIASES[f'--{name}']}"
    yield from wrapped(f"{typed}; in the file of a run it is the key {name}.")
    yield from ("", *_rows([option for option in options if option.section == name]))
    inner = [section for section in sections if section.startswith(f"{name}.")]
    for section in inner:
        yield from row(section, f"{sections[section]} ({prog} --help {section})")


def _setting(option: Option) -> Iterator[str]:
    """Yield the lines of a setting's help; if it is a tuple of a dataclass, of its fields, too."""
    yield from _rows([option])
    if cls := dataclass_of(option.hint):
        parser = jsonargparse.ArgumentParser()
        parser.add_class_arguments(cls, option.dest)
        yield from ("", "fields of each of its values:")
        for field in find_options(parser):
            yield from row(
                f"{field.dest.rpartition('.')[2]} {field.placeholder}", _described(field)
            )


def _rows(options: Sequence[Option]) -> Iterator[str]:
    for option in options:
        yield from row(f"{option.name} {option.placeholder}".rstrip(), _described(option))


def _described(option: Option) -> str:
    """Return an option's help, with its default, or that it is required.

    Choices are added where the placeholder does not list them. A default that is empty or false is
    not shown, nor that an argument without a name is required.
    """
    text = f"{option.text.rstrip('.')}." if option.text else ""
    if option.placeholder.startswith("CHOICE"):
        text += f" Choices: {', '.join(option.choices)}."
    if option.is_required and option.is_named:
        return f"{text} (required)"
    default = option.shown_default
    return f"{text} (default: {default})".lstrip() if default and default != "false" else text
