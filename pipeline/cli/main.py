"""The `albert` command.

Its exit status is 0 for success, 1 for failure, 2 for bad input, 130 when it was interrupted.
"""

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jsonargparse

from albert_core.errors import InputError, ServiceError, StepFailedError
from albert_core.old_names import rename_setting
from albert_core.settings import one_line
from pipeline.cli import commands, platform_commands
from pipeline.config import read_config, to_values
from pipeline.local.interruption import INTERRUPTED_STATUS, say_interrupted

Command = Callable[..., None]

COMMANDS: Mapping[str, Command] = {
    "run": commands.run,
    "demo-data": commands.demo_data,
    "vocab": commands.vocab,
    "records": commands.records,
    "pretrain": commands.pretrain,
    "finetune": commands.finetune,
    "evaluate": commands.evaluate,
    "report": commands.report,
    "estimate": commands.estimate,
    "export": commands.export,
    "card": commands.card,
    "compile": commands.compile_for,
    "convert": commands.convert,
    "info": commands.info,
    "serve": commands.serve,
    "submit": platform_commands.submit,
}
# Commands with commands of their own.
GROUPS: Mapping[str, tuple[str, Mapping[str, Command]]] = {
    "schedule": (
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
# Those that take paths as arguments, and no settings of a run; and others without the latter.
_PATH_COMMANDS = ("export", "card", "convert", "info", "serve")
_WITHOUT_SETTINGS = (*_PATH_COMMANDS, "list", "pause", "resume", "delete")

# Options that take several values separated by commas.
_LIST_OPTIONS = (
    "--corpus.files",
    "--tasks",
    "--records_dir",
    "--finetuned_dirs",
    "--finetuning.grid_learning_rates",
    "--finetuning.grid_batch_sizes",
    "--evaluation_dirs",
    "--export.formats",
    "--card.languages",
    "--card.tags",
    "--export.card.languages",
    "--export.card.tags",
)
_LIST_OPTIONS_OF = {"export": ("--to",)}  # of a single command
_ALIASES = {"--corpus": "--corpus.files"}


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line; the function behind the console script.

    Args:
        argv: The arguments; the process's own when not given.

    Returns:
        The exit status.
    """
    arguments = _with_json_lists(list(sys.argv[1:] if argv is None else argv))
    try:
        _run_command(arguments)
    except (InputError, jsonargparse.ArgumentError) as error:
        print(f"albert: error: {one_line(error)}", file=sys.stderr)
        return 2
    except KeyboardInterrupt as error:
        say_interrupted(*error.args)
        return INTERRUPTED_STATUS
    except (StepFailedError, ServiceError) as error:
        print(f"albert: {error}", file=sys.stderr)
        return 1
    return 0


def _run_command(arguments: list[str]) -> None:
    group = arguments[0] if arguments else ""
    if group in GROUPS:
        summary, commands_of_group = GROUPS[group]
        _run_one_of(commands_of_group, arguments[1:], prog=f"albert {group}", summary=summary)
    else:
        summary = "Raw text in, a scored ALBERT out, as one resumable pipeline."
        _run_one_of(COMMANDS, arguments, prog="albert", summary=summary, groups=GROUPS)


def _run_one_of(
    functions: Mapping[str, Command],
    arguments: list[str],
    *,
    prog: str,
    summary: str,
    groups: Mapping[str, tuple[str, Mapping[str, Command]]] | None = None,
) -> None:
    parsers = {name: _parser(name, function) for name, function in functions.items()}
    main_parser = jsonargparse.ArgumentParser(
        prog=prog, allow_abbrev=False, exit_on_error=False, description=summary
    )
    subcommands = main_parser.add_subcommands(dest="command")
    for name, parser in parsers.items():
        subcommands.add_subcommand(name, parser, help=_summary(functions[name]))
    for name, (summary_of_group, _) in (groups or {}).items():
        subcommands.add_subcommand(name, jsonargparse.ArgumentParser(), help=summary_of_group)
    name = arguments[0] if arguments else ""
    if name in parsers and name not in _WITHOUT_SETTINGS:
        _take_defaults(parsers[name], name, arguments[1:])
    parsed = main_parser.parse_args(arguments)
    name = parsed.command
    settings = parsers[name].instantiate(parsed[name]).as_dict()
    if name not in _WITHOUT_SETTINGS:
        del settings["config"]
    functions[name](**settings)


def _parser(name: str, function: Callable[..., None]) -> jsonargparse.ArgumentParser:
    parser = jsonargparse.ArgumentParser(
        exit_on_error=False, allow_abbrev=False, description=_summary(function)
    )
    if name in _PATH_COMMANDS:
        parser.add_function_arguments(function, as_group=False, as_positional=True)
        return parser
    if name not in _WITHOUT_SETTINGS:
        parser.add_argument(
            "--config",
            type=str,
            default="",
            help="YAML file of a run, or the name of a model preset; options given here win",
        )
    parser.add_function_arguments(function, as_group=False)
    return parser


def _summary(function: Callable[..., None]) -> str:
    return (function.__doc__ or "").partition("\n")[0]


def _take_defaults(parser: jsonargparse.ArgumentParser, name: str, arguments: list[str]) -> None:
    """Make the sections of the configuration file the defaults of a command's options."""
    finder = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    finder.add_argument("--config", type=str, default="")
    path: str = finder.parse_known_args(arguments)[0].config
    if not path:
        return
    values = to_values(read_config(path))
    known = vars(parser.get_defaults())
    flat = _flattened({section: value for section, value in values.items() if section in known})
    parser.set_defaults(flat)


def _flattened(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        is_section = isinstance(value, dict) and f"{prefix}{key}" not in _MAPPINGS
        flat |= _flattened(value, f"{prefix}{key}.") if is_section else {f"{prefix}{key}": value}
    return flat


# Settings that are mappings themselves, not sections.
_MAPPINGS = (
    "model.overrides",
    "finetuning.per_task",
    "cleaning.evaluation_sets",
    "export.thresholds",
)


def _with_json_lists(arguments: list[str]) -> list[str]:
    """Spell out aliases, and turn `--tasks cola,rte` into the list jsonargparse expects."""
    lists = (*_LIST_OPTIONS, *_LIST_OPTIONS_OF.get(arguments[0] if arguments else "", ()))
    spelled: list[str] = []
    for argument in arguments:
        name, equals, value = argument.partition("=")
        name = _ALIASES.get(name, name)
        if name.startswith("--"):
            section, dot, setting = name.rpartition(".")
            name = f"{section}{dot}{rename_setting(setting, source='command line')}"
        if name.startswith("--") and equals:
            spelled += [name, value] if name in lists else [f"{name}={value}"]
        else:
            spelled.append(name if argument.startswith("--") else argument)
    for index, name in enumerate(spelled[:-1]):
        if name in lists and not spelled[index + 1].startswith("["):
            spelled[index + 1] = json.dumps(spelled[index + 1].split(","))
    return spelled
