"""Tasks that people declare in a YAML file, which comes with their data."""

import re
from collections.abc import Collection, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from albert_core.errors import InputError
from albert_core.settings import parse_settings, texts_as_written
from albert_core.settings.yaml_text import load_yaml, load_yaml_as_text
from albert_core.storage import read_bytes
from albert_core.tasks.found_labels import refuse_unknown_labels
from albert_core.tasks.reading import SPLITS
from albert_core.tasks.source import Source, Split
from albert_core.tasks.task import Task

DECLARATION_NAME = "task.yaml"

_PLAIN_NAME = re.compile(r"(?!\.)[^/\\\x00-\x1f]+")


def read_task_file(path: str | Path) -> Task:
    """Return the task that a YAML file declares, in any storage, as `read_declaration` does.

    Raises:
        InputError: The file is missing, no YAML, its declaration is wrong, or it declares no labels
            where the task needs some: they are not looked for.
        ServiceError: The storage failed.
    """
    task = read_declaration(path)[0]
    refuse_unknown_labels(task)
    return task


def read_declaration(path: str | Path) -> tuple[Task, Collection[Split]]:
    """Return the task that a YAML file in any storage declares, and the splits it says nothing of.

    Its keys are the fields of `Task`; a source may be given as the name of its file alone. Dev and
    test files that are not declared are none; training files that are not are `train.tsv`, or
    `train.jsonl` where a list of words has a name. Whether the files exist is not looked at.

    Raises:
        InputError: The file is missing, no YAML, or the declaration is wrong, has training or dev
            files without labels, or leads out of the folders of task and results.
        ServiceError: The storage failed.
    """
    data = read_bytes(str(path))
    values = load_yaml(data, source=str(path))
    written = load_yaml_as_text(data, source=str(path))
    undeclared: Collection[Split] = ()
    if isinstance(values, Mapping):
        undeclared = [split for split in SPLITS if split not in values]
        values = texts_as_written(Task, _with_lists(values), _with_lists(written))
        values = {**_usual_training_files(values), "dev": [], **values}
    task = parse_settings(Task, values, source=str(path))
    _refuse_outside_paths(task, path)
    _refuse_missing_labels(task, path)
    return task, undeclared


def _usual_training_files(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the training files of a declaration without any, if they are not `train.tsv`.

    That file would have words in CoNLL's columns, which have no names.
    """
    texts = values.get("texts")
    is_named = isinstance(texts, list) and any(isinstance(text, str) for text in texts)
    has_tags = values.get("kind") == "token_classification"
    return {"train": _sources("train.jsonl")} if has_tags and is_named else {}


def _refuse_missing_labels(task: Task, path: str | Path) -> None:
    """Refuse training and dev files without labels, of which nothing can be learned or scored.

    Raises:
        InputError: There is such a file; names the first.
    """
    for split in ("train", "dev"):
        for source in task.sources(split):
            if not source.is_labelled:
                raise InputError(
                    f"{path}: got is_labelled: false for {source.file} of the {split} set, "
                    "expected labels there: only test files may lack them"
                )


def _refuse_outside_paths(task: Task, path: str | Path) -> None:
    """Refuse names of a task, its submissions and files that lead out of their folders.

    Raises:
        InputError: A name is empty, begins with a dot or holds a slash, a backslash or a control
            character, or a file's path is absolute or holds `..`; names the first.
    """
    # A declaration comes with other people's data, and the name of its task becomes part of the
    # names of folders and logs: "../.." in it would write anywhere.
    sources = [source for split in SPLITS for source in task.sources(split)]
    names = [task.name, *(source.submission for source in sources if source.submission)]
    if wrong := [name for name in names if not _PLAIN_NAME.fullmatch(name)]:
        raise InputError(
            f"{path}: got name {wrong[0]!r}, expected one without '/' that does not begin with '.'"
        )
    if outside := [source.file for source in sources if not _is_below(source)]:
        raise InputError(
            f"{path}: got file {outside[0]!r}, expected a path below the task's folder"
        )


def _is_below(source: Source) -> bool:
    file = PurePosixPath(source.file)
    return not file.is_absolute() and ".." not in file.parts


def _with_lists(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return a declaration in which the lists that may be given as one value are lists.

    A file's name alone becomes a source with this file.
    """
    files: dict[str, Any] = {split: _sources(values[split]) for split in SPLITS if split in values}
    lists = {
        key: [values[key]]
        for key in ("texts", "labels", "skipped_labels", "metrics", "combined")
        if isinstance(values.get(key), str | int | float)
    }
    return {**values, **files, **lists}


def _sources(value: Any) -> list[Any]:
    """Return a list of sources by keys, from a file's name, a source or a list of these."""
    items = value if isinstance(value, list) else [value]
    return [{"file": item} if isinstance(item, str) else item for item in items]
