"""Split a dev set off the training rows of a task that has no dev files."""

import bisect
import hashlib
from collections.abc import Mapping, Sequence
from typing import cast

from albert_core.tasks.entities import OUTSIDE, entity_types, is_entity_tag
from albert_core.tasks.examples import Example, Question, TaggedSentence
from albert_core.tasks.task import Task

Row = Example | Question | TaggedSentence
_NUM_BINS = 10  # of scores


def choose_dev_rows(task: Task, rows: Sequence[Row]) -> list[bool]:
    """Return for each training row whether it belongs to the dev set.

    Rows of the same texts, whatever their case, and questions about the same context stay together:
    what the model is scored on is never trained on. The fraction `task.dev_fraction` of these
    groups is drawn, and of each class alike, as far as numbers allow; for a regression, each tenth
    of the scores counts as a class. A class with one group stays in the training set; but for
    `multi_label` and words with tags, where a class is a set of labels or types, all sets that only
    one group has count as one class. The draw is by a hash of `task.dev_seed` and the texts:
    neither order nor format of the files matters. From few rows, none may be drawn.

    Args:
        task: The task.
        rows: All training rows that can be used, with labels, in their order.
    """
    groups: dict[str, list[int]] = {}
    for number, row in enumerate(rows):
        groups.setdefault(_group(row, task), []).append(number)
    is_dev = [False] * len(rows)
    position = 0
    for stratum in _strata(task, rows, groups):
        for group in sorted(stratum, key=lambda texts: _draw(texts, task.dev_seed)):
            # Every n-th of all groups, one class after the other.
            before, after = (int(n * task.dev_fraction + 0.5) for n in (position, position + 1))
            position += 1
            if after > before:
                for number in groups[group]:
                    is_dev[number] = True
    return is_dev


def _group(row: Row, task: Task) -> str:
    """Return the key of a row's group, whose rows are not split.

    The context of a question, the text of multiple choice, the words of a sentence with tags, or
    else all texts in any order, without regard to case and white space.
    """
    if isinstance(row, Question):
        texts: Sequence[str] = (row.context,)
    elif isinstance(row, TaggedSentence):
        texts = (" ".join(row.words),)
    else:
        texts = row.texts[:1] if task.kind == "multiple_choice" else row.texts
    return "\0".join(sorted(" ".join(text.casefold().split()) for text in texts))


def _strata(
    task: Task, rows: Sequence[Row], groups: Mapping[str, Sequence[int]]
) -> list[list[str]]:
    """Return the groups of each class that has two or more, in the order of the classes' names.

    A class with one group is left out: it is learned rather than scored. For `multi_label`, the set
    of labels that apply together is a class; for words with tags, the set of types of entities in a
    sentence. There the classes with one group are not left out, but are the first class together. A
    group whose rows have several classes is of the first of these by name.

    Args:
        task: The task.
        rows: The rows.
        groups: The numbers of each group's rows.
    """
    classes = _classes(task, rows)
    strata: dict[str, list[str]] = {}
    for group, numbers in groups.items():
        # Equal texts may have several labels: the first by name, whatever the order of the rows.
        strata.setdefault(min(classes[number] for number in numbers), []).append(group)
    if task.kind in ("multi_label", "token_classification"):
        rare = [group for stratum in strata.values() if len(stratum) == 1 for group in stratum]
        strata[""] = rare
    return [strata[name] for name in sorted(strata) if len(strata[name]) > 1]


def _classes(task: Task, rows: Sequence[Row]) -> list[str]:
    """Return the class of each row, all of which must have labels, as text.

    That is its class or labels, the tenth of its score, whether it is answerable, or the types of
    its entities, without entities the tags that occur.
    """
    if task.kind != "regression":
        return [_class_of(task, row) for row in rows]
    scores = [cast(float, row.target) for row in rows if isinstance(row, Example)]
    ordered = sorted(scores)
    return [
        f"{bisect.bisect_left(ordered, score) * _NUM_BINS // len(ordered):02}" for score in scores
    ]


def _class_of(task: Task, row: Row) -> str:
    """Return the class of a row, as text; the task is not a regression.

    The target of an example, whether a question is impossible, or the types of a sentence's
    entities; its tags where the task's labels are no entities'.
    """
    if isinstance(row, Question):
        return str(row.is_impossible)
    if isinstance(row, Example):
        return str(row.target)
    tags = sorted({task.labels[number] for number in row.tags or ()} - {OUTSIDE})
    are_entities = all(map(is_entity_tag, task.labels))
    return str(entity_types(tags) if are_entities else tags)


def _draw(texts: str, seed: int) -> bytes:
    return hashlib.blake2b(f"{seed}\0{texts}".encode(), digest_size=16).digest()
