"""What of a task's declaration counts in the hashes by which finished work is found."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from albert_core.tasks.source import Source
from albert_core.tasks.task import Task

# Fields that the first versions did not have: with their defaults they are no part of a hash, so
# that work of these versions is found.
_LATER_FIELDS: Mapping[type, tuple[str, ...]] = {
    Task: ("class_names", "dev_fraction", "dev_seed"),
    Source: ("delimiter",),
}


def fingerprinted_values(task: Task) -> dict[str, Any]:
    """Return a declaration as plain values by name, for a hash of it.

    Fields that the first versions did not have are left out where they are as their defaults. Class
    names are left out where they change no label, and what the labels are from always.
    """
    values = _without_later_defaults(task)
    del values["labels_from"]  # a note for messages
    if not _class_names_count(task):
        values.pop("class_names", None)
    for split in ("train", "dev", "test"):
        values[split] = [_without_later_defaults(source) for source in getattr(task, split)]
    return values


def _class_names_count(task: Task) -> bool:
    """Return whether a whole number in a file may be another label than its place says.

    Where the names are the labels in their order, rows with numbers could not be used without them.
    """
    return any(
        str(number) not in task.labels and name in task.labels and task.labels.index(name) != number
        for number, name in enumerate(task.class_names)
    )


def _without_later_defaults(declaration: Task | Source) -> dict[str, Any]:
    """Return a declaration's values without `_LATER_FIELDS` that are as their defaults."""
    later = _LATER_FIELDS[type(declaration)]
    unchanged = {
        field.name
        for field in dataclasses.fields(declaration)
        if field.name in later and getattr(declaration, field.name) == field.default
    }
    values = dataclasses.asdict(declaration)
    return {name: value for name, value in values.items() if name not in unchanged}
