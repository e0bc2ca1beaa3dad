"""What of a task's declaration counts in the hashes by which finished work is found."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from albert_core.tasks.task import Source, Task

# Fields that the first versions did not have: with their defaults they are no part of a hash, so
# that work of these versions is found.
_LATER_FIELDS: Mapping[type, tuple[str, ...]] = {
    Task: ("class_names", "dev_fraction", "dev_seed", "labels_from"),
    Source: ("delimiter",),
}


def fingerprinted_values(task: Task) -> dict[str, Any]:
    """Return a declaration as plain values by name, for a hash of it.

    Fields that the first versions did not have are left out where they are as their defaults.
    """
    values = _without_later_defaults(task)
    for split in ("train", "dev", "test"):
        values[split] = [_without_later_defaults(source) for source in getattr(task, split)]
    return values


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
