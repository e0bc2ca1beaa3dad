"""A function as a command: its signature is the command line, its docstring the help.

Parameters before a bare `*` are arguments, of which one with the default `()` takes any number; all
others are options. A dataclass is a section of dotted options (`--vocab.size`) that also takes a
YAML file (`--vocab vocab.yaml`), a tuple of plain values takes several separated by commas.
Commands whose options are settings of a run take `--config`.
"""

import argparse
import contextlib
import dataclasses
import inspect
import json
import typing
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import docstring_parser
import jsonargparse

from albert_core.errors import InputError
from albert_core.object_storage.settings import StorageConfig
from albert_core.settings.old_names import rename_setting, rename_settings
from pipeline.cli.argument_values import (
    addresses_in,
    given_options,
    is_mapping,
    refuse_repeated_keys_in,
    refuse_repeated_options,
    section_as_yaml,
)
from pipeline.cli.commands import Command
from pipeline.cli.options import ALIASES, is_truth_value
from pipeline.cli.parsing_errors import describe_error
from pipeline.config import RunConfig, to_values, with_recipes
from pipeline.config_files import read_config, read_run_values

_CHECKPOINT_VOCAB = "--checkpoint.vocab"
# Options whose values may hold a comma or begin with a bracket: names of files and folders.
_ADDRESS_LISTS = {"--corpus.files", "--records_dir", "--finetuned_dirs", "--evaluation_dirs"}
_TRUTH_VALUES = ("true", "false", "yes", "no", "null")
# Parameters that the file of a run sets; `**settings` is all of them.
_RUN_SETTINGS = {"settings", *(field.name for field in dataclasses.fields(RunConfig))}


def get_summary(command: Command) -> str:
    """Return the first line of a command's docstring; empty if it has none."""
    return (command.__doc__ or "").partition("\n")[0]


def get_description(command: Command) -> str:
    """Return a command's docstring before its arguments, in one paragraph."""
    described = docstring_parser.parse(inspect.getdoc(command) or "")
    parts = (described.short_description, described.long_description)
    return " ".join(" ".join(part.split()) for part in parts if part)


