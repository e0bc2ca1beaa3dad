"""Globs over the folders of any storage, by one set of rules.

The rules are those of Python's `glob`: `*`, `?` and `[...]` match within one name, `**` any
folders, and none of them a name that begins with a dot. A name that is there as it is written is
taken literally, whatever signs it holds.
"""

import fnmatch
import re
from collections.abc import Callable, Iterable, Iterator

Parts = tuple[str, ...]
"""A path as the names between its slashes."""

_SIGNS = re.compile(r"[*?\[]")


def is_glob(name: str) -> bool:
    """Return whether a name holds a sign that a glob does not take literally."""
    return _SIGNS.search(name) is not None


def literal_beginning(pattern: str) -> str:
    """Return the part of a name before its first wildcard; all of one without wildcards."""
    return _SIGNS.split(pattern, maxsplit=1)[0]


def expand_glob(
    parts: Parts, names_in: Callable[[Parts], Iterable[str]], folder: Parts = ()
) -> Iterator[Parts]:
    """Yield the paths that match a glob, one maybe several times.

    `**` stands for any number of folders, also none, hidden ones left out; as the last part for all
    files and folders below it, hidden ones left out. A part without a sign of globs is taken as it
    is: the path need not exist.

    Args:
        parts: The glob, relative to the folder.
        names_in: Returns the names in a folder; none for a file or for a path that does not exist.
        folder: Where the glob begins.
    """
    if not parts:
        yield folder
        return
    first, rest = parts[0], parts[1:]
    if first == "**":
        if rest:
            yield from expand_glob(rest, names_in, folder)
        for name in _visible(names_in(folder)):
            if not rest:
                yield (*folder, name)
            yield from expand_glob(parts, names_in, (*folder, name))
        return
    for name in _matching_names(first, names_in, folder):
        yield from expand_glob(rest, names_in, (*folder, name))


def match_names(pattern: str, names: Iterable[str]) -> list[str]:
    """Return the names that match a glob, sorted, each once; their slashes count as folders'.

    The names of these folders are not among the matches.
    """
    names = set(names)
    folders: dict[Parts, set[str]] = {}
    for name in names:
        parts = tuple(name.split("/"))
        for depth, part in enumerate(parts):
            folders.setdefault(parts[:depth], set()).add(part)
    matches = expand_glob(tuple(pattern.split("/")), lambda folder: folders.get(folder, ()))
    return sorted(names.intersection(map("/".join, matches)))


def _matching_names(
    part: str, names_in: Callable[[Parts], Iterable[str]], folder: Parts
) -> Iterable[str]:
    """Return the names in a folder that one part of a glob (no `**`) matches, in any order.

    A part without a sign is returned as it is, existing or not; a name that is written exactly so
    is the only match. Hidden names match only a part that begins with a dot.
    """
    if not is_glob(part):
        return [part]
    names = set(names_in(folder))
    if part in names:
        return [part]
    matches = re.compile(fnmatch.translate(part)).match
    return filter(matches, names if part.startswith(".") else _visible(names))


def _visible(names: Iterable[str]) -> Iterator[str]:
    return (name for name in names if not name.startswith("."))
