"""YAML as people write it, without keys that are there twice and without anchors in a circle."""

import contextlib
import json
import math
from typing import Any

import yaml

from albert_core.errors import InputError
from albert_core.settings.json_values import has_lone_surrogate

_MERGE = "tag:yaml.org,2002:merge"
_MOST_NODES = 100_000  # of a document with its aliases written out


def load_yaml(data: str | bytes, *, source: str) -> Any:
    """Return the value of one document of YAML; None for an empty document.

    Args:
        data: The text, or its bytes in UTF-8 or UTF-16.
        source: Where it comes from, for messages.

    Raises:
        InputError: It is not YAML, or several documents, a key is twice in a mapping, half of a
            pair of surrogates is in it, an anchor contains itself, or the aliases in it make it too
            large.
    """
    return _load(data, yaml.SafeLoader, source)


def load_yaml_as_text(data: str | bytes, *, source: str) -> Any:
    """Return the value of one document of YAML, all but its lists and mappings as text.

    Numbers, truth values, dates and nulls are as they are written. None for an empty document.

    Args:
        data: The text, or its bytes in UTF-8 or UTF-16.
        source: Where it comes from, for messages.

    Raises:
        InputError: It is not YAML, or several documents, or something that `refuse_repeated_keys`
            refuses is in it.
    """
    return _load(data, yaml.BaseLoader, source)


def to_flow_yaml(value: Any) -> str:
    """Return a plain value as YAML in one line, lists and mappings in brackets and braces.

    Keys keep their order. A value that YAML would write in several lines is written as JSON.
    """
    text = yaml.safe_dump(
        value, default_flow_style=True, width=math.inf, allow_unicode=True, sort_keys=False
    )
    text = text.removesuffix("...\n").strip()
    return json.dumps(value) if "\n" in text else text


def refuse_repeated_keys(data: str | bytes, *, source: str) -> None:
    """Refuse YAML for a repeated key and the like, without making its values.

    Refused are a key that is twice in a mapping (PyYAML would drop the first), half of a pair of
    surrogates, an anchor that contains itself, and over 100,000 values, those of aliases counted
    each time. What is not YAML passes.

    Args:
        data: The text, or its bytes in UTF-8 or UTF-16.
        source: Where it comes from, for messages.

    Raises:
        InputError: Something of this is there; names the place.
    """
    try:
        node = yaml.compose(data, Loader=yaml.SafeLoader)
    # OverflowError: of an escape such as \UFFFFFFFF, which is no character.
    except (yaml.YAMLError, ValueError, OverflowError, RecursionError):
        return
    with contextlib.suppress(RecursionError):
        _Checker(source).check(node)


class _Checker:
    """Checks the nodes of a document.

    Args:
        source: Where it comes from, for messages.
    """

    def __init__(self, source: str) -> None:
        self._source = source
        self._sizes: dict[int, int] = {}  # of collections that were checked, with their aliases
        self._open: set[int] = set()

    def check(self, node: yaml.Node | None) -> int:
        """Refuse a node for what is in it, at any depth; return how many nodes that is.

        An alias counts as often as it occurs: whatever goes through the values meets it as often.

        Raises:
            InputError: A key is twice in a mapping (but `<<`, which merges), half of a pair of
                surrogates is in a scalar, a node contains itself, or there are over 100,000 nodes.
        """
        if isinstance(node, yaml.ScalarNode) and has_lone_surrogate(node.value):
            raise InputError(
                f"{self._place(node)}: got half a character (a lone surrogate), expected text "
                "without"
            )
        if not isinstance(node, yaml.CollectionNode):
            return 1
        if id(node) in self._open:
            raise InputError(
                f"{self._place(node)}: got an anchor that contains itself, expected none in a "
                "circle"
            )
        if id(node) not in self._sizes:
            self._open.add(id(node))
            self._sizes[id(node)] = self._check_items(node)
            self._open.remove(id(node))
        return self._sizes[id(node)]

    def _check_items(self, node: yaml.CollectionNode) -> int:
        """Check keys and items of a mapping or sequence, at any depth; return its number of nodes.

        Raises:
            InputError: Raised by `check`: a key is there twice, there are over 100,000 nodes, or an
                item is refused.
        """
        if isinstance(node, yaml.MappingNode):
            self._refuse_repeated_keys(node)
            size = 1 + sum(self.check(key) + self.check(value) for key, value in node.value)
        else:
            size = 1 + sum(map(self.check, node.value))
        if size > _MOST_NODES:
            raise InputError(
                f"{self._place(node)}: got over {_MOST_NODES:,} values, those of aliases counted "
                "each time, expected fewer"
            )
        return size

    def _refuse_repeated_keys(self, node: yaml.MappingNode) -> None:
        """Refuse a mapping in which a scalar key is twice, with the same type and text; not `<<`.

        Raises:
            InputError: There is one; names both lines.
        """
        lines: dict[tuple[str, str], int] = {}
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode) or key.tag == _MERGE:
                continue
            line = key.start_mark.line + 1
            if first := lines.get((key.tag, key.value)):
                raise InputError(
                    f"{self._source}: got {key.value!r} in line {first} and again in line {line}, "
                    "expected it once"
                )
            lines[key.tag, key.value] = line

    def _place(self, node: yaml.Node) -> str:
        return f"{self._source}, line {node.start_mark.line + 1}"


def _load(data: str | bytes, loader: type[Any], source: str) -> Any:
    """Check and load a document with a loader of PyYAML.

    Raises:
        InputError: `refuse_repeated_keys` refuses it, or it is not one document of YAML.
    """
    refuse_repeated_keys(data, source=source)
    try:
        return yaml.load(data, Loader=loader)
    # ValueError: of a date that is none, or a number of too many digits.
    except (yaml.YAMLError, ValueError, OverflowError, RecursionError) as error:
        raise InputError(f"{source}: not YAML: {' '.join(str(error).split())}") from error