class CommandParser:
    """The parser of one command.

    Call `spell_out` on the arguments, then `take_defaults`, then `parse`, and pass the result to
    `get_settings`.

    Attributes:
        parser: jsonargparse's parser.
        description: What the command does, for its help.
        takes_config: Whether there is `--config`: the command has settings of a run, and no
            argument without a name.
        sections: Dotted names of the options that stand for a whole dataclass.
        given: Dotted names of all options that were given and of the settings in the file; empty
            until `take_defaults` fills it.
    """

    def __init__(self, command: Command) -> None:
        """Build the parser from the command's signature and docstring; takes up to 0.25 s.

        It has `--config`, too, if the command takes a run's configuration, and lists without a name
        as positional arguments that may be missing. Every command has the section `storage`.
        Nothing is parsed yet.
        """
        self.takes_config = _takes_config(command)
        self.description = get_description(command)
        self.parser = jsonargparse.ArgumentParser(
            exit_on_error=False, allow_abbrev=False, description=get_summary(command)
        )
        if self.takes_config:
            self.parser.add_argument(
                "--config",
                type=str,
                default="",
                help="YAML file of a run, or the name of a model preset; options given here win",
            )
        self._lists = lists = _nameless_lists(command)
        self.parser.add_function_arguments(
            command, as_group=False, as_positional=True, skip=set(lists)
        )
        actions: list[Any] = self.parser._actions  # to ask for all defaults takes far longer
        self._has_own_storage = any(action.dest == "storage" for action in actions)
        if not self._has_own_storage:
            self.parser.add_argument("--storage", type=StorageConfig, default=StorageConfig())
        for name in lists:
            # jsonargparse would make an option of it, since it need not be given.
            self.parser.add_argument(name, nargs="*", type=str, default=[], help=lists[name])
        sections: dict[str, type] = {
            action.dest: action.basetype
            for action in actions
            if dataclasses.is_dataclass(getattr(action, "basetype", None))
        }
        self.sections = set(sections)
        self._section_types = {f"--{name}": section for name, section in sections.items()}
        self.given: set[str] = set()
        self._options = {option for action in actions for option in action.option_strings}

    def spell_out(self, arguments: list[str]) -> list[str]:
        """Return arguments as jsonargparse takes them.

        Dashes in names become underscores, and a truth value given by its name alone is followed by
        `true`. Aliases and old names of settings become today's names (an old name is told once on
        standard error); `--tasks cola,rte` becomes a JSON list; `--vocab` with a path becomes the
        checkpoint's vocabulary, where a command takes one; the name of a section's YAML file
        becomes its content, since jsonargparse would take it for a name to import.

        Raises:
            InputError: The file of a section is missing or does not hold settings; a list, a
                section, --config or a key of a mapping is given twice, so that the first value
                would be lost; or a folder that a glob looks into cannot be read.
            ServiceError: The storage of a section's file or of a listed address failed.
        """
        arguments = self._with_truth_values(list(map(self._with_underscores, arguments)))
        lists = set(self._list_options())
        sections = {f"--{name}" for name in self.sections}
        spelled: list[str] = []
        for argument in arguments:
            if not argument.startswith("--"):
                refuse_repeated_keys_in(argument, source=spelled[-1] if spelled else argument)
                spelled.append(argument)
                continue
            option, equals, value = argument.partition("=")
            option = self._todays_name(option)
            refuse_repeated_keys_in(value, source=option)
            if equals and option in lists | sections:
                spelled += [option, value]
            else:
                spelled.append(f"{option}{equals}{value}")
        refuse_repeated_options(spelled, lists | sections | {"--config"})
        for index, option in enumerate(spelled[:-1]):
            value = spelled[index + 1]
            if option in lists & _ADDRESS_LISTS and (values := addresses_in(value)):
                spelled[index + 1] = json.dumps(values)
            elif option in lists and not value.startswith(("[", "-")):
                spelled[index + 1] = json.dumps([item.strip() for item in value.split(",")])
            elif option == "--vocab" and self._names_vocabulary(value):
                spelled[index] = _CHECKPOINT_VOCAB
            elif option in sections and not value.startswith("--"):
                spelled[index + 1] = section_as_yaml(option, value, self._section_types[option])
        return spelled

    def _with_underscores(self, argument: str) -> str:
        """Return an argument with underscores in place of the dashes of an option's name.

        Anything else stays as it is: a value, and the name of what is no option or alias.
        """
        option, equals, value = argument.partition("=")
        name = f"--{option[2:].replace('-', '_')}"
        is_option = argument.startswith("--") and name in {*self._options, *ALIASES}
        return f"{name}{equals}{value}" if is_option else argument

    def _with_truth_values(self, arguments: list[str]) -> list[str]:
        """Return arguments with `true` behind each truth value that is given as its name alone.

        People write `--reconfigure`, and messages tell them to. What follows it is its value if
        it looks like one, or if the command has no argument without a name that it could be.
        """
        has_arguments = any(not action.option_strings for action in self.parser._actions)
        names = {
            name
            for action in self.parser._actions
            if is_truth_value(getattr(action, "_typehint", None))
            for name in action.option_strings
        }
        spelled: list[str] = []
        for argument, following in zip(arguments, [*arguments[1:], ""], strict=False):
            spelled.append(argument)
            is_value = following.lower() in _TRUTH_VALUES or (
                following != "" and not following.startswith("--") and not has_arguments
            )
            if {argument, ALIASES.get(argument)} & names and not is_value:
                spelled.append("true")
        return spelled

    def _todays_name(self, option: str) -> str:
        """Return an option with its short name and the old name of a setting replaced.

        A short name is replaced only if the command has the option that it stands for. An old name
        is reported on standard error, once per process.
        """
        alias = ALIASES.get(option, option)
        section, dot, setting = (alias if alias in self._options else option).rpartition(".")
        return f"{section}{dot}{rename_setting(setting, source='command line')}"

    def _names_vocabulary(self, value: str) -> bool:
        """Return whether a value of `--vocab` is a checkpoint's vocabulary, not a section's file.

        It can be one only in commands with `--checkpoint.vocab`. There it is one unless it is the
        next option, a mapping in YAML, or a file whose name ends in .yaml, .yml or .json.
        """
        is_section = value.startswith("-") or value.endswith((".yaml", ".yml", ".json"))
        return _CHECKPOINT_VOCAB in self._options and not is_section and not is_mapping(value)

    def take_defaults(self, arguments: list[str]) -> None:
        """Make the configuration that `--config` names the defaults of `parser`'s options.

        All of its settings become defaults: those that the file leaves out with the defaults of
        `RunConfig`. Settings that the command has no option for are checked, but not used. `given`
        gets the names of the options among the arguments and of the settings that are written in
        the file. Without `--config`, or in a command that does not take it, `given` gets those of
        the options, and nothing else is done.

        Args:
            arguments: The arguments, as `spell_out` returns them; `--config` in them names a file,
                local, gs:// or s3://, or a model preset.

        Raises:
            InputError: The file is missing, or a name, a type or a value in it is wrong.
            ServiceError: The storage of the file failed.
        """
        self.given |= set(given_options(arguments))
        if not self.takes_config:
            return
        finder = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
        finder.add_argument("--config", type=str, default="")
        path: str = finder.parse_known_args(arguments)[0].config
        if not path:
            return
        known = {action.dest.partition(".")[0] for action in self.parser._actions}
        # A command's own option may be called as a section of the run is: `--vocab FILE`.
        values = {
            name: value
            for name, value in to_values(read_config(path)).items()
            if name in known and (name in self.sections or not isinstance(value, Mapping))
        }
        self.given |= {name for name, _ in self._flatten(rename_settings(read_run_values(path)))}
        with self._input_errors():
            self.parser.set_defaults(dict(self._flatten(values)))

    def parse(self, arguments: Sequence[str], *, needs_all: bool = True) -> jsonargparse.Namespace:
        """Return the values of arguments that are spelled out; all others have their defaults.

        Those are the ones of `take_defaults`, if it was called.

        Args:
            arguments: As `spell_out` returns them.
            needs_all: Whether required options must be there; else they may be missing, and are
                None. Positional arguments must be there in any case.

        Raises:
            InputError: An option is unknown or missing, or a value has a wrong type.
        """
        with self._input_errors(), contextlib.ExitStack() as stack:
            for action in self.parser._actions:
                if action.required and action.option_strings and not needs_all:
                    action.required = False
                    stack.callback(setattr, action, "required", True)
            return self.parser.parse_args(arguments)

    @contextlib.contextmanager
    def _input_errors(self) -> Iterator[None]:
        """Turn an error of jsonargparse that the body raises into an InputError of one line."""
        try:
            yield
        except jsonargparse.ArgumentError as error:
            raise InputError(describe_error(error, self._options - {"-h", "--help"})) from error

    def get_settings(self, parsed: jsonargparse.Namespace) -> dict[str, Any]:
        """Return the arguments of the command's function: parsed values, sections as dataclasses.

        Where a run starts from a checkpoint, and in the estimate of a fine-tuning, tasks have their
        recipes (`with_recipes`). The section `storage` holds for this process from now on.

        Raises:
            InputError: A value is impossible.
        """
        with self._input_errors():
            settings = self.parser.instantiate(parsed).as_dict()
        settings |= {name: tuple(settings[name]) for name in self._lists}
        if self.takes_config:
            del settings["config"]
        settings["storage"].apply()
        if not self._has_own_storage:
            del settings["storage"]
        if _starts_from_model(settings):
            section = "finetuning."
            given = {name.split(".")[1] for name in self.given if name.startswith(section)}
            settings["finetuning"] = with_recipes(settings["finetuning"], given)
        return settings

    def _list_options(self) -> Iterator[str]:
        """Yield the options (`--tasks`) whose type is a tuple of plain values; no dataclasses."""
        for action in self.parser._actions:
            hint = getattr(action, "_typehint", None)
            if typing.get_origin(hint) is tuple and not dataclasses.is_dataclass(
                typing.get_args(hint)[0]
            ):
                yield from action.option_strings

    def _flatten(self, values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
        """Yield name and value of every option, with the sections' settings under dotted names.

        A mapping that is no section is the value of one option, and is left whole.

        Args:
            values: Nested settings.
            prefix: Dotted name of the section they are in, with a dot at the end; empty at the top.
        """
        for key, value in values.items():
            name = f"{prefix}{key}"
            if isinstance(value, Mapping) and name in self.sections:
                yield from self._flatten(value, f"{name}.")
            else:
                yield name, value


def _starts_from_model(settings: Mapping[str, Any]) -> bool:
    """Return whether a command is about fine-tuning a finished model, by its settings.

    True for a command with the section `checkpoint` if that has a path; for any other if it is the
    estimate (it has `accelerator`) of a task.
    """
    if "checkpoint" in settings:
        return bool(settings["checkpoint"].path)
    return "accelerator" in settings and bool(settings["task"])


def _takes_config(command: Command) -> bool:
    """Return whether a command has `--config`: settings of a run, and no nameless argument.

    Arguments that need not be given do not count.
    """
    parameters = inspect.signature(command).parameters
    has_arguments = any(
        p.kind is p.POSITIONAL_OR_KEYWORD and p.default is p.empty for p in parameters.values()
    )
    return not has_arguments and not _RUN_SETTINGS.isdisjoint(parameters)


def _nameless_lists(command: Command) -> dict[str, str]:
    """Return the parameters before a bare `*` that take any number of arguments, with their help.

    They are those whose default is an empty tuple. The help, by the parameter's name, is what the
    docstring says about it; empty if it says nothing.
    """
    parameters = inspect.signature(command).parameters.values()
    names = [p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD and p.default == ()]
    described = docstring_parser.parse(inspect.getdoc(command) or "").params if names else ()
    texts = {
        parameter.arg_name: " ".join((parameter.description or "").split())
        for parameter in described
    }
    return {name: texts.get(name, "") for name in names}
