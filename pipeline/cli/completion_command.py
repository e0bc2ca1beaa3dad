"""The command `albert completion`: what a shell offers when Tab is pressed."""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Literal

from pipeline.cli.commands import COMMANDS, Command, CommandGroup, Commands
from pipeline.cli.help import PRINT_CONFIG
from pipeline.cli.options import ALIASES, find_options, find_sections
from pipeline.cli.parsing import CommandParser

Shell = Literal["bash", "zsh"]

# zsh runs completions of bash by a function of its own.
_OF_ZSH = "#compdef albert\nautoload -U +X bashcompinit && bashcompinit\n"
# In both shells: names with a dot are offered once a section is typed, which keeps lists short;
# files where there is nothing to offer. bash takes = for a word of its own.
_BEGIN = """\
_albert_words() {
    local current="${COMP_WORDS[COMP_CWORD]}" previous="${COMP_WORDS[COMP_CWORD-1]}"
    local command="${COMP_WORDS[1]//_/-}" names="" settings="" sections="" values=""
    if [ "$current" = "=" ]; then
        current=""
    elif [ "$previous" = "=" ]; then
        previous="${COMP_WORDS[COMP_CWORD-2]}"
    fi
    COMPREPLY=()
    if [ "$COMP_CWORD" -eq 1 ]; then
        COMPREPLY=( $(compgen -W "COMMANDS --help --version" -- "$current") )
        return
    fi
"""
_GROUP = """\
    if [ "$command" = "GROUP" ]; then
        if [ "$COMP_CWORD" -eq 2 ]; then
            COMPREPLY=( $(compgen -W "COMMANDS --help" -- "$current") )
            return
        fi
        command="GROUP ${COMP_WORDS[2]}"
    fi
"""
_END = """\
    case "$previous" in
        --help) values="$sections" ;;
    esac
    if [ -n "$values" ]; then
        COMPREPLY=( $(compgen -W "$values" -- "$current") )
        return
    fi
    case "$current" in
        -*.*) COMPREPLY=( $(compgen -W "$settings" -- "$current") ) ;;
        -*) COMPREPLY=( $(compgen -W "$names" -- "$current") ) ;;
    esac
}
complete -o default -F _albert_words albert
"""
# zsh reads the file when Tab is pressed first, and takes the file for the function _albert.
_END_OF_ZSH = """\
if [ "${funcstack[1]}" = "_albert" ]; then
    _bash_complete -o default -F _albert_words
fi
"""


def completion(shell: Shell) -> None:
    """Print completions of commands, options, sections and values for a shell.

    bash: `albert completion bash > ~/.local/share/bash-completion/completions/albert`. zsh: `albert
    completion zsh > ~/.zfunc/_albert`, with `fpath+=~/.zfunc` before `compinit` in ~/.zshrc. Either
    takes a few seconds, and is in force in the next shell.

    Args:
        shell: The shell.
    """
    print(completion_script(COMMANDS, shell), end="")


def completion_script(commands: Commands, shell: Shell) -> str:
    """Return the text of a shell's completions of `albert`.

    Imports every command and makes its parser, which takes a few seconds.

    Args:
        commands: The commands, with those of groups.
        shell: The shell.
    """
    groups = {name: entry for name, entry in commands.items() if isinstance(entry, CommandGroup)}
    parts = [
        _OF_ZSH if shell == "zsh" else "",
        _BEGIN.replace("COMMANDS", " ".join(commands)),
        *(
            _GROUP.replace("GROUP", name).replace("COMMANDS", " ".join(group.commands))
            for name, group in groups.items()
        ),
        '    case "$command" in\n',
        *(_command_branch(name, command) for name, command in _all_commands(commands)),
        "    esac\n",
        _END,
        _END_OF_ZSH if shell == "zsh" else "",
    ]
    return "".join(parts)


def _all_commands(commands: Commands) -> Iterator[tuple[str, Command]]:
    """Yield what is typed for each command, with its group before it, and its function."""
    for name, entry in commands.items():
        if isinstance(entry, CommandGroup):
            yield from (
                (f"{name} {inner}", command.load()) for inner, command in entry.commands.items()
            )
        else:
            yield name, entry.load()


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Words:
    """What may follow a command.

    Attributes:
        names: Options without a dot.
        settings: Options with one.
        sections: Sections, for the help.
        values: The values of each option that has few, but for truth values.
        first: The values of the command's first argument, if it has few.
    """

    names: list[str]
    settings: list[str]
    sections: list[str]
    values: Mapping[str, tuple[str, ...]]
    first: tuple[str, ...]


def _words_of(command: Command) -> _Words:
    """Return what may follow a command, by its signature; takes up to 0.25 s."""
    parser = CommandParser(command)
    command_options = list(find_options(parser.parser))
    options = [option for option in command_options if option.is_named]
    sections = list(find_sections(parser.parser))
    known = {option.name for option in options}
    names = [
        *(option.name for option in options if not option.section),
        *(f"--{name}" for name in sections if "." not in name),
        *(alias for alias, full in ALIASES.items() if full in known),
        *((PRINT_CONFIG,) if parser.takes_config else ()),
        "--help",
        "--help-all",
    ]
    return _Words(
        names=list(dict.fromkeys(names)),
        settings=[option.name for option in options if option.section],
        sections=sections,
        values={
            option.name: option.choices
            for option in options
            if option.choices and not option.is_switch
        },
        first=next((option.choices for option in command_options if not option.is_named), ()),
    )


def _command_branch(name: str, command: Command) -> str:
    """Return the branch of the script's `case` that sets what may follow a command.

    It sets the script's variables `names`, `settings` and `sections`, and `values` behind an option
    that has few of them, and behind the command itself if its first argument has few.

    Args:
        name: What is typed for the command, with its group before it.
        command: Its function.
    """
    words = _words_of(command)
    lines = [
        f'        "{name}")',
        f'            names="{" ".join(words.names)}"',
        f'            settings="{" ".join(words.settings)}"',
        f'            sections="{" ".join(words.sections)}"',
        f'            [ "$COMP_CWORD" -eq 2 ] && values="{" ".join(words.first)}"',
        '            case "$previous" in',
        *(
            f'                {option}) values="{" ".join(choices)}" ;;'
            for option, choices in words.values.items()
        ),
        "            esac",
        "            ;;",
    ]
    return "\n".join(lines) + "\n"
