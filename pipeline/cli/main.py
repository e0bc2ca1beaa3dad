"""The `albert` command: the table of its commands, and how one of them is run.

A new command is a function and a line in `COMMANDS`; its signature and docstring are its options
and its help (`pipeline.cli.parsing`).

The exit status is 0 for success, 1 for failure, 2 for bad input, 130 after Ctrl-C, 143 after
SIGTERM, 141 if nobody reads the output.
"""

import contextlib
import dataclasses
import errno
import os
import sys
from collections.abc import Mapping, Sequence

import jsonargparse

from albert_core.errors import InputError, ServiceError, StepFailedError
from albert_core.first_answer import interactive
from albert_core.json_values import has_lone_surrogate
from albert_core.settings import one_line
from albert_core.stops import answered_stops, is_stopping
from albert_core.unused_imports import skip_unused_imports
from pipeline.cli import (
    model_commands,
    platform_commands,
    prediction_commands,
    probe_command,
    run_commands,
    step_commands,
)
from pipeline.cli.parsing import Command, CommandParser, get_summary
from pipeline.extras import describe_missing_package

# Platforms start these, too: the former in jobs on TPUs, the latter in pods.
_UNATTENDED_COMMANDS = {"pretrain", "serve"}
BROKEN_PIPE_STATUS = 141  # 128 + SIGPIPE, as of a program that the signal ends


@dataclasses.dataclass(frozen=True)
class CommandGroup:
    """A command that only has commands of its own, such as `schedule`.

    Attributes:
        summary: Its line in the help.
        commands: Its commands by their names.
    """

    summary: str
    commands: Mapping[str, Command]


COMMANDS: Mapping[str, Command | CommandGroup] = {
    "run": run_commands.run,
    "demo-data": step_commands.demo_data,
    "vocab": step_commands.vocab,
    "records": step_commands.records,
    "pretrain": step_commands.pretrain,
    "finetune": step_commands.finetune,
    "evaluate": step_commands.evaluate,
    "probe": probe_command.probe,
    "report": step_commands.report,
    "estimate": run_commands.estimate,
    "export": model_commands.export,
    "card": model_commands.card,
    "compile": run_commands.compile_for,
    "convert": model_commands.convert,
    "info": model_commands.info,
    "predict": prediction_commands.predict,
    "embed": prediction_commands.embed,
    "serve": model_commands.serve,
    "submit": platform_commands.submit,
    "schedule": CommandGroup(
        "Run the pipeline regularly on Kubeflow or Vertex AI.",
        {
            "create": platform_commands.create_schedule,
            "list": platform_commands.list_schedules,
            "pause": platform_commands.pause_schedule,
            "resume": platform_commands.resume_schedule,
            "delete": platform_commands.delete_schedule,
        },
    ),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line; the function behind the console script.

    Errors are printed as one line on standard error; exceptions that are bugs are let through.

    Args:
        argv: The arguments; the process's own when None.

    Returns:
        The exit status: 0; 1 if a step or a service failed; 2 for bad input or a missing package;
        130 after Ctrl-C, 143 after SIGTERM; `BROKEN_PIPE_STATUS` if nobody reads the output. If
        `argv` is None, a process that is stopped ends here instead, as `answered_stops` says.

    Raises:
        SystemExit: The help was asked for, and has been printed.
    """
    with answered_stops(ends_process=argv is None) as ending:
        skip_unused_imports()
        return _run_to_its_end(list(sys.argv[1:] if argv is None else argv))
    return ending.status


def _run_to_its_end(arguments: list[str]) -> int:
    """Run a command line, flush its output, and return the exit status.

    Raises:
        SystemExit: The help was asked for, and has been printed.
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
        return _end_after_broken_pipe()


def _run_arguments(arguments: list[str]) -> int:
    """Run a command line and print its error, if it ends with one; return the exit status.

    Raises:
        BrokenPipeError: Nobody reads the output any more.
        SystemExit: The help was asked for, and has been printed.
    """
    summary = "Raw text in, a scored ALBERT out, as one resumable pipeline."
    try:
        _refuse_undecodable(arguments)
        _run_command(COMMANDS, arguments, prog="albert", summary=summary)
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
    if isinstance(error, InputError | jsonargparse.ArgumentError):
        return 2, f"error: {one_line(error)}"
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


def _run_command(
    commands: Mapping[str, Command | CommandGroup], arguments: list[str], *, prog: str, summary: str
) -> None:
    """Call the command that the first argument names with the settings that the others give.

    A group passes the rest on to its own commands.

    Args:
        commands: The commands to choose from.
        arguments: The command's name and its options.
        prog: What precedes the arguments on the command line, for the help.
        summary: What `prog` does, for the help.

    Raises:
        jsonargparse.ArgumentError: The command is missing or unknown, an option is unknown, or a
            value has a wrong type.
        InputError: A value is impossible, or the command refuses its input.
        SystemExit: The help was asked for, and has been printed.
    """
    name = arguments[0] if arguments else ""
    command = commands.get(name)
    if isinstance(command, CommandGroup):
        _run_command(
            command.commands, arguments[1:], prog=f"{prog} {name}", summary=command.summary
        )
        return
    main_parser = jsonargparse.ArgumentParser(
        prog=prog, allow_abbrev=False, exit_on_error=False, description=summary
    )
    subcommands = main_parser.add_subcommands(dest="command")
    # Parsers take up to a quarter of a second to build: the others are listed by name only.
    parsers = {other: jsonargparse.ArgumentParser() for other in commands}
    if command:
        command_parser = CommandParser(command)
        parsers[name] = command_parser.parser
        arguments = [name, *command_parser.spell_out(arguments[1:])]
        command_parser.take_defaults(arguments[1:])
    for other, parser in parsers.items():
        subcommands.add_subcommand(other, parser, help=_get_help(commands[other]))
    parsed = main_parser.parse_args(arguments)
    if command:
        command(**command_parser.get_settings(parsed[name]))


def _get_help(command: Command | CommandGroup) -> str:
    return command.summary if isinstance(command, CommandGroup) else get_summary(command)
