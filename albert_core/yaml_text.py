"""YAML as people write it, without keys that are there twice."""

import contextlib
from typing import Any

import yaml

from albert_core.errors import InputError

_MERGE = "tag:yaml.org,2002:merge"


def load_yaml(data: str | bytes, *, source: str) -> Any:
    """Return what one document of YAML says.

    Args:
        data: The text, or its bytes in UTF-8 or UTF-16.
        source: Where it comes from, for messages.

    Raises:
        InputError: It is not YAML, or a key is twice in a mapping.
    """
    refuse_repeated_keys(data, source=source)
    return _load(data, yaml.SafeLoader, source)


def load_yaml_as_text(data: str | bytes, *, source: str) -> Any:
    """Return what one document of YAML says, with all numbers and truth values as written.

    Arguments and errors are those of `load_yaml`.
    """
    refuse_repeated_keys(data, source=source)
    return _load(data, yaml.BaseLoader, source)


def refuse_repeated_keys(data: str | bytes, *, source: str) -> None:
    """Refuse YAML with a key twice in a mapping, of which PyYAML would drop the first.

    What is not YAML passes. Arguments are those of `load_yaml`.

    Raises:
        InputError: There is such a key; names it and its lines.
    """
    with contextlib.suppress(yaml.YAMLError):
        _check_node(yaml.compose(data, Loader=yaml.SafeLoader), source, set())


def _check_node(node: yaml.Node | None, source: str, checked: set[int]) -> None:
    """Refuse a key that is twice in a mapping; `<<`, which merges, may be there often.

    Args:
        node: Where to look, at any depth.
        source: Where it comes from, for messages.
        checked: The ids of nodes that were checked; an alias leads to one again, maybe in a circle.

    Raises:
        InputError: There is such a key.
    """
    if not isinstance(node, yaml.CollectionNode) or id(node) in checked:
        return
    checked.add(id(node))
    lines: dict[tuple[str, str], int] = {}
    for item in node.value:
        key, value = item if isinstance(node, yaml.MappingNode) else (None, item)
        if isinstance(key, yaml.ScalarNode) and key.tag != _MERGE:
            line = key.start_mark.line + 1
            if first := lines.get((key.tag, key.value)):
                raise InputError(
                    f"{source}: got {key.value!r} in line {first} and again in line {line}, "
                    "expected it once"
                )
            lines[key.tag, key.value] = line
        _check_node(value, source, checked)


def _load(data: str | bytes, loader: type[Any], source: str) -> Any:
    try:
        return yaml.load(data, Loader=loader)
    except (yaml.YAMLError, ValueError) as error:  # ValueError: of a date that is none
        raise InputError(f"{source}: not YAML: {' '.join(str(error).split())}") from error
