"""Long lists of files, passed to a step by the name of a file that holds them.

A step of a local run gets its parameters as one argument of a process, for which Linux has room
for 131,072 bytes: a corpus of 3,000 files, named singly, has more.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from albert_core.files.atomic import hash_json, write_atomically
from albert_core.settings.json_values import as_texts, parse_json
from albert_core.storage import read_bytes

_LIST_KEY = "listed_in"
_LONGEST = 30_000  # bytes of a list that stays among the parameters


def write_long_lists(arguments: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Write a run's long lists of files to a folder; return the arguments that name them instead.

    The lists are the files of the corpus and of its evaluation sets. Each list of more than
    _LONGEST (30,000) bytes of JSON becomes a file of its own, named after its hash, so that another
    list is another parameter, and a mapping with the file's path takes its place, which
    `read_lists` reads. Shorter lists stay. `arguments` is not changed.

    Args:
        arguments: The pipeline's arguments; sections that they lack are passed over. A section
            `corpus` must have `files`, and `cleaning` must have `evaluation_sets`.
        folder: Folder of the lists; made if there is a long one.
    """
    changed = dict(arguments)
    if "corpus" in arguments:
        corpus = arguments["corpus"]
        changed["corpus"] = {**corpus, "files": _shorten(corpus["files"], folder)}
    if "cleaning" in arguments:
        cleaning = arguments["cleaning"]
        sets = {
            name: _shorten(files, folder) for name, files in cleaning["evaluation_sets"].items()
        }
        changed["cleaning"] = {**cleaning, "evaluation_sets": sets}
    return changed


def read_lists(section: Mapping[str, Any]) -> dict[str, Any]:
    """Return a section of settings with the lists of files that `write_long_lists` took out of it.

    Lists that it left, and sections without lists, are returned as they are.

    Raises:
        InputError: A file of a list is gone, or holds something else.
        ServiceError: The storage of such a file failed.
    """
    values = dict(section)
    if "files" in values:
        values["files"] = _read(values["files"])
    if "evaluation_sets" in values:
        sets = values["evaluation_sets"]
        values["evaluation_sets"] = {name: _read(files) for name, files in sets.items()}
    return values


def _shorten(files: list[str], folder: Path) -> list[str] | dict[str, str]:
    """Return a list as it is; one of more than _LONGEST bytes of JSON is written to the folder.

    Of that one a dict with the file's path is returned, under _LIST_KEY.
    """
    text = json.dumps(files)
    if len(text.encode()) <= _LONGEST:
        return files
    path = folder / f"{hash_json(files)[:16]}.json"
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(path, text.encode())
    return {_LIST_KEY: str(path)}


def _read(files: Any) -> Any:
    """Return the list in the file that `_shorten` wrote; any other value as it is.

    Raises:
        InputError: The file is gone, or holds no list of texts.
        ServiceError: The storage failed.
    """
    if not isinstance(files, Mapping) or _LIST_KEY not in files:
        return files
    path = files[_LIST_KEY]
    return as_texts(parse_json(read_bytes(path), path), path)
