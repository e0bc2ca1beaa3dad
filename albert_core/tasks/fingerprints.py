"""The part of a task's declaration that is hashed to find finished work again."""

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
    """Return the values of a task's declaration, by name, that are part of its hash.

    Left out are fields of later versions (`_LATER_FIELDS`) that have their defaults, of the task
    and of its files; `class_names` if they change no label; and `labels_from`, which only messages
    use. So work of earlier versions is still found.
    """
    values = _without_later_defaults(task)
    del values["labels_from"]  # a note for messages
    if not _class_names_count(task):
        values.pop("class_names", None)
    for split in ("train", "dev", "test"):
        values[split] = [_without_later_defaults(source) for source in getattr(task, split)]
    return values


def _class_names_count(task: Task) -> bool:
    """Return whether the class names can give a number in a file another label than its index does.

    If they are the labels in the same order, they change nothing: they only allow numbers in the
    file.
    """
    return any(
        str(number) not in task.labels and name in task.labels and task.labels.index(name) != number
        for number, name in enumerate(task.class_names)
    )


def _without_later_defaults(declaration: Task | Source) -> dict[str, Any]:
    """Return a declaration's values, without those of `_LATER_FIELDS` that have their defaults."""
    later = _LATER_FIELDS[type(declaration)]
    unchanged = {
        field.name
        for field in dataclasses.fields(declaration)
        if field.name in later and getattr(declaration, field.name) == field.default
    }
    values = dataclasses.asdict(declaration)
    return {name: value for name, value in values.items() if name not in unchanged}
