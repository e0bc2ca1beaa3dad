"""What people set in `beam.options`: options of Beam in either of the forms that it takes."""

from collections.abc import Mapping, Sequence

from albert_core.errors import InputError

_NAME_REASON = "jobs of the same work find each other by the name that this program gives them"
NAME_OPTIONS: Mapping[str, str] = {"--job_name": _NAME_REASON, "--app_name": _NAME_REASON}
"""The options by which a job gets another name, and why that does not suit."""


def join_options(options: Sequence[str]) -> list[str]:
    """Return options as `--name=value`, also those that are given as `--name` and `value`.

    What begins with `-` is taken for an option, and never for the value of the one before.
    """
    joined: list[str] = []
    for option in options:
        if not option.startswith("-") and joined and "=" not in joined[-1]:
            joined[-1] += f"={option}"
        else:
            joined.append(option)
    return joined


def has_option(options: Sequence[str], name: str) -> bool:
    """Return whether an option, such as `--project`, is given with a value.

    A flag, which has no value, is not found.
    """
    return any(option.startswith(f"{name}=") for option in join_options(options))


def refuse_options(options: Sequence[str], reasons: Mapping[str, str]) -> None:
    """Refuse options that do not suit.

    Args:
        options: The setting `beam.options`.
        reasons: Names of refused options, and the reason of each.

    Raises:
        InputError: There is such an option, with a value or without.
    """
    for option in options:
        name = option.partition("=")[0]
        if reason := reasons.get(name):
            raise InputError(f"beam.options: got {name}, which does not suit: {reason}; remove it")
