"""The `albert` command: how one of its commands is found and run.

The exit status is 0 for success, 1 for failure, 2 for bad input, 130 after Ctrl-C, 143 after
SIGTERM, 141 if nobody reads the output.
"""

import contextlib
import errno
import os
import sys
from collections.abc import Sequence

from albert_core.errors import InputError, ServiceError, StepFailedError
from albert_core.network.first_answer import interactive
from albert_core.processes.library_logs import quiet_libraries
from albert_core.processes.stops import answered_stops, is_stopping
from albert_core.processes.unused_imports import skip_unused_imports
from albert_core.settings.json_values import has_lone_surrogate
from albert_core.settings.suggestions import did_you_mean
from pipeline.cli.commands import COMMANDS, Command, CommandGroup, Commands
from pipeline.extras import describe_missing_package

_SUMMARY = "Raw text in, a scored ALBERT out, as one resumable pipeline."
_HELP, _FULL_HELP, _VERSION = ("-h", "--help"), "--help-all", "--version"
# Platforms start these, too: the former in jobs on TPUs, the latter in pods.
_UNATTENDED_COMMANDS = {"pretrain", "serve"}
BROKEN_PIPE_STATUS = 141  # 128 + SIGPIPE, as of a program that the signal ends


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line; the function behind the console script.

    Errors are printed as one line on standard error; exceptions that are bugs are let through.

    Args:
        argv: The arguments; the process's own when None.

    Returns:
        The exit status: 0; 1 if a step or a service failed; 2 for bad input or a missing package;
        130 after Ctrl-C, 143 after SIGTERM; `BROKEN_PIPE_STATUS` if nobody reads the output. If
        `argv` is None, a process that is stopped ends here instead, as `answered_stops` says.
    """
    with answered_stops(ends_process=argv is None) as ending:
        skip_unused_imports()
        quiet_libraries()
        return _run_to_its_end(list(sys.argv[1:] if argv is None else argv))
    return ending.status


def _run_to_its_end(arguments: list[str]) -> int:
    """Run a command line, flush its output, and return the exit status.

    It is `BROKEN_PIPE_STATUS` if nobody reads the output any more.

    Raises:
        BrokenPipeError: Nobody reads the output any more, and the process is being stopped.
        Exception: What `_run_arguments` lets through.
    """
    try:
        try:
            is_attended = not {*arguments[:1]} & _UNATTENDED_COMMANDS
            with interactive() if is_attended else contextlib.nullcontext():
                return _run_arguments(arguments)
        finally:
            # Here, where a reader that has gone is no traceback; also after the help.
            if sys.stdout is not None:
                sys.stdout.flush()
    except BrokenPipeError:
        status = _end_after_broken_pipe()
        if is_stopping():  # Ctrl-C ends the reader, too
            raise
        return status


def _run_arguments(arguments: list[str]) -> int:
    """Run a command line and print its error, if it ends with one; return the exit status.

    The error is one line on standard error.

    Raises:
        BrokenPipeError: Nobody reads the output any more.
        Exception: A bug (`_describe_end`), or any error while the process is being stopped.
    """
    try:
        _refuse_undecodable(arguments)
        _run_command(COMMANDS, arguments, prog="albert", summary=_SUMMARY)
    except Exception as error:
        # Whatever fails after a stop fails by it.
        if is_stopping() or (end := _describe_end(error, " ".join(arguments[:1]))) is None:
            raise
        status, line = end
        print(f"albert: {line}", file=sys.stderr)
        return status
    return 0


def _describe_end(error: Exception, command: str) -> tuple[int, str] | None:
    """Return exit status and line for an error that a command may end with; None for a bug.

    Args:
        error: What the command raised.
        command: Its name.
    """
    if isinstance(error, InputError):
        return 2, f"error: {' '.join(str(error).split())}"
    if isinstance(error, ModuleNotFoundError):
        missing = describe_missing_package(command, error)
        return (2, f"error: {missing}") if missing else None
    if isinstance(error, OSError) and error.errno == errno.ENAMETOOLONG:
        return 2, f"error: {error.filename}: the name is too long; shorten it"
    return (1, str(error)) if isinstance(error, StepFailedError | ServiceError) else None


def _end_after_broken_pipe() -> int:
    """Return the exit status of a command whose reader has gone, as in `albert info X | head -1`.

    Standard output leads nowhere from now on: what is left in its buffer would fail again when the
    interpreter ends.
    """
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return BROKEN_PIPE_STATUS


def _refuse_undecodable(arguments: Sequence[str]) -> None:
    """Refuse arguments that are not UTF-8: no file that a step writes could hold them.

    Raises:
        InputError: There is one; names its place.
    """
    for number, argument in enumerate(arguments, start=1):
        if has_lone_surrogate(argument):
            shown = argument.encode(errors="backslashreplace").decode()
            raise InputError(f"argument {number}: got {shown}, which is not UTF-8; rename the file")


def _run_command(commands: Commands, arguments: list[str], *, prog: str, summary: str) -> None:
    """Call the command that the first argument names with the settings that the others give.

    A group passes the rest on to its commands. Where help or the version is asked for, that is
    printed instead. What else a command raises passes.

    Args:
        commands: The commands to choose from.
        arguments: The command's name and its options.
        prog: What precedes the arguments on the command line, for the help.
        summary: What `prog` does, for the help.

    Raises:
        InputError: The command is missing or unknown, an option is unknown or missing, a value has
            a wrong type or is impossible, or the command refuses its input.
    """
    first, rest = (arguments[0], arguments[1:]) if arguments else ("", [])
    if first in _HELP and rest:  # albert --help run
        first, rest = rest[0], [first, *rest[1:]]
    if first in _HELP:
        from pipeline.cli.help_layout import list_of_commands

        summaries = {name: entry.summary for name, entry in commands.items()}
        print(list_of_commands(summaries, prog=prog, summary=summary), end="")
    elif first == _VERSION and commands is COMMANDS:
        print(f"albert {_version()}")
    else:
        name = _find_command(commands, first, prog)
        entry = commands[name]
        if isinstance(entry, CommandGroup):
            _run_command(entry.commands, rest, prog=f"{prog} {name}", summary=entry.summary)
        else:
            _call(entry.load(), rest, prog=f"{prog} {name}")


def _find_command(commands: Commands, name: str, prog: str) -> str:
    """Return the name of a command, in which dashes and underscores are the same.

    Raises:
        InputError: There is no such command.
    """
    same = name.replace("_", "-")
    if same in commands:
        return same
    got = f"got {name!r}" if name else "got nothing"
    raise InputError(
        f"{prog} COMMAND: {got}, expected one of {', '.join(commands)}"
        f"{did_you_mean(same, commands) or f'; {prog} --help says what they do'}"
    )


def _call(command: Command, arguments: list[str], *, prog: str) -> None:
    """Call a command's function with the settings that arguments give, or print what they ask for.

    That is a short help (`--help`), with a word behind it the help on that topic, or the whole help
    (`--help-all`); or, with `--print_config`, the settings, of which required ones may be missing.
    What else the command raises passes.

    Args:
        command: The function.
        arguments: What stands behind the command's name.
        prog: Program and command, as they are typed.

    Raises:
        InputError: An option is unknown or missing, a value has a wrong type or is impossible, or
            the command refuses its input.
        ServiceError: The storage of a file with settings failed.
    """
    from pipeline.cli.help import command_help, full_help
    from pipeline.cli.parsing import CommandParser
    from pipeline.cli.printed_config import print_config, without_print_config

    parser = CommandParser(command)
    asked = next(
        (argument for argument in arguments if argument.replace("_", "-") in (*_HELP, _FULL_HELP)),
        None,
    )
    if asked and asked not in _HELP:
        print(full_help(parser, prog=prog), end="")
        return
    if asked:
        topic = "".join(arguments[arguments.index(asked) + 1 :][:1])
        print(command_help(parser, prog=prog, topic=topic), end="")
        return
    arguments, prints_config = without_print_config(parser, arguments)
    arguments = parser.spell_out(arguments)
    parser.take_defaults(arguments)
    settings = parser.get_settings(parser.parse(arguments, needs_all=not prints_config))
    if prints_config:
        print_config(settings)
    else:
        command(**settings)


def _version() -> str:
    """Return this package's version; `unknown (copied, not installed)` if it is not installed."""
    import importlib.metadata

    try:
        return importlib.metadata.version("albert-pipeline")
    except importlib.metadata.PackageNotFoundError:
        return "unknown (copied, not installed)"
